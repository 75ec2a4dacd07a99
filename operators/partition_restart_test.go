package operators_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrank/millrank/sim"
)

// TestRestartAtEveryOffset kills the fold after every record of 1,000 seeded logs, and lets
// it go on from what it had committed: in batches of other sizes, with redelivered
// records, flushes lost, cut short and repeated, and with its dead predecessors' flushes
// still trickling in. Each later record's decision, W, and each published value must be
// the oracle's.
func TestRestartAtEveryOffset(t *testing.T) {
	eachSeed(t, seeds(1000), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := sim.SmallSettings(rng)
		log := sim.SmallLog(rng, 40)
		if seed%3 == 0 {
			log = sim.Shift(log, -1_000_003) // watermarks and event times below zero
			for i := range log {
				if log[i].Time == sim.NoTimestamp {
					log[i].Time--
				}
			}
		}
		f := newFolding(t, rng, s, 0, 1+int(seed%3), log)
		prefixes := prefixesOf(s, log, f.want)
		for stop := range log {
			f.reset(len(f.updates.lanes))
			f.run(stop)
			for stop < len(log) && rng.IntN(3) == 0 { // chains of restarts
				stop += rng.IntN(len(log) - stop)
				f.run(stop)
			}
			f.run(len(log))
			f.check(prefixes)
			if t.Failed() {
				t.Logf("killed before record %d; settings %+v", stop, s)
				return
			}
		}
	})
}
