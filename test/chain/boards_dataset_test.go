package chain_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// dataBoards are boards whose answers come with a data set.
func dataBoards(name string) operators.Boards {
	measures := []operators.Measure{operators.Count}
	if name == "online-retail" {
		measures = append(measures, operators.Sum)
	}
	b := boardsOver(dataSettings())
	for _, m := range measures {
		for window, size := range map[string]time.Duration{"1h": time.Hour, "1d": 24 * time.Hour} {
			b.Boards = append(b.Boards, operators.Board{
				Name: m.String() + "-" + window, Window: operators.Window{Size: size}, Measure: m, K: 10, By: [][]string{{}, {"region"}},
			})
		}
	}
	return b
}

// answers returns the lists that come with a data set, which no code of this project has made; duplicates are the oracle's.
func (w *boardsWorld) answers(name string) answers {
	w.t.Helper()
	want := w.expected()
	n := 0
	for _, board := range w.config.Boards.Boards {
		lists, err := sim.Expected(name, board.Measure.String(), board.Name[len(board.Name)-2:])
		if err != nil {
			w.t.Fatal(err)
		}
		n += len(lists)
		for _, l := range lists {
			key := event.ListKey{Board: board.Name, Start: l.Start.UnixMilli()}
			if l.Region != nil {
				key.By, key.Group = "region", event.NewGroup(*l.Region)
			}
			r, ok := want[key]
			if !ok {
				w.t.Fatalf("%v is not in the oracle's lists", key)
			}
			r.Entries = nil
			for _, e := range l.Top {
				r.Entries = append(r.Entries, event.Entry{Item: e.Item, Score: float64(e.Score)})
			}
			want[key] = r
		}
	}
	if n != len(want) {
		w.t.Fatalf("%d lists in the answers, %d in the oracle's", n, len(want))
	}
	return want
}

// TestDataSetBoards: both real data sets, with injected duplicates, late, future and malformed records, become the lists that
// come with them, read by plain ZREVRANGE: with 1, 3 and 8 shards, by one process and by three, on a Redis server, a cluster, and the embedded one.
func TestDataSetBoards(t *testing.T) {
	type way struct {
		redis             string
		shards, processes int
	}
	ways := map[string][]way{
		"wikipedia-edits": {
			{"server", 1, 1}, {"server", 3, 1}, {"server", 8, 1}, {"server", 1, 3}, {"server", 3, 3}, {"server", 8, 3},
			{"cluster", 1, 3}, {"cluster", 3, 1}, {"cluster", 8, 3}, {"embedded", 1, 1}, {"embedded", 3, 3}, {"embedded", 8, 1},
		},
		"online-retail": {{"server", 1, 1}, {"server", 8, 3}, {"cluster", 3, 3}}, // 19,806 lists
	}
	if testing.Short() {
		ways = map[string][]way{"wikipedia-edits": {{"embedded", 3, 1}}}
	}
	redises := newRedises(t)
	servers := oneKfake(t)
	for name, ways := range ways {
		facts, err := sim.Facts(name)
		if err != nil {
			t.Fatal(err)
		}
		const partitions = 6
		base := newWorld(t, servers, dataSettings(), partitions, 1)
		base.produce(sim.Arrive(7, facts, sim.Arrival{
			Partitions: partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
			Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: dataSettings(),
		}))
		all := &boardsWorld{world: base, config: boardsConfig{Boards: dataBoards(name)}}
		all.close()
		want := all.answers(name)
		for _, way := range ways {
			t.Run(fmt.Sprintf("%s/%s/%d shards/%d processes", name, way.redis, way.shards, way.processes), func(t *testing.T) {
				again := *base
				again.t = t
				w := again.again(way.shards).withBoards(dataBoards(name), 4, redises.addresses(way.redis)...)
				for range way.processes {
					c := w.member()
					c.BatchRecords = 4096
					c.FlushInterval, w.config.FlushEvery = 100*time.Millisecond, 100*time.Millisecond
					if way.processes == 1 {
						startMember(t, c, wrap{})
					} else {
						w.startProcess(c)
					}
				}
				w.checkBoards(want)
			})
		}
	}
}
