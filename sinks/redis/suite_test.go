package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSink holds the sink against the embedded Redis, a real one, and a real cluster.
func TestSink(t *testing.T) {
	tests := []struct {
		name string
		test func(t *testing.T, w *world)
	}{
		{"names", testNames}, {"orders", testOrders}, {"one and ten thousand", testSizes}, {"meta", testMeta}, {"refused", testRefused},
		{"histories", testHistories}, {"zombies", testZombies}, {"readers", testReaders}, {"aliases", testAliases},
		{"time to live", testTimeToLive}, {"expired", testExpired}, {"many", testMany}, {"forgetting", testForgetting}, {"no script", testNoScript},
		{"lost all", testLostAll}, {"lost before a restart", testLostBeforeRestart}, {"lost a key", testLostKey}, {"lost while filling", testLostWhileFilling},
		{"lost and written", testLostAndWritten},
		{"filler", testFiller}, {"check", testCheck}, {"late", testLate}, {"late and old", testLateOld}, {"wrong type", testWrongType},
	}
	ofGenerations := []struct {
		name string
		test func(t *testing.T, w *world)
	}{
		{"generations", testGenerations}, {"generations' late counts", testGenerationsLate}, {"generations' steps", testGenerationsSteps}, {"neighbors", testNeighbors},
	}
	run := func(name string, addrs func(t *testing.T) []string) {
		t.Run(name, func(t *testing.T) {
			w := &world{addrs: addrs(t), kind: name}
			w.client = connect(t, w.addrs)
			for i, test := range tests {
				for generation := range uint32(2) { // 0 is none
					if generation > 0 && name == "embedded" {
						continue // as on a single real server
					}
					t.Run(test.name+[]string{"", ", of a generation"}[generation], func(t *testing.T) {
						each := *w
						each.generation, each.prefix = generation, fmt.Sprintf("t%d.%d:", i, generation)
						test.test(t, &each)
					})
				}
			}
			for i, test := range ofGenerations {
				t.Run(test.name, func(t *testing.T) {
					each := *w
					each.prefix = fmt.Sprintf("[g?*]%d:", i)
					test.test(t, &each)
				})
			}
		})
	}
	run("embedded", func(t *testing.T) []string { return []string{startEmbedded(t).Addr()} })
	run("single", func(t *testing.T) []string {
		return []string{redisserver.StartTest(t, redisserver.Options{}).Addr()}
	})
	run("cluster", func(t *testing.T) []string {
		return redisserver.StartClusterTest(t, 3, redisserver.Options{}).Addrs()
	})
}

func startEmbedded(t *testing.T) *embedded.Redis {
	t.Helper()
	server, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, addrs []string) goredis.UniversalClient {
	t.Helper()
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// world is one Redis, as one test sees it.
type world struct {
	addrs  []string
	kind   string
	client goredis.UniversalClient
	prefix string

	generation uint32 // which is active; 0: none
}

// base is a window's start, for tests that don't care which.
var base = time.Date(2026, 9, 18, 14, 0, 0, 0, time.UTC).UnixMilli()

const minute = int64(60_000)

// boards are the boards of all tests: views is the default one.
func boards() operators.Boards {
	hour := operators.Window{Size: time.Minute}
	return operators.Boards{
		Pane: time.Minute, Dimensions: []string{"region", "cat"},
		Boards: []operators.Board{
			{Name: "views", K: 5, Window: hour, By: [][]string{{}, {"region"}, {"region", "cat"}}},
			{Name: "worst", K: 5, Window: hour, Order: event.Bottom, Measure: operators.Sum, By: [][]string{{"region"}}},
			{Name: "first", K: 1, Window: hour, By: [][]string{{}}},
			{Name: "large", K: 10_000, Window: hour, By: [][]string{{}}},
			{Name: "slide", K: 5, Window: operators.Window{Size: 3 * time.Minute, Slide: time.Minute}, By: [][]string{{"cat"}}},
		},
	}
}

func (w *world) sink(t *testing.T, change func(c *redis.Config)) *redis.Sink {
	t.Helper()
	c := redis.Config{Client: w.client, Prefix: w.prefix, Boards: boards()}
	if w.generation > 0 {
		c.Generation, c.Active = w.generation, func() (uint32, int64) { return w.generation, 1 }
	}
	if change != nil {
		change(&c)
	}
	sink, err := redis.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// list makes a list of a board and region; with "", of all events.
func list(board, region string, start, revision int64, entries ...event.Entry) event.Ranking {
	r := event.Ranking{ListKey: event.ListKey{Board: board, Start: start}, End: start + minute, Entries: entries, Exact: true, Revision: revision}
	if region != "" {
		r.By, r.Group = "region", event.NewGroup(region)
	}
	return r
}

// write writes lists as of their greatest revision, which must succeed, and returns whether Redis is behind.
func write(t *testing.T, writer *redis.Writer, lists ...event.Ranking) bool {
	t.Helper()
	asOf := int64(0)
	for _, l := range lists {
		asOf = max(asOf, l.Revision)
	}
	behind, err := writer.Write(t.Context(), asOf, base, lists)
	if err != nil {
		t.Fatal(err)
	}
	return behind
}

// read reads a list, in the board's order, and what describes it, as of one moment.
func (w *world) read(ctx context.Context, key string, order event.Order) (entries []event.Entry, meta map[string]string, err error) {
	var set *goredis.ZSliceCmd
	var hash *goredis.MapStringStringCmd
	_, err = w.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		if order == event.Bottom {
			set = p.ZRangeWithScores(ctx, key, 0, -1)
		} else {
			set = p.ZRevRangeWithScores(ctx, key, 0, -1)
		}
		hash = p.HGetAll(ctx, redis.Meta(key))
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for _, z := range set.Val() {
		entries = append(entries, event.Entry{Item: fmt.Sprint(z.Member), Score: z.Score})
	}
	return entries, hash.Val(), nil
}

// check fails unless a key holds just this list.
func (w *world) check(t *testing.T, key string, want event.Ranking) {
	t.Helper()
	order := event.Top
	if want.Board == "worst" {
		order = event.Bottom
	}
	entries, meta, err := w.read(t.Context(), key, order)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(entries, want.Entries) {
		t.Fatalf("%q holds %v, want %v", key, entries, want.Entries)
	}
	if got := meta["start"] + "@" + meta["revision"]; got != fmt.Sprintf("%s@%d", rfc(want.Start), want.Revision) {
		t.Fatalf("%q is %s, want %s@%d", key, got, rfc(want.Start), want.Revision)
	}
}

// flushAll empties all servers.
func (w *world) flushAll(t *testing.T) {
	t.Helper()
	for _, addr := range w.addrs {
		if err := connect(t, []string{addr}).FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// keys returns all keys that begin with this, braces aside, sorted.
func (w *world) keys(t *testing.T, prefix string) []string {
	t.Helper()
	var found []string
	for _, addr := range w.addrs {
		all, err := connect(t, []string{addr}).Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if strings.HasPrefix(strings.TrimPrefix(key, "{"), prefix) {
				found = append(found, key)
			}
		}
	}
	slices.Sort(found)
	return found
}

func rfc(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

func entry(item string, score float64) event.Entry { return event.Entry{Item: item, Score: score} }
