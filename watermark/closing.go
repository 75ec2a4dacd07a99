package watermark

import "github.com/millrank/millrank/event"

// Source is what a receiver knows of the progress of one of its senders: a source
// partition, or a shard.
type Source struct {
	Heard          bool  // anything at all has come from it
	ClosedThrough  int64 // a source partition's watermark, or a shard's closing watermark; event.NoTime before the first
	DroppedThrough int64 // a source partition's watermark, or a shard's dropped-through; event.NoTime before the first
	Idle           bool  // nothing comes, and it has been quiet for the idle timeout
	IdleFor        int64 // how long, milliseconds
}

// KeepFinal is the reviseFor of a Closing that drops nothing before its sources have.
const KeepFinal int64 = -1

// Closing is the closing watermark over several sources, and how far what has closed
// is dropped. Both never go back.
type Closing struct {
	reviseFor int64
	closed    int64
	dropped   int64
}

// NewClosing returns a Closing that stands at (closed, dropped), event.NoTime at the
// start. What has closed is kept for reviseFor milliseconds of closing watermark, or
// until every source, idle ones included, has passed it.
func NewClosing(reviseFor, closed, dropped int64) Closing {
	return Closing{reviseFor: reviseFor, closed: closed, dropped: dropped}
}

// ClosedThrough returns the closing watermark: what closes at or before it is closed. event.NoTime before the first.
func (c *Closing) ClosedThrough() int64 { return c.closed }

// DroppedThrough returns how far what has closed need not be kept. event.NoTime before the first.
func (c *Closing) DroppedThrough() int64 { return c.dropped }

// Advance takes in the sources' progress, and reports whether either watermark moved.
//
// The closing watermark is the least over the sources that are not idle; one not
// heard from holds it back. When all are idle, time goes on at the clock's speed from
// where each stands: the least of (watermark + idle for) over those that have one.
// (Jumping to the wall clock instead would close every window of a stream that
// replays old events and pauses, and refuse all that follows.)
//
// Dropped-through is the greater of the least over all sources, idle ones included,
// and the closing watermark minus reviseFor.
func (c *Closing) Advance(sources []Source) bool {
	const never = int64(1<<63 - 1)
	live, allIdle, dropped := never, never, never
	for i := range sources {
		s := &sources[i]
		if !s.Heard {
			return false
		}
		dropped = min(dropped, s.DroppedThrough)
		if !s.Idle {
			live = min(live, s.ClosedThrough)
		} else if s.ClosedThrough != event.NoTime {
			allIdle = min(allIdle, s.ClosedThrough+s.IdleFor)
		}
	}
	was := *c
	if live == never {
		live = allIdle
	}
	if live != never {
		c.closed = max(c.closed, live)
	}
	if dropped != never {
		c.dropped = max(c.dropped, dropped)
	}
	if c.reviseFor != KeepFinal && c.closed != event.NoTime {
		c.dropped = max(c.dropped, c.closed-c.reviseFor)
	}
	return *c != was
}
