package settings_test

import (
	"math"
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
	traffic := settings.DefaultTraffic()
	traffic.EventsPerSecond, traffic.Partitions, traffic.Items, traffic.Regions = 1000, 4, 5000, 3
	c := settings.Cost(s, traffic)
	got := []any{
		c.ReplaySpan, c.ReplayRecords, c.ReplaySeconds, c.EventIDs, c.EventIDBytes, c.PaneCells, c.IntakeBytes, c.RankCells, c.RankTotals, c.RankBytes,
		c.Lists, c.ListBytes, c.RedisKeys, c.RedisBytes, c.RedisTTL, c.EventsRetention, c.UpdatesRetention, c.RankingsRetention,
	}
	span := minutes(1) + minutes(0.5) + minutes(5./60) + minutes(2)
	const totals = 5000*2*2 + 5000*(1+1) // of hourly, global and by region, this window's and the next one's; of trending, the newest one's and the one before
	want := []any{
		span, int64(1000*95 + 135_000), 0.23, int64(1000 * 135), int64(38 * 135_000), // 120 s and a segment of 15 s
		int64(5000), int64(5000 * 2 * 110), int64(5000 * 62), int64(totals),
		int64(5000*62*36 + totals*36 + 5000*40 + 8*4*(500+200*16) + 2*4*(500+400*16)),
		int64(4*2 + 2), int64(8*8*(500+100*50) + 2*8*(500+200*50)),
		int64(4*(48+3) + 48*60 + 3), int64(4*51*(650+100*21) + 2883*(650+200*120)), minutes(48 * 60),
		span, minutes(60+10.5+24*60) + minutes(5./60), minutes(48 * 60),
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.Dedup.Records, s.Limits.RankItems = 8000, 10_000 // they bound memory
	c = settings.Cost(s, traffic)
	if c.EventIDs != 4*9000 || c.RankCells != 4*10_000 || c.RankBytes < 40_000*(36+110) || c.RankBytes > 40_000*(36+110)+2_000_000 {
		t.Errorf("%d IDs, %d cells, %d bytes", c.EventIDs, c.RankCells, c.RankBytes)
	}
}

// TestCostTopics: what flows, reckoned by hand, where each item is seen in each flush.
func TestCostTopics(t *testing.T) {
	t.Parallel()
	s := load(t, least)
	s.Boards, s.Topics.DeadLetters.Retention = []settings.Board{{Name: "hourly", Window: settings.Duration(time.Hour), K: 100, By: []string{"global"}}}, settings.Duration(24*time.Hour)
	traffic := settings.DefaultTraffic()
	traffic.EventsPerSecond, traffic.Peak, traffic.Partitions, traffic.Items, traffic.DeadLetters = 10_000, 3, 2, 100, 0.01
	c := settings.Cost(s, traffic)
	day := func(perSecond float64) float64 { return perSecond * 86_400 }
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > want*1e-9 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	flushes := 4.0
	near("updates' cells", c.Updates.EntriesPerSecond, 100*flushes)
	near("updates' messages", c.Updates.MessagesPerSecond, 2*4*flushes)
	near("dead letters", c.DeadLetters.EntriesPerSecond, 300)
	near("bytes of dead letters", c.DeadLetters.BytesPerDay, day(100*(130+400)))
	near("dead letters on disk", c.DeadLetters.DiskBytes, 3*day(100*(130+400)))
	near("source", c.Source.BytesPerDay, day(10_000*130))
	near("entries of lists", c.Rankings.EntriesPerSecond, 4*flushes*25*(1-math.Exp(-30_000*0.99/4/4)))
	if c.Handler(settings.Intake).Cores <= 0.03 || c.Handler("late").Cores != 0 {
		t.Errorf("cores %+v", c.Handlers)
	}
	c.Fleet(1, 1<<30)
	if c.Processes != 2 {
		t.Errorf("%d processes, want one that suffices and one to spare", c.Processes)
	}
	c.Fleet(c.Cores(), 1<<40)
	if c.Processes != 3 {
		t.Errorf("%d processes, want two, since cores are to be busy for a part only, and one to spare", c.Processes)
	}
}

// TestCostSkew: items that are seen by Zipf's law are fewer than the most that can be, and as many as the sum over all of them says.
func TestCostSkew(t *testing.T) {
	t.Parallel()
	s := load(t, least)
	s.Time.Pane = settings.Duration(time.Minute)
	for _, skew := range []float64{0.7, 1, 1.3} {
		traffic := settings.DefaultTraffic()
		traffic.EventsPerSecond, traffic.Items, traffic.Regions, traffic.ItemRegions, traffic.Skew = 5000, 200_000, 4, 4, skew
		total, want := 0.0, 0.0
		for i := 1; i <= traffic.Items; i++ {
			total += math.Pow(float64(i), -skew)
		}
		for i := 1; i <= traffic.Items; i++ {
			want += 4 * (1 - math.Exp(-300_000*math.Pow(float64(i), -skew)/total/4))
		}
		if got := float64(settings.Cost(s, traffic).PaneCells); math.Abs(got-want) > want/100 || got > 300_000 {
			t.Errorf("skew %v: %v cells in a pane, want %v", skew, got, want)
		}
	}
}

// TestTraffic: what can't be is named by its flag.
func TestTraffic(t *testing.T) {
	t.Parallel()
	if err := settings.DefaultTraffic().Validate(); err != nil {
		t.Fatal(err)
	}
	err := settings.Traffic{EventsPerSecond: math.NaN(), Duplicates: 0.6, DeadLetters: 0.6, Skew: -1}.Validate()
	for _, flag := range []string{"events-per-second", "peak", "event-bytes", "items", "item-bytes", "regions", "item-regions", "skew", "dead-letters", "replicas"} {
		if err == nil || !strings.Contains(err.Error(), "--"+flag+":") {
			t.Errorf("--%s isn't named in %v", flag, err)
		}
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
