package world

import (
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// Closed returns the closing watermark that the receivers of the updates have, as far as all shards are.
func (w *World) Closed() int64 {
	w.T.Helper()
	closed := int64(1) << 62
	for _, log := range w.ReadAll(w.Topics.Updates, w.Shards) {
		receiver := operators.NewReceiver[[]event.Cell](w.Partitions, 1<<40, operators.ResumeAt(0))
		for _, record := range log {
			_, _, update, err := wire.DecodeUpdate(record.Value)
			if err != nil {
				w.T.Fatal(err)
			}
			if _, took, err := receiver.Take(record.Offset, update.Part, nil); err != nil {
				w.T.Fatal(err)
			} else if took != operators.Partial {
				receiver.Advance()
			}
		}
		closed = min(closed, receiver.ClosedThrough())
	}
	return closed
}

// Watermark returns that of a partition after all that was produced, by the oracle.
func (w *World) Watermark(p int) int64 {
	outcomes := sim.Decide(w.Settings, w.Logs[p])
	return outcomes[len(outcomes)-1].W
}
