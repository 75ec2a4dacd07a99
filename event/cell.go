package event

import "math"

// Cell is what one source partition knows of one (pane, group, item), in absolute
// numbers as of some offset. Group and Item are views that belong to whoever made
// the cell; a receiver that keeps them copies them.
type Cell struct {
	Pane       int64 // the pane's start, Unix milliseconds
	Group      []byte
	Item       []byte
	Count      int64 // events counted
	Sum        int64 // of their values; saturates at the ends of int64 and stays there
	Min, Max   int64 // of their values
	Duplicates int64 // events dropped as duplicates while the pane was open
}

// Saturated reports whether a sum has run over: it then stands at an end of int64 for good.
func Saturated(sum int64) bool { return sum == math.MaxInt64 || sum == math.MinInt64 }

// AddSaturating returns sum+value, or the end of int64 that it would pass. A sum
// that has saturated stays, whatever is added, so that it can't look right again.
func AddSaturating(sum, value int64) int64 {
	if Saturated(sum) {
		return sum
	}
	s := sum + value
	if (sum^s)&(value^s) < 0 { // the operands' sign differs from the result's
		if value > 0 {
			return math.MaxInt64
		}
		return math.MinInt64
	}
	return s
}

// Part is the head of every message between two stages: who speaks, as of when, and
// how far its time has come. A flush is one or more parts with the same Source,
// Incarnation and AsOf; a receiver takes it in as a whole when the last part is there.
type Part struct {
	Source         int    // source partition, or shard
	Incarnation    uint64 // the sender's run: a zombie's parts never complete its successor's flush
	AsOf           int64  // the offset of the sender's input that the values stand for
	Number         int    // 0, 1, 2, ...
	Last           bool
	ClosedThrough  int64 // nothing that closes at or before this changes again (a source partition's watermark); NoTime where there is none yet
	DroppedThrough int64 // nothing that closes at or before this is kept (a source partition's watermark); NoTime where there is none yet
	Idle           bool  // nothing comes, and the input has been quiet for the idle timeout
	IdleFor        int64 // how long, milliseconds
}

// Update is one message of the updates topic: cells of one source partition for one shard.
type Update struct {
	Part
	Cells []Cell
}
