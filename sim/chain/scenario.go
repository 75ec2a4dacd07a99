package chain

import (
	"cmp"
	"slices"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// Scenario is a run: the same one always runs the same way.
type Scenario struct {
	Knobs   Knobs
	Records [][]sim.Record // by source partition; Shrink leaves offsets out
	Steps   []Step
	Bug     Bug // for tests of the simulator
}

// Knobs are the settings of a run. Times are milliseconds.
type Knobs struct {
	Fold       operators.Settings
	Boards     []operators.Board
	ReviseFor  int64
	Scale      int
	Dimensions int // 1 or 2
	Shards     int // partitions of updates
	Lanes      int // partitions of rankings
	IdleAfter  int64
	PendingMax int // cells, or lists: then reading stops
	PartMax    int // cells, or lists, in one message
}

// dimensionNames are the names of up to two dimensions.
func (k Knobs) dimensionNames() []string { return []string{"region", "category"}[:k.Dimensions] }

// boards is what rank and merge are given.
func (k Knobs) boards() operators.Boards {
	return operators.Boards{
		Pane: k.Fold.Pane, AllowedLateness: k.Fold.AllowedLateness, OutOfOrderness: k.Fold.OutOfOrderness,
		ReviseFor: time.Duration(k.ReviseFor) * time.Millisecond, ValueScale: k.Scale, Dimensions: k.dimensionNames(), Boards: k.Boards,
	}
}

// span is the length and places of a board's windows.
type span struct{ size, slide, offset int64 }

func spanOf(w operators.Window) span {
	s := span{w.Size.Milliseconds(), w.Slide.Milliseconds(), w.Offset.Milliseconds()}
	if s.slide == 0 {
		s.slide = s.size
	}
	return s
}

// spans returns the boards' spans, each once.
func (k Knobs) spans() []span {
	var spans []span
	for i := range k.Boards {
		if s := spanOf(k.Boards[i].Window); !slices.Contains(spans, s) {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.slide, b.slide), cmp.Compare(a.offset, b.offset))
	})
	return spans
}

// windows returns the starts of all windows that hold a pane, the latest first.
func (s span) windows(pane, paneSize int64) []int64 {
	var starts []int64
	for at := floorDiv(pane-s.offset, s.slide)*s.slide + s.offset; at+s.size >= pane+paneSize; at -= s.slide {
		starts = append(starts, at)
	}
	return starts
}

// oracleBoard is a board in the oracle's words, for one of its groupings.
func (k Knobs) oracleBoard(b *operators.Board, by []string) sim.Board {
	o := sim.Board{Measure: sim.Measure(b.Measure), Scale: k.Scale, MinCount: b.MinCount, Order: b.Order, K: b.K}
	s := spanOf(b.Window)
	o.Size, o.Slide, o.Offset = time.Duration(s.size)*time.Millisecond, time.Duration(s.slide)*time.Millisecond, time.Duration(s.offset)*time.Millisecond
	for _, name := range by {
		o.Dims = append(o.Dims, slices.Index(k.dimensionNames(), name))
	}
	return o
}

// folded is a record as the fold is given it.
func folded(r sim.Record) operators.Record {
	f := operators.Record{Offset: r.Offset, Time: r.Time}
	switch r.Kind {
	case sim.Malformed:
		f.Kind = operators.KindMalformed
	case sim.Punctuation:
		f.Kind, f.Advance = operators.KindPunctuation, r.At
	case sim.Event:
		f.Event = r.Event()
	}
	return f
}

func cellKey(c *event.Cell) sim.CellKey {
	return sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}
}

func totalsOf(c *event.Cell) sim.Totals {
	return sim.Totals{Count: c.Count, Sum: c.Sum, Min: c.Min, Max: c.Max, Duplicates: c.Duplicates}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
