package chain_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/sim"
)

// brokers are those that tests run on; with -short, the embedded one alone.
func brokers() map[string]func(*testing.T) []string {
	all := map[string]func(*testing.T) []string{
		"kfake": func(t *testing.T) []string {
			t.Helper()
			return world.Kfake(t, 1).Brokers()
		},
		"apache": func(t *testing.T) []string {
			t.Helper()
			return apachekafka.StartTest(t, apachekafka.Options{}).Brokers()
		},
	}
	if testing.Short() {
		delete(all, "apache")
	}
	return all
}

// TestDataSets: both real data sets, with injected duplicates, late, future and malformed records, come out as
// the oracle's cells and dead letters, on both brokers, by one member and by three.
func TestDataSets(t *testing.T) {
	names := []string{"wikipedia-edits", "online-retail"}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		facts, err := sim.Facts(name)
		if err != nil {
			t.Fatal(err)
		}
		const partitions = 6
		logs := sim.Arrive(7, facts, sim.Arrival{
			Partitions: partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
			Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: world.DataSettings(),
		})
		for broker, start := range brokers() {
			servers := start(t)
			for _, members := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s/%s by %d", broker, name, members), func(t *testing.T) {
					w := world.New(t, servers, world.DataSettings(), partitions, 4)
					w.Produce(logs)
					for range members {
						c := member(w)
						c.BatchRecords = 4096
						startMember(t, c, wrap{})
					}
					w.AwaitDone()
					w.Check(members > 1) // partitions that move begin at their commit
				})
			}
		}
	}
}
