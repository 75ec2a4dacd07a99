package chain

import (
	"math"

	"github.com/millrank/millrank/event"
)

// trace is a hash (FNV-1a) of all that a run does: two runs of one scenario must agree in it.
type trace uint64

func newTrace() trace { return 14695981039346656037 }

func (t *trace) numbers(numbers ...int64) {
	h := uint64(*t)
	for _, n := range numbers {
		for range 8 {
			h = (h ^ uint64(n)&0xff) * 1099511628211
			n >>= 8
		}
	}
	*t = trace(h)
}

func (t *trace) text(s string) {
	t.numbers(int64(len(s)))
	h := uint64(*t)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	*t = trace(h)
}

func (t *trace) truth(b bool) {
	if b {
		t.numbers(1)
	} else {
		t.numbers(0)
	}
}

func (t *trace) part(lane int, p event.Part) {
	t.numbers(int64(lane), int64(p.Source), int64(p.Incarnation), p.AsOf, int64(p.Number), p.ClosedThrough, p.DroppedThrough, p.IdleFor)
	t.truth(p.Last)
	t.truth(p.Idle)
}

func (t *trace) cell(c *event.Cell) {
	t.text(string(c.Group))
	t.text(string(c.Item))
	t.numbers(c.Pane, c.Count, c.Sum, c.Min, c.Max, c.Duplicates)
}

func (t *trace) list(r *event.Ranking) {
	t.text(r.Board)
	t.text(r.By)
	t.text(string(r.Group))
	t.numbers(r.Start, r.End, r.Duplicates, r.Revision, int64(math.Float64bits(r.MaxError)))
	t.truth(r.Final)
	t.truth(r.Exact)
	for _, e := range r.Entries {
		t.text(e.Item)
		t.numbers(int64(math.Float64bits(e.Score)))
	}
}
