//go:build e2e

// Package plan_test compares what 'millrank plan' says with what the built program takes.
package plan_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/pipeline/settings"
)

// scale is a size at which it is measured.
type scale struct {
	name     string
	traffic  settings.Traffic
	seconds  int
	begin    settings.Duration // it begins at a multiple of this
	settings string            // besides servers and names
}

func scales() []scale {
	few, many := settings.DefaultTraffic(), settings.DefaultTraffic()
	few.EventsPerSecond, few.Partitions, few.Items, few.Regions, few.ItemRegions, few.Skew = 80_000, 4, 20_000, 200, 1, 1
	many.EventsPerSecond, many.Partitions, many.Items, many.Regions, many.ItemRegions, many.Skew = 40_000, 8, 1_000_000, 40, 40, 0.8
	return []scale{
		{"few-items", few, 18, settings.Duration(10 * time.Second), `
time: {pane: 5s, out_of_orderness: 500ms, allowed_lateness: 2s, revise_for: 5s, max_ahead: 10s}
dedup: {horizon: 16s}
flush: {history: 2s}
topics: {replication_factor: 1, updates: {partitions: 2}, rankings: {partitions: 2}}
boards: [{name: tumbling, window: 10s, k: 50}]
`},
		{"many-items", many, 25, settings.Duration(4 * time.Second), `
time: {pane: 2s, out_of_orderness: 500ms, allowed_lateness: 1500ms, revise_for: 5s, max_ahead: 10s}
dedup: {horizon: 20s}
flush: {updates: 500ms, rankings: 500ms, history: 4s}
topics: {replication_factor: 1, updates: {partitions: 4}, rankings: {partitions: 3}}
boards: [{name: sliding, window: 16s, slide: 4s, k: 200}, {name: short, window: 4s, k: 100, by: [global]}]
`},
	}
}

// share is for machines that can't take it all: go test -tags e2e ./test/plan -v -args -share 0.2
var share = flag.Float64("share", 1, "this share of the events")

// within is how far off a plan may be.
const within = 0.25

// keptUp is which share of flushes must have come: where it is less, fewer bytes were sent than a machine sends that keeps up, and more memory was needed.
const keptUp = 0.85

// TestPlan: memory of each handler, bytes in each topic, in Redis and in ClickHouse are within a quarter of what the program takes, at two sizes. Processor time is
// printed, not compared: it is the machine's.
func TestPlan(t *testing.T) {
	servers := servers{
		kafka: apachekafka.StartTest(t, apachekafka.Options{HeapMiB: 768}).Brokers(), redis: redisserver.StartTest(t, redisserver.Options{}).Addr(),
		clickhouse: clickhousetest.StartTest(t, embedded.ClickHouseOptions{}),
	}
	program := filepath.Join(t.TempDir(), "millrank")
	run(t, "go", "build", "-trimpath", "-tags", "nodemo", "-o", program, "github.com/millrank/millrank/cmd/millrank")
	for _, s := range scales() {
		s.traffic.EventsPerSecond *= *share
		t.Run(s.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "millrank.yaml")
			text := fmt.Sprintf("name: %[1]s\nkafka: {bootstrap_servers: [%[2]s]}\nsource: {topic: %[1]s.events, fields: {time_format: unix_ms}}\nredis: {addresses: [%[3]s], prefix: '%[1]s:'}\nclickhouse: {addresses: [%[4]s], protocol: http, database: %[5]s}\nhttp: {address: ''}\nlog: {level: warn}\n%[6]s",
				s.name, strings.Join(servers.kafka, ", "), servers.redis, servers.clickhouse.Addr(), strings.ReplaceAll(s.name, "-", "_"), s.settings)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := settings.Load(settings.From{File: file})
			if err != nil {
				t.Fatal(err)
			}
			m := measure(t, servers, program, file, loaded, s)
			s.traffic.EventBytes, s.traffic.Running = m.eventBytes, settings.Duration(m.took)
			s.traffic.EventsPerSecond = float64(m.events) / m.took.Seconds()
			compare(t, loaded, s, m, planOf(t, program, file, s))
		})
	}
}

// planOf returns what the program plans.
func planOf(t *testing.T, program, file string, s scale) settings.Costs {
	t.Helper()
	tr := s.traffic
	out := run(t, program, "plan", "-c", file, "--json", "--peak", "1", "--duplicates", "0", "--dead-letters", fmt.Sprint(lateShare), "--replicas", "1",
		"--events-per-second", fmt.Sprint(tr.EventsPerSecond), "--partitions", fmt.Sprint(tr.Partitions), "--items", fmt.Sprint(tr.Items), "--regions", fmt.Sprint(tr.Regions),
		"--item-regions", fmt.Sprint(tr.ItemRegions), "--skew", fmt.Sprint(tr.Skew), "--event-bytes", fmt.Sprint(tr.EventBytes), "--item-bytes", fmt.Sprint(itemBytes), "--running", tr.Running.String())
	var p struct{ Costs settings.Costs }
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p.Costs
}

func compare(t *testing.T, s settings.Settings, sc scale, m measured, c settings.Costs) {
	out := table.NewWriter()
	out.AppendHeader(table.Row{sc.name, "planned", "measured", "planned / measured"})
	line := func(name string, planned, measured float64, compared bool) {
		ratio := planned / measured
		mark := ""
		if compared && !(math.Abs(ratio-1) <= within) {
			mark = " !"
			t.Errorf("%s: %s: planned %s, measured %s", sc.name, name, settings.ByteText(planned), settings.ByteText(measured))
		}
		out.AppendRow(table.Row{name, fmt.Sprintf("%.0f", planned), fmt.Sprintf("%.0f", measured), fmt.Sprintf("%.2f%s", ratio, mark)})
	}
	if flushes := m.messages[s.RankingsTopic()] / (c.Rankings.MessagesPerSecond * m.took.Seconds()); flushes < keptUp {
		t.Errorf("%s: only %.0f %% of the flushes came in their time: this machine was too busy, and what follows says little. Try again, or with -args -share 0.2", sc.name, 100*flushes)
	}
	for _, h := range c.Handlers {
		p := m.processes[h.Name]
		line(h.Name+": live bytes", float64(h.LiveBytes), float64(p.live), h.Name == settings.Intake || h.Name == settings.Rank)
		line(h.Name+": RSS", float64(h.RSSBytes), float64(p.rss), true)
	}
	run := m.took.Seconds() / (24 * time.Hour).Seconds()
	line("source: bytes", c.Source.BytesPerDay*run, m.topics[s.Source.Topic], true)
	line("updates: messages", c.Updates.MessagesPerSecond*m.took.Seconds(), m.messages[s.UpdatesTopic()], false) // fewer: the machine can't flush as often as it should
	line("rankings: messages", c.Rankings.MessagesPerSecond*m.took.Seconds(), m.messages[s.RankingsTopic()], false)
	line("updates: bytes", c.Updates.BytesPerDay*run, m.topics[s.UpdatesTopic()], true)
	line("rankings: bytes", c.Rankings.BytesPerDay*run, m.topics[s.RankingsTopic()], true)
	line("dead letters: bytes", c.DeadLetters.BytesPerDay*run, m.topics[s.DeadLettersTopic()], true)
	line("Redis: keys", float64(c.RedisKeys), m.redisKeys, true)
	line("Redis: bytes", float64(c.RedisBytes), m.redis, true)
	h := c.ClickHouse
	line("ClickHouse: cells", h.CellRowsPerDay*run, m.rows["cells"], true)
	line("ClickHouse: lists", h.RankingRowsPerDay*run, m.rows["rankings"], false) // those of windows that have not begun, too
	line("ClickHouse: rows of roll-ups", h.RollupRowsPerDay*run, m.rows["rollups"], true)
	line("ClickHouse: bytes", h.Kept, m.clickhouse, true)
	for _, h := range c.Handlers {
		line(h.Name+": CPU ms a second (this machine's)", 1000*h.Cores, 1000*m.processes[h.Name].cpu.Seconds()/m.took.Seconds(), false)
	}
	t.Logf("%d events in %v\n%s\nper entry: %v", m.events, m.took.Round(time.Millisecond), out.Render(), m.each(s, c))
}

// each returns what the measured figures come to for each entry: what the constants of the model are.
func (m measured) each(s settings.Settings, c settings.Costs) string {
	run := m.took.Seconds()
	updates, rankings := c.Updates.EntriesPerSecond*run, c.Rankings.EntriesPerSecond*run*m.messages[s.RankingsTopic()]/(c.Rankings.MessagesPerSecond*run)
	micros := func(handler string) float64 { return m.processes[handler].cpu.Seconds() * 1e6 }
	return fmt.Sprintf("%.1f B a cell sent, %.1f B an entry of a list sent (messages included), %.1f B a row of cells, %.1f of roll-ups, %.0f of lists; %.2f µs an event in intake, %.2f a cell in rank, %.2f an entry in leaderboard, %.2f a row in history",
		m.topics[s.UpdatesTopic()]/updates, m.topics[s.RankingsTopic()]/rankings, m.bytes["cells"]/m.rows["cells"], m.bytes["rollups"]/m.rows["rollups"], m.bytes["rankings"]/m.rows["rankings"],
		micros(settings.Intake)/float64(m.events), micros(settings.Rank)/updates, micros(settings.Leaderboard)/rankings, micros(settings.History)/(m.rows["cells"]+m.rows["rankings"]))
}
