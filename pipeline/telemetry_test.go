package pipeline_test

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/telemetry/otlptest"
)

// documented is a metric as docs/metrics.md has it.
type documented struct{ name, prometheus, kind, unit string }

var row = regexp.MustCompile("^\\| `([a-z_.]+)` \\| `([a-z_]+)` \\| (counter|gauge|histogram)(?:, `([^`]+)`)? \\|")

// documentedMetrics reads them.
func documentedMetrics(t *testing.T) map[string]documented {
	t.Helper()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]documented{}
	for line := range strings.Lines(string(page)) {
		if m := row.FindStringSubmatch(line); m != nil {
			all[m[1]] = documented{m[1], m[2], m[3], m[4]}
		}
	}
	if len(all) < 55 {
		t.Fatalf("docs/metrics.md has %d metrics, want 55 at least", len(all))
	}
	return all
}

// observed is an engine with everything, whose telemetry is sent to a receiver.
type observed struct {
	*engine
	sent *otlptest.Receiver
}

func newObserved(t *testing.T) *observed {
	t.Helper()
	o := &observed{sent: otlptest.Start(t)}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", o.sent.HTTP)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	o.engine = newEngine(t, "clickhouse.addresses="+server.Addr(), "clickhouse.protocol=http", "flush.history=200ms", "time.idle_timeout=1h", "topics.updates.partitions=2", "topics.rankings.partitions=2")
	return o
}

// number sums up a metric's points that have all of these attributes, each "key=value"; of a histogram, its count.
func number(m *metrics.Metric, with ...string) (sum float64, points int) {
	add := func(p *metrics.NumberDataPoint) {
		if has(p.GetAttributes(), with) {
			points++
			sum += p.GetAsDouble() + float64(p.GetAsInt())
		}
	}
	for _, p := range m.GetSum().GetDataPoints() {
		add(p)
	}
	for _, p := range m.GetGauge().GetDataPoints() {
		add(p)
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		if has(p.GetAttributes(), with) {
			points++
			sum += float64(p.GetCount())
		}
	}
	return sum, points
}

// has reports whether there are all of these attributes.
func has(attributes []*common.KeyValue, with []string) bool {
	for _, w := range with {
		if !slices.ContainsFunc(attributes, func(a *common.KeyValue) bool { return a.GetKey()+"="+a.GetValue().GetStringValue() == w }) {
			return false
		}
	}
	return true
}

// value is number of what was sent last.
func (o *observed) value(name string, with ...string) float64 {
	sum, points := number(o.sent.Metrics()[name], with...)
	if points == 0 {
		return -999
	}
	return sum
}

// TestTelemetry: with everything that can become of a record, a store that is away for a moment, and all handlers, metrics are what is known of it, and are those that the
// documentation lists; traces lead from a batch to both stores.
func TestTelemetry(t *testing.T) {
	docs := documentedMetrics(t)
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(4 << 30)) // else there is no go.memory.limit
	o := newObserved(t)
	o.logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	o.run()
	eventually(t, "it is ready", func() bool { return o.value("millrank.ready") == 1 })
	now := time.Now()
	want := o.sendAll(now)
	eventually(t, "tea has its likes", func() bool { return o.score("tea") == want["counted"] })
	o.redis.Server().SetError("LOADING it is not there")
	o.send("tea", "")
	want["counted"]++
	eventually(t, "a flush has failed", func() bool {
		return o.value("millrank.handler.errors", "millrank.handler=leaderboard", "millrank.operation=flush") > 0
	})
	o.redis.Server().SetError("")
	eventually(t, "the last like is there", func() bool { return o.score("tea") == want["counted"] })
	eventually(t, "the history is written", func() bool {
		return o.value("millrank.clickhouse.rows", "millrank.table=cells") > 0 && o.value("millrank.clickhouse.rows", "millrank.table=rankings") > 0 &&
			o.value("millrank.clickhouse.rows", "millrank.table=dead_letters") == want["malformed"]+want["future"]+want["late"]
	})
	eventually(t, "nothing lags, and nothing is pending", func() bool {
		return o.value("millrank.partition.lag") == 0 && o.value("millrank.partition.pending") == 0
	})
	o.checkCounts(want)
	o.checkNames(docs)
	o.checkExemplars()
	if err := o.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	o.checkTraces()
}

// sendAll sends something of everything, and returns how many there are of each decision.
func (o *observed) sendAll(now time.Time) map[string]float64 {
	like := func(id string, at time.Time, region string) {
		o.send("tea", fmt.Sprintf(`{"event_id":%q,"item_id":"tea","region":%q,"timestamp":%q}`, id, region, at.Format(time.RFC3339Nano)))
	}
	for i := range 7 {
		like("a"+strconv.Itoa(i), now, "eu")
	}
	like("a0", now, "eu")                     // a duplicate
	like("a1", now, "us")                     // one that differs
	like("old", now.Add(-24*time.Hour), "eu") // late
	like("new", now.Add(24*time.Hour), "eu")  // future
	o.send("tea", "{")
	o.send("tea", "}")
	return map[string]float64{"counted": 7, "duplicate": 2, "late": 1, "future": 1, "malformed": 2, "punctuation": 0, "replayed": 0, "repeated": 0}
}

// checkCounts compares metrics with what is known of what was sent.
func (o *observed) checkCounts(want map[string]float64) {
	o.t.Helper()
	total, silent := 0.0, 0.0
	if o.value("millrank.partition.watermark.timestamp", "millrank.handler=intake", "messaging.destination.partition.id=0") > 0 {
		silent = 1
	}
	for decision, n := range want {
		total += n
		if got := o.value("millrank.intake.records", "millrank.decision="+decision); got != n {
			o.t.Errorf("%v records are %s, want %v", got, decision, n)
		}
	}
	for _, c := range []struct {
		want float64
		name string
		with []string
	}{
		{1, "millrank.intake.conflicts", nil},
		{2, "millrank.intake.dead_letters", []string{"millrank.decision=malformed"}},
		{1, "millrank.intake.dead_letters", []string{"millrank.decision=late"}},
		{total, "messaging.client.consumed.messages", []string{"millrank.handler=intake", "messaging.destination.name=likes", "messaging.consumer.group.name=likes.g1.intake", "messaging.system=kafka"}},
		{4, "messaging.client.consumed.messages", []string{"millrank.handler=late"}},
		{4, "messaging.client.sent.messages", []string{"messaging.destination.name=" + o.settings.DeadLettersTopic()}},
		{9, "millrank.intake.live_ids", nil}, // all but those of the one from the future
		{2, "millrank.partitions.owned", []string{"millrank.handler=intake"}},
		{2, "millrank.partitions.assigned", []string{"millrank.handler=rank"}},
		{2, "millrank.redis.late", []string{"millrank.outcome=counted"}}, // it is missing from the region's list, and from that of all
		{0, "millrank.partition.pending", nil},
		{0, "millrank.partition.replay.remaining", nil},
		{0, "millrank.intake.paused", nil},
		{0, "millrank.intake.idle", nil},
		{2 * silent, "millrank.rank.held_back_by", nil}, // by both shards
		{1, "millrank.generation.active", nil},
		{1, "millrank.build.info", []string{"millrank.version=test"}},
		{7, "millrank.handler.state", []string{"millrank.state=running"}},
		{4, "millrank.store.breaker", []string{"millrank.state=closed"}},
	} {
		if got := o.value(c.name, c.with...); got != c.want {
			o.t.Errorf("%s %v is %v, want %v", c.name, c.with, got, c.want)
		}
	}
	for _, c := range []struct{ name, with string }{
		{"millrank.freshness", "millrank.handler=leaderboard"}, {"millrank.freshness", "millrank.handler=history-cells"}, {"millrank.freshness", "millrank.handler=history-rankings"},
		{"millrank.flush.duration", "error.type=_OTHER"}, {"millrank.redis.lists", ""},
		{"db.client.operation.duration", "db.operation.name=write_dead_letters"}, {"db.client.operation.duration", "db.operation.name=count_late"},
	} {
		if got := o.value(c.name, slices.DeleteFunc([]string{c.with}, func(s string) bool { return s == "" })...); got <= 0 {
			o.t.Errorf("%s %s is %v, want more", c.name, c.with, got)
		}
	}
}

// checkNames compares the documentation with what is exported, both ways.
func (o *observed) checkNames(docs map[string]documented) {
	o.t.Helper()
	_, page := o.get("/metrics")
	types := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(page, -1) {
		types[m[1]] = m[2]
	}
	page2, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		o.t.Fatal(err)
	}
	sent := o.sent.Metrics()
	for _, d := range docs {
		m := sent[d.name]
		if m == nil {
			o.t.Errorf("%s is documented, but not sent by OTLP", d.name)
			continue
		}
		kind := "gauge"
		if m.GetHistogram() != nil {
			kind = "histogram"
		} else if s := m.GetSum(); s != nil && s.GetIsMonotonic() {
			kind = "counter"
		}
		if m.GetUnit() != d.unit || kind != d.kind && d.name != "go.memory.used" {
			o.t.Errorf("%s is a %s with unit %q, but is documented as %+v", d.name, kind, m.GetUnit(), d)
		}
		if types[d.prometheus] != d.kind {
			o.t.Errorf("%s is %q at /metrics, but is documented as %+v", d.prometheus, types[d.prometheus], d)
		}
		delete(types, d.prometheus)
	}
	for name := range sent {
		if docs[name].name == "" {
			o.t.Errorf("%s is sent by OTLP, but not documented", name)
		}
	}
	for name := range types {
		if !strings.Contains(string(page2), "`"+name+"`") {
			o.t.Errorf("%s is at /metrics, but not documented", name)
		}
	}
	keys := map[string]bool{}
	for name, m := range sent {
		if strings.HasPrefix(name, "go.") {
			continue
		}
		for _, key := range attributesOf(m) {
			keys[key] = true
		}
	}
	for key := range keys {
		if !strings.Contains(string(page2), "`"+key+"`") {
			o.t.Errorf("attribute %s is not documented", key)
		}
	}
}

// attributesOf returns the names of a metric's attributes.
func attributesOf(m *metrics.Metric) []string {
	keys := map[string]bool{}
	note := func(list []*common.KeyValue) {
		for _, a := range list {
			keys[a.GetKey()] = true
		}
	}
	for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
		note(p.GetAttributes())
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		note(p.GetAttributes())
	}
	return slices.Collect(maps.Keys(keys))
}

// checkExemplars: whoever asks for OpenMetrics is given spans with the latencies.
func (o *observed) checkExemplars() {
	o.t.Helper()
	_, page := o.getAs("/metrics", "application/openmetrics-text; version=1.0.0")
	for _, want := range []string{`millrank_freshness_seconds_bucket\{`, `millrank_flush_duration_seconds_bucket\{`, `messaging_process_duration_seconds_bucket\{`, `db_client_operation_duration_seconds_bucket\{`} {
		if !regexp.MustCompile(`(?m)^` + want + `[^\n]*# \{[^}]*trace_id="[0-9a-f]{32}"`).MatchString(page) {
			o.t.Errorf("no exemplar for %s at /metrics", want)
		}
	}
}

// checkTraces: from the span of a batch, links lead to the writes into both stores.
func (o *observed) checkTraces() {
	o.t.Helper()
	spans := o.sent.Spans()
	next := map[string][]*trace.Span{} // what follows a span: its children, and what links to it
	byID := map[string]*trace.Span{}
	for _, s := range spans {
		byID[string(s.GetSpanId())] = s
		next[string(s.GetParentSpanId())] = append(next[string(s.GetParentSpanId())], s)
		for _, l := range s.GetLinks() {
			next[string(l.GetSpanId())] = append(next[string(l.GetSpanId())], s)
		}
	}
	reached := map[string]bool{}
	var follow func(s *trace.Span, path string)
	follow = func(s *trace.Span, path string) {
		path += " > " + s.GetName()
		if reached[path] {
			return
		}
		reached[path] = true
		for _, n := range next[string(s.GetSpanId())] {
			follow(n, path)
		}
	}
	for _, s := range spans {
		if s.GetName() == "process likes" {
			follow(s, "")
		}
	}
	updates, rankings := o.settings.UpdatesTopic(), o.settings.RankingsTopic()
	for _, path := range []string{
		" > process likes > send " + updates + " > send " + rankings + " > flush leaderboard > write_lists redis",
		" > process likes > send " + updates + " > send " + rankings + " > flush history-rankings > write_lists clickhouse",
		" > process likes > send " + updates + " > flush history-cells > write_cells clickhouse",
	} {
		if !reached[path] {
			o.t.Errorf("no trace goes%s; there are %s", path, strings.Join(slices.Sorted(maps.Keys(reached)), "\n"))
		}
	}
	for _, s := range spans {
		for _, l := range s.GetLinks() {
			if byID[string(l.GetSpanId())] == nil {
				o.t.Errorf("a link of %s leads nowhere", s.GetName())
			}
		}
	}
}
