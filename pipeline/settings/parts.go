package settings

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/clienttls"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// Names of the handlers, as in Settings.Handlers and in the names of their groups.
const (
	Intake      = "intake"
	Rank        = "rank"
	Leaderboard = "leaderboard"
	Late        = "late"
	History     = "history" // which is these three
	// HistoryCells, HistoryRankings and HistoryDeadLetters are the parts of History, by what they write.
	HistoryCells       = "history-cells"
	HistoryRankings    = "history-rankings"
	HistoryDeadLetters = "history-dead-letters"
)

// AllHandlers returns all there are, in the order of the data's way.
func AllHandlers() []string {
	return []string{Intake, Rank, Leaderboard, Late, HistoryCells, HistoryRankings, HistoryDeadLetters}
}

// Runs returns the handlers that a process with these settings runs, in the order of the data's way; History by its parts.
func (s Settings) Runs() []string {
	return slices.DeleteFunc(AllHandlers(), func(h string) bool {
		setting := h
		switch h {
		case Leaderboard, Late:
			if len(s.Redis.Addresses) == 0 {
				return true
			}
		case HistoryCells, HistoryRankings, HistoryDeadLetters:
			if setting = History; len(s.ClickHouse.Addresses) == 0 {
				return true
			}
		}
		return len(s.Handlers) > 0 && !slices.Contains(s.Handlers, setting)
	})
}

// Group returns the name of a handler's consumer group.
func (s Settings) Group(handler string) string { return s.inGeneration(handler) }

// UpdatesTopic returns the topic's name.
func (s Settings) UpdatesTopic() string { return s.inGeneration("updates") }

// RankingsTopic returns the topic's name.
func (s Settings) RankingsTopic() string { return s.inGeneration("rankings") }

func (s Settings) inGeneration(what string) string {
	return fmt.Sprintf("%s.g%d.%s", s.Name, s.Generation, what)
}

// DeadLettersTopic returns the topic's name.
func (s Settings) DeadLettersTopic() string {
	if s.Topics.DeadLetters.Name != "" {
		return s.Topics.DeadLetters.Name
	}
	return s.Source.Topic + ".dead-letters"
}

// GenerationsTopic returns the name of the topic that says which generation is active.
func (s Settings) GenerationsTopic() string { return s.Name + ".generations" }

// SourceName returns the stream's name in updates: cluster and topic.
func (s Settings) SourceName() string {
	if s.Source.Cluster == "" {
		return s.Source.Topic
	}
	return s.Source.Cluster + "/" + s.Source.Topic
}

// Connection returns how to reach Kafka.
func (s Settings) Connection() microbatch.Connection {
	k := s.Kafka
	return microbatch.Connection{
		BootstrapServers: k.BootstrapServers, ClientID: k.ClientID, ClientRack: k.ClientRack, SecurityProtocol: k.SecurityProtocol,
		CAFile: k.SSLCALocation, CertificateFile: k.SSLCertificateLocation, KeyFile: k.SSLKeyLocation,
		SASLMechanism: k.SASLMechanism, Username: k.SASLUsername, Password: string(k.SASLPassword), RequestTimeout: k.RequestTimeout.Std(),
	}
}

// Mapping returns how events are read.
func (s Settings) Mapping() event.Mapping {
	f := s.Source.Fields
	m := event.DefaultMapping()
	m.EventID, m.Item, m.Region, m.RegionDefault, m.User = f.EventID, f.Item, f.Region, f.RegionDefault, f.User
	m.Time, m.TimeFormat, m.TimeMin, m.TimeMax = f.Time, event.TimeFormat(f.TimeFormat), s.Source.TimeMin.Std(), s.Source.TimeMax.Std()
	m.Value, m.ValueScale, m.RecordBytesMax = f.Value, f.ValueScale, int(s.Source.RecordBytesMax)
	m.Dimensions = nil
	for _, d := range f.Dimensions {
		m.Dimensions = append(m.Dimensions, d.Field)
	}
	return m
}

// Dimensions returns the names of the dimensions of a cell's group, in its order. The region is the first, also where events have none.
func (s Settings) Dimensions() []string {
	names := []string{"region"}
	for _, d := range s.Source.Fields.Dimensions {
		names = append(names, d.Name)
	}
	return names
}

// dedupRecordSegments is in how many steps IDs are forgotten by their number.
const dedupRecordSegments = 8

// Fold returns what decides the results of a source partition's fold.
func (s Settings) Fold() operators.Settings {
	return operators.Settings{
		Pane: s.Time.Pane.Std(), OutOfOrderness: s.Time.OutOfOrderness.Std(), AllowedLateness: s.Time.AllowedLateness.Std(), MaxAhead: s.Time.MaxAhead.Std(),
		DedupSegment: s.Dedup.Horizon.Std() / time.Duration(max(1, s.Dedup.Segments)), DedupSegments: s.Dedup.Segments,
		DedupRecords: s.Dedup.Records / dedupRecordSegments, DedupRecordSegments: dedupRecordSegments,
	}
}

// Rankings returns the boards, as rank, merge and the sinks need them.
func (s Settings) Rankings() operators.Boards {
	b := operators.Boards{
		Pane: s.Time.Pane.Std(), AllowedLateness: s.Time.AllowedLateness.Std(), OutOfOrderness: s.Time.OutOfOrderness.Std(), ReviseFor: s.Time.ReviseFor.Std(),
		ValueScale: s.Source.Fields.ValueScale, Dimensions: s.Dimensions(), RankItems: s.Limits.RankItems,
	}
	for _, board := range s.Boards {
		b.Boards = append(b.Boards, board.operator())
	}
	return b
}

func (b Board) operator() operators.Board {
	o := operators.Board{
		Name: b.Name, Window: operators.Window{Size: b.Window.Std(), Slide: b.Slide.Std(), Offset: b.Offset.Std()}, K: b.K, MinCount: b.MinCount,
	}
	switch b.Measure {
	case "sum":
		o.Measure = operators.Sum
	case "average":
		o.Measure = operators.Average
	}
	if b.Order == "bottom" {
		o.Order = event.Bottom
	}
	for _, by := range b.By {
		dims := []string{}
		if by != "global" {
			dims = strings.Split(by, ",")
		}
		o.By = append(o.By, dims)
	}
	return o
}

// RedisOptions returns how to reach Redis. It reads the certificates' files.
func (s Settings) RedisOptions() (*goredis.UniversalOptions, error) {
	r := s.Redis
	o := &goredis.UniversalOptions{
		Addrs: r.Addresses, MasterName: r.MasterName, Username: r.Username, Password: string(r.Password),
		SentinelUsername: r.SentinelUsername, SentinelPassword: string(r.SentinelPassword), DB: r.DB, ClientName: s.Kafka.ClientID,
		ContextTimeoutEnabled: true, DialTimeout: r.Timeout.Std(), DialerRetries: 1,
	}
	if !r.TLS.Enabled {
		return o, nil
	}
	config, err := r.TLS.config()
	o.TLSConfig = config
	return o, err
}

func (t TLS) config() (*tls.Config, error) {
	return clienttls.Files{Authority: t.CAFile, Certificate: t.CertificateFile, Key: t.KeyFile, ServerName: t.ServerName, Names: clienttls.Names{
		Authority: "ca_file", Certificate: "certificate_file", Key: "key_file",
	}}.Config()
}

// ClickHouseOptions returns how to reach ClickHouse. It reads the certificates' files.
func (s Settings) ClickHouseOptions() (*clickhouse.Options, error) {
	c := s.ClickHouse
	o := &clickhouse.Options{
		Addr: c.Addresses, Auth: clickhouse.Auth{Username: c.Username, Password: string(c.Password)},
		Protocol: clickhouse.Native, Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4}, DialTimeout: c.Timeout.Std(), ReadTimeout: c.Timeout.Std(),
		ClientInfo: clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{Name: "millrank"}}},
	}
	if c.Protocol == "http" {
		o.Protocol = clickhouse.HTTP
	}
	if !c.TLS.Enabled {
		return o, nil
	}
	config, err := c.TLS.config()
	o.TLS = config
	return o, err
}
