package redis_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/redis"
)

// BenchmarkWrite writes the lists of 3 boards and 100 regions, K = 100, to a real server or cluster: whole, and with
// so many of each 100 entries having another score. It reports what one flush sends.
func BenchmarkWrite(b *testing.B) {
	single := redisserver.StartTest(b, redisserver.Options{}).Addr()
	cluster := redisserver.StartClusterTest(b, 3, redisserver.Options{}).Addrs()
	for _, bench := range []struct {
		name    string
		addrs   []string
		changed int // of 100 entries
		whole   bool
		of      uint32 // generation
	}{
		{"single/whole", []string{single}, 100, true, 0},
		{"single/changed=1", []string{single}, 1, false, 0},
		{"single/changed=10", []string{single}, 10, false, 0},
		{"single/changed=50", []string{single}, 50, false, 0},
		{"cluster/whole", cluster, 100, true, 0},
		{"cluster/changed=10", cluster, 10, false, 0},
		{"single/generation/changed=10", []string{single}, 10, false, 1},
		{"cluster/generation/changed=10", cluster, 10, false, 1},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkWrite(b, bench.addrs, bench.changed, bench.whole, bench.of) })
	}
}

func benchmarkWrite(b *testing.B, addrs []string, changed int, whole bool, generation uint32) {
	const regions, k = 100, 100
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	b.Cleanup(func() { _ = client.Close() })
	boards := operators.Boards{Pane: time.Minute, Dimensions: []string{"region"}}
	for _, name := range []string{"views", "likes", "sales"} {
		boards.Boards = append(boards.Boards, operators.Board{Name: name, K: k, Window: operators.Window{Size: time.Hour}, By: [][]string{{"region"}}})
	}
	sink, err := redis.New(redis.Config{Client: client, Prefix: b.Name() + ":", Boards: boards, Generation: generation, Active: func() (uint32, int64) { return 1, 1 }})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	var lists []event.Ranking
	for _, board := range boards.Boards {
		for region := range regions {
			l := list(board.Name, "region-"+strconv.Itoa(region), base, 0)
			for i := range k {
				l.Entries = append(l.Entries, entry("item-"+strconv.Itoa(100_000+i*37), float64(r.IntN(100_000))))
			}
			lists = append(lists, l)
		}
	}
	revision := int64(0)
	next := func() {
		revision++
		for i := range lists {
			lists[i].Revision = revision
			for _, at := range r.Perm(k)[:changed] {
				lists[i].Entries[at].Score++
			}
			slices.SortFunc(lists[i].Entries, event.Top.Compare)
		}
	}
	writer := sink.Writer(0, -1)
	flush := func() {
		if behind, err := writer.Write(b.Context(), revision, base, lists); behind || err != nil {
			b.Fatal(behind, err)
		}
	}
	next()
	flush()
	before := sink.Stats()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		next()
		if whole {
			writer = sink.Writer(0, -1)
		}
		b.StartTimer()
		flush()
	}
	after := sink.Stats()
	b.ReportMetric(float64(after.Commands-before.Commands)/float64(b.N), "commands/op")
	b.ReportMetric(float64(after.Bytes-before.Bytes)/float64(b.N), "sent-bytes/op")
	b.ReportMetric(float64(after.Pipelines-before.Pipelines)/float64(b.N), "roundtrips/op")
}

// BenchmarkActivate activates two generations in turn, of which each has 10,000 lists of 100 items, on a real server. It reports how long the
// server does nothing else.
func BenchmarkActivate(b *testing.B) {
	const regions, k = 2_500, 100
	client := goredis.NewClient(&goredis.Options{Addr: redisserver.StartTest(b, redisserver.Options{}).Addr(), ContextTimeoutEnabled: true})
	b.Cleanup(func() { _ = client.Close() })
	boards := operators.Boards{Pane: time.Minute, Dimensions: []string{"region"}, Boards: []operators.Board{
		{Name: "views", K: k, Window: operators.Window{Size: time.Hour}, By: [][]string{{"region"}}},
	}}
	var sink *redis.Sink
	for generation := uint32(1); generation <= 2; generation++ {
		var err error
		sink, err = redis.New(redis.Config{Client: client, Boards: boards, Generation: generation, Active: func() (uint32, int64) { return 1, 1 }})
		if err != nil {
			b.Fatal(err)
		}
		var lists []event.Ranking
		for region := range regions { // with its window, newest, final and default keys
			l := list("views", "region-"+strconv.Itoa(region), base, 1)
			l.Final = true
			for i := range k {
				l.Entries = append(l.Entries, entry("item-"+strconv.Itoa(100_000+i*37), float64(k-i)))
			}
			lists = append(lists, l)
		}
		if _, err := sink.Writer(0, -1).Write(b.Context(), 1, base, lists); err != nil {
			b.Fatal(err)
		}
	}
	if err := client.ConfigResetStat(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	epoch := int64(1)
	before := sink.Stats()
	for b.Loop() {
		epoch++
		if err := sink.Activate(b.Context(), uint32(2-epoch%2), epoch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sink.Stats().Moved-before.Moved)/float64(b.N), "moved/op")
	stats, err := client.InfoMap(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(stats["Commandstats"]["cmdstat_evalsha"], "usec=")
	spent, _, _ := strings.Cut(after, ",")
	us, err := strconv.ParseFloat(spent, 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(us/1000/float64(b.N), "blocked-ms/op")
}
