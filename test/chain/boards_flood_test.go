package chain_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// flood returns logs of events of a few items that come again and again among very many that come once, of regions that do the same.
func (w *boardsWorld) flood(rng *rand.Rand, records int) [][]sim.Record {
	logs := make([][]sim.Record, w.Partitions)
	at := int64(1_709_043_537_000)
	for n := range records {
		item, region := fmt.Sprint("one-", n), "eu"
		switch rng.IntN(12) {
		case 0:
			item = fmt.Sprint("often-", rng.IntN(8))
		case 1:
			region = fmt.Sprint("region-", n)
		}
		p := operators.Shard([]byte(item), w.Partitions)
		logs[p] = append(logs[p], sim.Record{EventID: fmt.Sprint("e", n), Item: item, Dims: []string{region}, At: at, Time: at, Value: 1 + rng.Int64N(5)})
		at += rng.Int64N(2)
	}
	return logs
}

// TestBoardsFlood (fault 22): many more items and regions than there is room for. Rank keeps within its budget, says so, and each list
// says whether it is exact; where it isn't, no score is further from the truth than it says.
func TestBoardsFlood(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Config.Boards.RankItems = 2000
		log := watermill.NewCaptureLogger()
		m := startMember(t, w.member(), wrap{logger: log})
		w.Produce(w.flood(rng, 30_000))
		w.Close()
		want := w.Expected()
		global := 0
		w.EventuallyOr("all global lists are final", func() bool {
			global = 0
			for _, r := range want {
				if got, err := w.Read(t.Context(), w.Key(r.ListKey), w.Board(r.Board).Order); r.By == "" && (err != nil || got.Meta["final"] != "1") {
					return false
				} else if r.By == "" {
					global++
				}
			}
			return true
		}, func() string { return "" })

		whole := w.whole()
		exact, inexact, absent := 0, 0, 0
		for _, r := range want {
			got, err := w.Read(t.Context(), w.Key(r.ListKey), w.Board(r.Board).Order)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Meta) == 0 {
				absent++
				continue
			}
			if got.Meta["exact"] == "1" {
				exact++
				if diffs := w.Difference(t.Context(), w.Key(r.ListKey), r); len(diffs) > 0 && got.Meta["final"] == "1" {
					t.Errorf("it is said to be exact: %s", diffs[0])
				}
				continue
			}
			inexact++
			most, err := strconv.ParseFloat(got.Meta["max_error"], 64)
			if err != nil || most <= 0 {
				t.Errorf("%s is not exact, and its max_error is %q", w.Key(r.ListKey), got.Meta["max_error"])
			}
			truth := map[string]float64{}
			for _, e := range whole[r.ListKey].Entries {
				truth[e.Item] = e.Score
			}
			for _, e := range got.Entries {
				if off := math.Abs(e.Score - truth[e.Item]); off > most && got.Meta["final"] == "1" {
					t.Errorf("%s: %s has %v, but %v, further off than %v", w.Key(r.ListKey), e.Item, e.Score, truth[e.Item], most)
				}
			}
		}
		t.Logf("%d lists: %d exact, %d not, %d not there; %d global ones", len(want), exact, inexact, absent, global)
		var evicted int64
		for _, s := range m.rank.Status() {
			evicted += s.Evicted
			if s.Items > s.Room || s.Room != 2000 {
				t.Errorf("shard %d holds %d cells in a room of %d", s.Partition, s.Items, s.Room)
			}
		}
		if evicted == 0 || exact == 0 || inexact == 0 {
			t.Errorf("%d evicted, %d lists exact, %d not: the flood was none", evicted, exact, inexact)
		}
		w.checkMetrics(m, evicted)
		said := false
		_ = m.stop() // what it logs is read without a lock
		for _, line := range log.Captured()[watermill.ErrorLogLevel] {
			said = said || line.Err != nil && strings.Contains(line.Err.Error(), "limits.rank_items")
		}
		if !said {
			t.Error("the log doesn't name the setting")
		}
	})
}

// whole returns all lists with all their items.
func (w *boardsWorld) whole() world.Answers {
	all := *w.Boards
	all.Config.Boards.Boards = slices.Clone(all.Config.Boards.Boards)
	for i := range all.Config.Boards.Boards {
		b := &all.Config.Boards.Boards[i]
		b.K, b.MinCount = math.MaxInt32, 0
	}
	return all.Expected()
}

// checkMetrics reads rank's metrics, as an exporter does.
func (w *boardsWorld) checkMetrics(m *running, evicted int64) {
	w.T.Helper()
	reader := sdk.NewManualReader()
	registration, err := m.rank.Observe(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"))
	if err != nil {
		w.T.Fatal(err)
	}
	defer func() {
		if err := registration.Unregister(); err != nil {
			w.T.Error(err)
		}
	}()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(w.T.Context(), &all); err != nil {
		w.T.Fatal(err)
	}
	sums := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch data := metric.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, point := range data.DataPoints {
					sums[metric.Name] += point.Value
				}
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					sums[metric.Name] += point.Value
				}
			}
		}
	}
	if sums["millrank.rank.items.limit"] != int64(2000*w.Shards) || sums["millrank.rank.items.evicted"] < evicted || sums["millrank.rank.items"] > int64(2000*w.Shards) {
		w.T.Errorf("metrics are %v, want %d evicted", sums, evicted)
	}
}
