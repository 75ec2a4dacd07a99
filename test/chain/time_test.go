package chain_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/sim"
)

// TestIdle (fault 14): a partition without records, then all of them idle, then they wake up; nothing that comes after the pause is refused.
func TestIdle(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		logs := w.LiveLogs(rng.Uint64(), 4000)
		logs[2] = nil
		first, second := make([][]sim.Record, w.Partitions), make([][]sim.Record, w.Partitions)
		for p, log := range logs {
			first[p], second[p] = log[:len(log)/2], log[len(log)/2:]
		}
		w.Produce(first)
		startMember(t, member(w), wrap{})
		w.AwaitDone()
		least := min(w.Watermark(0), w.Watermark(1), w.Watermark(3))
		w.Eventually("an idle partition no longer holds time back", func() bool { return w.Closed() >= least })
		w.Eventually("time goes on when all are idle", func() bool { return w.Closed() > least+member(w).IdleTimeout.Milliseconds() })
		w.Produce(second)
		w.AwaitDone()
		w.Check(false) // decisions are as if there had been no pause
	})
}

// TestBehind (fault 15): one partition comes long after the others.
func TestBehind(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, _ *kfake.Cluster, rng *rand.Rand) {
		logs := w.LiveLogs(rng.Uint64(), 5000)
		late := make([][]sim.Record, w.Partitions)
		late[1], logs[1] = logs[1], nil
		startMember(t, member(w), wrap{})
		w.Produce(logs)
		w.AwaitDone()
		w.Produce(late)
		w.AwaitDone()
		w.Check(false)
	})
}

// TestPermuted (faults 16, 17): however large batches are, and whenever flushes come, and whatever the
// machine's clock says, the outcome is the same.
func TestPermuted(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, shared *world.World, _ *kfake.Cluster, rng *rand.Rand) {
		for range 12 {
			dice := world.NewRand(t, rng.Uint64N(1_000_000))
			w := world.New(t, shared.Brokers, world.LiveSettings(), 1+dice.IntN(4), 1+dice.IntN(5))
			c := member(w)
			c.BatchRecords = 1 + dice.IntN(2000)
			c.FlushInterval = time.Duration(1+dice.IntN(60)) * time.Millisecond
			c.FlushCells = 1 + dice.IntN(3000)
			c.PendingCells = c.FlushCells + dice.IntN(3000)
			c.ClockAhead = time.Duration(dice.IntN(3)-1) * time.Hour
			m := startMember(t, c, wrap{})
			w.Chaos(dice, w.LiveLogs(dice.Uint64(), 3000), 4, func(int) {})
			w.AwaitDone()
			w.Check(false)
			_ = m.stop()
		}
	})
}
