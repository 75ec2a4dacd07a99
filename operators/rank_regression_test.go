package operators

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

// Each test here is the shortest way to a mistake that Rank or Merge once made.

// tens ranks by tumbling windows of one pane of 10 ms.
func tens(measure Measure, order event.Order, k int) Boards {
	return Boards{
		Pane: 10 * time.Millisecond, ReviseFor: time.Second, Dimensions: []string{"region"},
		Boards: []Board{{Name: "b", Window: Window{Size: 10 * time.Millisecond}, Measure: measure, Order: order, K: k, By: [][]string{{}}}},
	}
}

// tell is a flush of a source as of an offset, where its watermark is w, with cells of the pane at 0.
func tell(source int, asOf, w int64, cells ...event.Cell) *event.Update {
	part := event.Part{Source: source, Incarnation: 1, AsOf: asOf, Last: true, ClosedThrough: w, DroppedThrough: w}
	return &event.Update{Part: part, Cells: cells}
}

// quiet is a heartbeat of a source that has been idle for this long.
func quiet(source int, asOf, w, idleFor int64) *event.Update {
	u := tell(source, asOf, w)
	u.Idle, u.IdleFor = true, idleFor
	return u
}

func cellOf(item string, count, sum int64) event.Cell {
	return event.Cell{Group: []byte(event.NewGroup("eu")), Item: []byte(item), Count: count, Sum: sum}
}

// takeAll takes updates in at offsets from at on.
func takeAll(t *testing.T, r *Rank, at int64, updates ...*event.Update) {
	t.Helper()
	for i, u := range updates {
		if err := r.Take(at+int64(i), u); err != nil {
			t.Fatal(err)
		}
	}
}

// flushed flushes one lane, and has it acknowledged.
func flushed(t *testing.T, r *Rank) *event.Rankings {
	t.Helper()
	var out *event.Rankings
	if !r.Flush(0, 1, func(_ int, head event.Part, lists []event.Ranking) {
		head.Last = true
		out = &event.Rankings{Part: head, Lists: lists}
	}) {
		t.Fatal("nothing was flushed")
	}
	r.Acked(0)
	return out
}

// TestFloorIsNeverLowered brings just as many items at once as make candidates be cut before the list is
// made, where the candidates from before rank far below. When the first two fall between, the third leads.
func TestFloorIsNeverLowered(t *testing.T) {
	for _, order := range []event.Order{event.Top, event.Bottom} {
		t.Run(order.String(), func(t *testing.T) {
			sign := int64(1)
			if order == event.Bottom {
				sign = -1
			}
			r := NewRank(tens(Sum, order, 1), 1, 1, ResumeAt(0))
			takeAll(t, r, 0, tell(0, 0, 0, cellOf("old1", 1, sign), cellOf("old2", 1, 2*sign)))
			flushed(t, r)
			var crowd []event.Cell
			for i := range int64(68) {
				crowd = append(crowd, cellOf(fmt.Sprintf("n%02d", i), 1, (200-i)*sign))
			}
			takeAll(t, r, 1, tell(0, 1, 0, crowd...))
			flushed(t, r)
			takeAll(t, r, 2, tell(0, 2, 0, cellOf("n00", 2, 50*sign), cellOf("n01", 2, 40*sign)))
			if got := flushed(t, r).Lists; len(got) != 1 || got[0].Entries[0].Item != "n02" {
				t.Errorf("got %+v, want n02 to lead", got)
			}
		})
	}
}

// TestListThatIsBackIsSent has a run flush a list in which b leads, and die before it commits. To its successor, which
// flushes after b's refund, the list is what the committed one was. The receiver must be told all the same.
func TestListThatIsBackIsSent(t *testing.T) {
	for name, closed := range map[string]int64{"interim": 1, "final": 500} {
		t.Run(name, func(t *testing.T) {
			b := tens(Sum, event.Top, 1)
			before := []*event.Update{tell(0, 0, 0, cellOf("a", 1, 5), cellOf("b", 1, 4)), tell(1, 0, closed), quiet(0, 0, 0, 10)}
			leads, refund := tell(0, 1, 1, cellOf("b", 2, 9)), tell(0, 2, 1, cellOf("b", 3, 4))
			m := NewMerge(b, 1, ResumeAt(0))
			r := NewRank(b, 2, 1, ResumeAt(0))
			takeAll(t, r, 0, before...)
			told := []*event.Rankings{flushed(t, r)}
			commit, _ := r.Commit()
			takeAll(t, r, 3, leads)
			told = append(told, flushed(t, r))

			r = NewRank(b, 2, 1, commit)
			takeAll(t, r, 0, append(before, leads, refund)...)
			second := flushed(t, r)
			second.Incarnation = 2
			for at, u := range append(told, second) {
				if err := m.Take(int64(at), u); err != nil {
					t.Fatal(err)
				}
			}
			m.Flush(func(lists []event.Ranking) {
				if len(lists) != 1 || lists[0].Entries[0].Item != "a" {
					t.Errorf("got %+v, want a to lead", lists)
				}
			})
		})
	}
}

// TestDuplicatesAloneAreSent finds duplicates, and nothing else, after a list was sent as final.
func TestDuplicatesAloneAreSent(t *testing.T) {
	r := NewRank(tens(Count, event.Top, 3), 2, 1, ResumeAt(0))
	takeAll(t, r, 0, tell(0, 0, 0, cellOf("a", 1, 1)), quiet(0, 0, 0, 10), tell(1, 0, 500))
	flushed(t, r)
	found := cellOf("a", 1, 1)
	found.Duplicates = 3
	takeAll(t, r, 3, tell(0, 1, 0, found), tell(0, 2, 2000), tell(1, 2, 2000))
	if got := flushed(t, r).Lists; len(got) != 1 || got[0].Duplicates != 3 {
		t.Errorf("got %+v, want 3 duplicates", got)
	}
}

// TestEmptyFinalListIsSent has a group appear in a window that is final already, with too few events to rank any item.
func TestEmptyFinalListIsSent(t *testing.T) {
	b := tens(Count, event.Top, 3)
	b.Boards[0].By, b.Boards[0].MinCount = [][]string{{"region"}}, 2
	r := NewRank(b, 2, 1, ResumeAt(0))
	takeAll(t, r, 0, tell(0, 0, 0, cellOf("a", 1, 1)), quiet(0, 0, 0, 10), tell(1, 0, 500))
	flushed(t, r)
	na := cellOf("a", 1, 1)
	na.Group = []byte(event.NewGroup("na"))
	takeAll(t, r, 3, tell(0, 1, 0, na), tell(0, 2, 2000), tell(1, 2, 2000))
	if got := flushed(t, r).Lists; len(got) != 1 || !got[0].Final || len(got[0].Entries) != 0 {
		t.Errorf("got %+v, want a final list of nothing", got)
	}
}

// TestDuplicatesAreClamped has a cell with more duplicates than it can hold, which must not be added again with each flush.
func TestDuplicatesAreClamped(t *testing.T) {
	r := NewRank(tens(Count, event.Top, 3), 1, 1, ResumeAt(0))
	for x := range int64(4) {
		many := cellOf("a", 1+x, 1)
		many.Duplicates = math.MaxUint32 + 1000
		takeAll(t, r, x, tell(0, x, 0, many))
	}
	if got := flushed(t, r).Lists; len(got) != 1 || got[0].Duplicates != math.MaxUint32 {
		t.Errorf("got %+v, want %d duplicates", got, int64(math.MaxUint32))
	}
}

// TestOverflowPasses has a total run over for a while, by cells that didn't: it is exact again when it is
// back, as it is in a run that restarts and sees only that.
func TestOverflowPasses(t *testing.T) {
	r := NewRank(tens(Sum, event.Top, 3), 2, 1, ResumeAt(0))
	for x, want := range []struct {
		source int
		sum    int64
		exact  bool
	}{{0, math.MaxInt64 - 1, true}, {1, 10, false}, {1, -20, true}} {
		takeAll(t, r, int64(x), tell(want.source, int64(x), 0, cellOf("a", 1, want.sum)))
		if got := flushed(t, r).Lists; len(got) != 1 || got[0].Exact != want.exact {
			t.Errorf("after message %d: %+v, want exact %v", x, got, want.exact)
		}
	}
}

// TestIdleSourceDoesNotHoldLowWater has one source go on and another be idle, since before its first record or later.
func TestIdleSourceDoesNotHoldLowWater(t *testing.T) {
	for _, idle := range []*event.Update{quiet(1, -1, event.NoTime, 0), quiet(1, 0, 0, 0)} {
		r := NewRank(tens(Count, event.Top, 3), 2, 1, ResumeAt(0))
		for i := range int64(1000) {
			beat := *idle
			beat.IdleFor = 10 * i
			a := cellOf("a", 1, 1)
			a.Pane = 10 * i
			takeAll(t, r, 2*i, tell(0, i, 10*i, a), &beat)
		}
		// ReviseFor, a second, is 100 windows of two messages each.
		if got := r.Checkpoint(); got.LowWater < got.PublishedThrough-210 {
			t.Errorf("idle as of %d: %+v", idle.AsOf, got)
		}
	}
}

// TestDroppedWindowsAreLetGo has panes live on, in a long window, whose short windows were dropped: they must not hold on to those.
func TestDroppedWindowsAreLetGo(t *testing.T) {
	b := tens(Count, event.Top, 3)
	b.ReviseFor = 0
	b.Boards = append(b.Boards, Board{Name: "long", Window: Window{Size: 10 * time.Second}, K: 3, By: [][]string{{}}})
	r := NewRank(b, 1, 1, ResumeAt(0))
	for i := range int64(500) {
		a := cellOf("a", 1, 1)
		a.Pane = 10 * i
		takeAll(t, r, i, tell(0, i, 10*i, a))
		flushed(t, r)
	}
	kept := map[*totals]bool{}
	for _, v := range r.views {
		for _, w := range v.windows {
			kept[w] = true
		}
	}
	for start, p := range r.panes {
		for _, w := range p.targets {
			if !kept[w] {
				t.Fatalf("the pane at %d holds on to the window from %d, of %d kept", start, w.start, len(kept))
			}
		}
	}
	if len(r.panes) != 500 {
		t.Errorf("%d panes, want 500", len(r.panes))
	}
}

// TestRestartTellsAnew has a shard of three cells say that a leads, when it has let go of its refund for
// the sake of x. Its successor doesn't: x's window is over. To it, b leads all the time, and a that falls far behind changes
// no list. But the receiver has a, within 5, from before.
func TestRestartTellsAnew(t *testing.T) {
	b := tens(Sum, event.Top, 1)
	b.RankItems = 3
	cell := func(pane int64, region, item string, count, sum int64) event.Cell {
		return event.Cell{Pane: pane, Group: []byte(event.NewGroup(region)), Item: []byte(item), Count: count, Sum: sum}
	}
	log := []*event.Update{
		tell(0, 0, 0, cell(10, "eu", "a", 1, 10), cell(10, "na", "a", 1, -5), cell(10, "eu", "b", 1, 8)),
		tell(0, 1, 0, cell(0, "eu", "x", 1, 100)),
		tell(0, 2, 11),
		tell(0, 3, 11, cell(10, "eu", "a", 2, -15)),
	}
	r := NewRank(b, 1, 1, ResumeAt(0))
	takeAll(t, r, 0, log[:3]...)
	told := flushed(t, r).Lists
	if l := told[len(told)-1]; l.Start != 10 || l.Exact || l.MaxError != 5 || l.Entries[0] != (event.Entry{Item: "a", Score: 10}) {
		t.Fatalf("got %+v, want a with 10, within 5", l)
	}
	commit, ok := r.Commit()
	if !ok || commit.LowWater != 0 {
		t.Fatalf("committed %+v, %v", commit, ok)
	}
	r = NewRank(b, 1, 1, commit)
	takeAll(t, r, 0, log...)
	if told := flushed(t, r).Lists; len(told) != 1 || !told[0].Exact || told[0].Entries[0] != (event.Entry{Item: "b", Score: 8}) {
		t.Errorf("got %+v, want b to lead", told)
	}
}

// TestRepublishDuringReplay asks for all lists while a replay goes on: they come with the first flush after it.
func TestRepublishDuringReplay(t *testing.T) {
	b := tens(Count, event.Top, 3)
	says := func(asOf int64, lists ...event.Ranking) *event.Rankings {
		return &event.Rankings{Part: event.Part{Incarnation: 1, AsOf: asOf, Last: true}, Lists: lists}
	}
	list := event.Ranking{ListKey: event.ListKey{Board: "b"}, End: 10, Entries: []event.Entry{{Item: "a", Score: 1}}, Exact: true}
	m := NewMerge(b, 1, ResumeAt(0))
	take := func(at int64, u *event.Rankings) {
		t.Helper()
		if err := m.Take(at, u); err != nil {
			t.Fatal(err)
		}
	}
	take(0, says(0, list))
	m.Flush(func([]event.Ranking) {})
	m.Acked()
	commit, _ := m.Commit()

	m = NewMerge(b, 1, commit)
	m.Republish()
	take(0, says(0, list))
	m.Republish()
	take(1, says(1))
	written := 0
	m.Flush(func(lists []event.Ranking) { written += len(lists) })
	if written != 1 {
		t.Errorf("%d lists were written, want 1", written)
	}
}
