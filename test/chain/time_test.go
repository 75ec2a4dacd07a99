package chain_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// closed returns the closing watermark that the receivers of the updates have, as far as all shards are.
func (w *world) closed() int64 {
	w.t.Helper()
	closed := int64(1) << 62
	for _, log := range w.readAll(w.topics.Updates, w.shards) {
		receiver := operators.NewReceiver[[]event.Cell](w.partitions, 1<<40, operators.ResumeAt(0))
		for _, record := range log {
			_, _, update, err := wire.DecodeUpdate(record.Value)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, took, err := receiver.Take(record.Offset, update.Part, nil); err != nil {
				w.t.Fatal(err)
			} else if took != operators.Partial {
				receiver.Advance()
			}
		}
		closed = min(closed, receiver.ClosedThrough())
	}
	return closed
}

func (w *world) watermark(p int) int64 {
	outcomes := sim.Decide(w.settings, w.logs[p])
	return outcomes[len(outcomes)-1].W
}

// TestIdle (fault 14): a partition without records, then all of them idle, then they wake up; nothing that comes after the pause is refused.
func TestIdle(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		logs := w.liveLogs(rng.Uint64(), 4000)
		logs[2] = nil
		first, second := make([][]sim.Record, w.partitions), make([][]sim.Record, w.partitions)
		for p, log := range logs {
			first[p], second[p] = log[:len(log)/2], log[len(log)/2:]
		}
		w.produce(first)
		startMember(t, w.member(), wrap{})
		w.awaitDone()
		least := min(w.watermark(0), w.watermark(1), w.watermark(3))
		w.eventually("an idle partition no longer holds time back", func() bool { return w.closed() >= least })
		w.eventually("time goes on when all are idle", func() bool { return w.closed() > least+w.member().IdleTimeout.Milliseconds() })
		w.produce(second)
		w.awaitDone()
		w.check(false) // decisions are as if there had been no pause
	})
}

// TestBehind (fault 15): one partition comes long after the others.
func TestBehind(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world, _ *kfake.Cluster, rng *rand.Rand) {
		logs := w.liveLogs(rng.Uint64(), 5000)
		late := make([][]sim.Record, w.partitions)
		late[1], logs[1] = logs[1], nil
		startMember(t, w.member(), wrap{})
		w.produce(logs)
		w.awaitDone()
		w.produce(late)
		w.awaitDone()
		w.check(false)
	})
}

// TestPermuted (faults 16, 17): however large batches are, and whenever flushes come, and whatever the
// machine's clock says, the outcome is the same.
func TestPermuted(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, shared *world, _ *kfake.Cluster, rng *rand.Rand) {
		for range 12 {
			dice := newRand(t, rng.Uint64N(1_000_000))
			w := newWorld(t, shared.brokers, liveSettings(), 1+dice.IntN(4), 1+dice.IntN(5))
			c := w.member()
			c.BatchRecords = 1 + dice.IntN(2000)
			c.FlushInterval = time.Duration(1+dice.IntN(60)) * time.Millisecond
			c.FlushCells = 1 + dice.IntN(3000)
			c.PendingCells = c.FlushCells + dice.IntN(3000)
			c.ClockAhead = time.Duration(dice.IntN(3)-1) * time.Hour
			m := startMember(t, c, wrap{})
			w.chaos(dice, w.liveLogs(dice.Uint64(), 3000), 4, func(int) {})
			w.awaitDone()
			w.check(false)
			_ = m.stop()
		}
	})
}
