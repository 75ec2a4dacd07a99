package redis_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
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
	}{
		{"single/whole", []string{single}, 100, true},
		{"single/changed=1", []string{single}, 1, false},
		{"single/changed=10", []string{single}, 10, false},
		{"single/changed=50", []string{single}, 50, false},
		{"cluster/whole", cluster, 100, true},
		{"cluster/changed=10", cluster, 10, false},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkWrite(b, bench.addrs, bench.changed, bench.whole) })
	}
}

func benchmarkWrite(b *testing.B, addrs []string, changed int, whole bool) {
	const regions, k = 100, 100
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	b.Cleanup(func() { _ = client.Close() })
	boards := operators.Boards{Pane: time.Minute, Dimensions: []string{"region"}}
	for _, name := range []string{"views", "likes", "sales"} {
		boards.Boards = append(boards.Boards, operators.Board{Name: name, K: k, Window: operators.Window{Size: time.Hour}, By: [][]string{{"region"}}})
	}
	sink, err := redis.New(redis.Config{Client: client, Prefix: b.Name() + ":", Boards: boards})
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
