package chain_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/sim"
)

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
	servers := world.Kfake(t, 1).Brokers()
	for name, ways := range ways {
		facts, err := sim.Facts(name)
		if err != nil {
			t.Fatal(err)
		}
		const partitions = 6
		base := world.New(t, servers, world.DataSettings(), partitions, 1)
		base.Produce(sim.Arrive(7, facts, sim.Arrival{
			Partitions: partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
			Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: world.DataSettings(),
		}))
		all := &world.Boards{World: base, Config: world.BoardsConfig{Boards: world.DataBoards(name)}}
		all.Close()
		want := all.Answers(name)
		for _, way := range ways {
			t.Run(fmt.Sprintf("%s/%s/%d shards/%d processes", name, way.redis, way.shards, way.processes), func(t *testing.T) {
				again := *base
				again.T = t
				w := boardsOn(again.Again(way.shards), world.DataBoards(name), 4, redises.addresses(way.redis)...)
				w.options.FlushEvery = 100 * time.Millisecond
				for range way.processes {
					c := w.member()
					c.BatchRecords, c.FlushInterval = 4096, w.options.FlushEvery
					if way.processes == 1 {
						startMember(t, c, wrap{})
					} else {
						startProcess(w.World, c)
					}
				}
				w.CheckLists(want)
			})
		}
	}
}
