//go:build e2e

package e2e_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/test/world"
)

const (
	floodRecords    = 2_000_000 // or what MILLRANK_FLOOD_RECORDS says
	floodPartitions = 2
	floodShards     = 2
	floodItems      = 100_000 // that a shard may hold
	floodIDs        = 262_144 // that a partition remembers
	floodPerSecond  = 50_000  // in event time
	floodOften      = 8       // items that come again and again
)

// floodBoards are lists within all, and within regions.
func floodBoards() operators.Boards {
	both := [][]string{{}, {"region"}}
	return world.BoardsOver(world.LiveSettings(),
		operators.Board{Name: "count", Window: operators.Window{Size: 10 * time.Second}, Measure: operators.Count, K: 10, By: both},
		operators.Board{Name: "sum", Window: operators.Window{Size: 10 * time.Second}, Measure: operators.Sum, K: 10, By: both})
}

// TestFlood (fault 22): a flood of IDs, items and regions that come once, among a few items that come often, through the built program. Its memory stays within a quarter more than
// 'millrank plan' says of its limits (that is how exact the planner is to be), it says what it had to let go, and lists that this can touch say that they are not exact, and by how much.
//
//	MILLRANK_FLOOD_RECORDS=10000000 go test -tags e2e -count=1 ./test/e2e -run 'TestFlood$' -timeout 20m -v
func TestFlood(t *testing.T) {
	records := floodRecords
	if text := os.Getenv("MILLRANK_FLOOD_RECORDS"); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			t.Fatalf("MILLRANK_FLOOD_RECORDS: %v", err)
		}
	}
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.LiveSettings(), floodPartitions, floodShards), "flood", floodBoards(), 2, redisserver.StartTest(t, redisserver.Options{}).Addr())
	limits := []string{
		fmt.Sprintf("limits.rank_items=%d", floodItems), fmt.Sprintf("dedup.records=%d", floodIDs), "limits.pending_cells=100000", "time.idle_timeout=1h", "flush.rankings=250ms", "flush.redis=250ms",
	}
	bound := w.floodBound(limits)
	args := make([]string, 0, 2*len(limits))
	for _, limit := range limits {
		args = append(args, "--set", limit)
	}
	p := w.start(args...)
	began := time.Now()
	truth := w.flood(rng, records)
	w.awaitFlood(records, truth)
	peak := w.peak(p)
	status := w.says(p)
	t.Logf("%d records in %v; memory at most %d MiB, bound %d MiB", records, time.Since(began).Round(time.Second), peak>>20, bound>>20)
	if peak > bound {
		t.Errorf("%d MiB of memory, more than %d MiB", peak>>20, bound>>20)
	}
	if status.Decisions["counted"] != int64(records) {
		t.Errorf("decisions are %v, want %d counted", status.Decisions, records)
	}
	var evicted int64
	for _, s := range status.Shards {
		evicted += s.Evicted
		if s.Room != floodItems || s.Items > s.Room {
			t.Errorf("shard %d holds %d of %d items", s.Partition, s.Items, s.Room)
		}
	}
	if evicted == 0 {
		t.Error("nothing had to go: the flood was none")
	}
	t.Logf("%d items had to go", evicted)
	w.checkFlood(truth)
}

// floodBound is how much memory the process may take: a quarter more than the planner says of intake, rank and leaderboard, for this flood and these limits.
func (w *run) floodBound(limits []string) int64 {
	w.T.Helper()
	s, err := settings.Load(settings.From{File: w.file, Set: limits})
	if err != nil {
		w.T.Fatal(err)
	}
	traffic := settings.DefaultTraffic()
	traffic.EventsPerSecond, traffic.Partitions = floodPerSecond, floodPartitions
	traffic.Items, traffic.Regions = floodPerSecond*3600, floodPerSecond/100*10 // each item is another one, and so is each hundredth region, in a window
	costs := settings.Cost(s, traffic)
	var bound int64
	for _, handler := range []string{settings.Intake, settings.Rank, settings.Leaderboard} {
		h := costs.Handler(handler)
		w.T.Logf("planned for %s: %d MiB", handler, h.RSSBytes>>20)
		bound += h.RSSBytes
	}
	return bound + bound/4
}

// flood produces records, and returns what the lists of all regions are to say of the items that come often: counts, by window and item. (Each has the value 1, so sums are the same.)
func (w *run) flood(rng *rand.Rand, records int) map[int64]map[string]float64 {
	w.T.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(w.Topics.Events), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		w.T.Fatal(err)
	}
	defer client.Close()
	const window = 10_000
	start := time.Now().Add(-time.Hour).Truncate(window * time.Millisecond).UnixMilli()
	truth := map[int64]map[string]float64{}
	var failed atomic.Pointer[error]
	for n := range records + floodPartitions {
		at := start + int64(n)*1000/floodPerSecond
		r := &kgo.Record{Partition: int32(n % floodPartitions), Timestamp: time.UnixMilli(at)}
		if n >= records { // time goes on, so that all windows close
			r.Headers = []kgo.RecordHeader{{Key: "advance-watermark", Value: fmt.Append(nil, at+60_000)}}
			r.Timestamp = time.UnixMilli(at + 60_000)
		} else {
			item, region := fmt.Sprintf("one-%d", n), "eu"
			switch rng.IntN(100) {
			case 0, 1, 2, 3:
				item = fmt.Sprintf("often-%d", rng.IntN(floodOften))
				if truth[at/window*window] == nil {
					truth[at/window*window] = map[string]float64{}
				}
				truth[at/window*window][item]++
			case 4:
				region = fmt.Sprintf("region-%d", n)
			}
			r.Value = fmt.Appendf(nil, `{"event_id":"e%d","item_id":%q,"region":%q,"timestamp":%q}`, n, item, region, time.UnixMilli(at).UTC().Format(time.RFC3339Nano))
		}
		client.Produce(w.T.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := client.Flush(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		w.T.Fatal(*err)
	}
	return truth
}

// awaitFlood waits until all is processed, as long as it goes on, and lists are final.
func (w *run) awaitFlood(records int, truth map[int64]map[string]float64) {
	w.T.Helper()
	all := int64(records + floodPartitions)
	for seen := w.Processed(); seen < all; seen = w.Processed() {
		w.Eventually("it goes on", func() bool { return w.Processed() > seen })
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); !w.floodFinal(truth); <-ticker.C { // rank and Redis may have more to do than Patience allows
		if time.Since(began) > 5*world.Patience {
			w.T.Fatalf("it took more than %v until all lists of all regions were final", 5*world.Patience)
		}
	}
}

// floodFinal reports whether the lists of all regions are.
func (w *run) floodFinal(truth map[int64]map[string]float64) bool {
	w.T.Helper()
	for start := range truth {
		for _, board := range w.Config.Boards.Boards {
			if got, err := w.Read(w.T.Context(), w.Key(event.ListKey{Board: board.Name, Start: start}), board.Order); err != nil || got.Meta["final"] != "1" {
				return false
			}
		}
	}
	return true
}

// checkFlood: in each list of all regions, what comes often is off by no more than the list says. Some are not exact.
func (w *run) checkFlood(truth map[int64]map[string]float64) {
	w.T.Helper()
	lists, inexact := 0, 0
	for start, items := range truth {
		for _, board := range w.Config.Boards.Boards {
			key := event.ListKey{Board: board.Name, Start: start}
			got, err := w.Read(w.T.Context(), w.Key(key), board.Order)
			if err != nil {
				w.T.Fatal(err)
			}
			lists++
			most := 0.0
			if got.Meta["exact"] != "1" {
				inexact++
				if most, err = strconv.ParseFloat(got.Meta["max_error"], 64); err != nil || most <= 0 {
					w.T.Errorf("%s is not exact, and its max_error is %q", w.Key(key), got.Meta["max_error"])
				}
			}
			listed := map[string]float64{}
			for _, e := range got.Entries {
				listed[e.Item] = e.Score
			}
			for item, count := range items {
				if off := math.Abs(listed[item] - count); off > most {
					w.T.Errorf("%s: %s has %v, but %v; further off than %v", w.Key(key), item, listed[item], count, most)
				}
			}
		}
	}
	if inexact == 0 {
		w.T.Errorf("%d lists, and all are said to be exact", lists)
	}
	w.T.Logf("%d lists of all regions, %d not exact", lists, inexact)
}
