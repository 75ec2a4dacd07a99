package settings_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/pipeline/settings"
)

// TestCost: the figures, reckoned by hand.
func TestCost(t *testing.T) {
	t.Parallel()
	s := load(t, `
kafka: {bootstrap_servers: [localhost:9092]}
source: {topic: events}
time: {pane: 1m}
boards:
  - {name: hourly, window: 1h, k: 100}
  - {name: trending, window: 15m, slide: 1m, k: 200, by: [global]}
redis: {addresses: [localhost:6379]}
`)
	minutes := func(n float64) settings.Duration { return settings.Duration(n * float64(time.Minute)) }
	traffic := settings.Traffic{EventsPerSecond: 1000, Partitions: 4, Items: 5000, Regions: 3}
	want := settings.Costs{
		Traffic:    traffic,
		ReplaySpan: minutes(1) + minutes(0.5) + minutes(5./60) + minutes(2), ReplayRecords: 1000*95 + 135_000, ReplaySeconds: 0.23,
		EventIDs: 1000 * 135, EventIDBytes: 38 * 135_000, // 120 s and a segment of 15 s
		PaneCells: 5000, IntakeBytes: 5000 * 2 * 100,
		RankCells: 5000 * 62, RankBytes: 5000 * 62 * (150 + 40), // hourly global, hourly region, trending global
		Lists: 4*2 + 2, ListBytes: 8*5*(500+100*50) + 2*5*(500+200*50),
		RedisKeys: 4*(48+3) + 48*60 + 3, RedisBytes: 4*51*(500+100*21) + 2883*(500+200*110), RedisTTL: minutes(48 * 60),
		EventsRetention: minutes(1) + minutes(0.5) + minutes(5./60) + minutes(2), UpdatesRetention: minutes(60+10.5+24*60) + minutes(5./60), RankingsRetention: minutes(48 * 60),
	}
	if diff := gocmp.Diff(want, settings.Cost(s, traffic)); diff != "" {
		t.Error(diff)
	}
	s.Dedup.Records, s.Limits.RankItems = 8000, 10_000 // they bound memory
	c := settings.Cost(s, traffic)
	if c.EventIDs != 4*9000 || c.RankCells != 4*10_000 || c.RankBytes != 40_000*(230+40) {
		t.Errorf("%d IDs, %d cells, %d bytes", c.EventIDs, c.RankCells, c.RankBytes)
	}
}

// TestRetention: what isn't set is what is needed, and more; what is set counts.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := settings.Default()
	s.Boards = []settings.Board{{Window: settings.Duration(time.Hour)}, {Window: settings.Duration(72 * time.Hour)}}
	rest := s.Time.AllowedLateness.Std() + s.Time.ReviseFor.Std()
	if got := s.RedisTTL(); got != 72*time.Hour+rest {
		t.Errorf("keys stay %v", got)
	}
	if got := s.UpdatesRetention(); got != 96*time.Hour+rest+5*time.Second {
		t.Errorf("updates are kept %v", got)
	}
	s.Redis.TTL = settings.Duration(30 * 24 * time.Hour)
	if got := s.RankingsRetention(); got != 30*24*time.Hour {
		t.Errorf("rankings are kept %v, less than the keys", got)
	}
	s.Topics.Updates.Retention, s.Topics.Rankings.Retention = settings.Duration(1), settings.Duration(2)
	if s.UpdatesRetention() != 1 || s.RankingsRetention() != 2 {
		t.Error("what is set doesn't count")
	}
}

// TestWarnings: what is allowed, but should be known, is named.
func TestWarnings(t *testing.T) {
	t.Parallel()
	s := load(t, least)
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	s.Boards[0].Window = settings.Duration(25 * time.Hour)
	s.Kafka.SecurityProtocol, s.Kafka.SASLMechanism = "SASL_PLAINTEXT", "PLAIN"
	s.Redis.Addresses, s.Redis.Password = []string{"redis-1:6379"}, "x"
	got := s.Warnings()
	for _, want := range []string{"boards: likes: a window of 25h", "kafka.security_protocol", "redis.tls.enabled"} {
		if !slices.ContainsFunc(got, func(w string) bool { return strings.HasPrefix(w, want) }) {
			t.Errorf("no warning of %s in %q", want, got)
		}
	}
	if s.Redis.Addresses = []string{"localhost:6379"}; len(s.Warnings()) != 2 {
		t.Errorf("a local Redis needs no TLS: %q", s.Warnings())
	}
}
