package chain

import (
	"maps"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
)

// shardTruth is what a partition of updates says: the cells of a shard, and how long its windows are kept.
type shardTruth struct {
	*hearing[event.Cell]
	pane, lateness int64
	spans          []span

	cells   []sim.Cells             // by source: all that was said, also too late for any list
	windows map[spanned][]sim.Cells // by window, then source: what came before the window was dropped
	panes   map[int64]*keptPane     // not dropped by all windows yet
	low     []int64                 // after each message: the greatest low-water that a restart can begin at
	held    []int                   // after each message: how many cells are in panes
	refused int                     // cells that came after a window of theirs was dropped
}

type spanned struct {
	span  int // index into spans
	start int64
}

type keptPane struct {
	first int64 // least first offset of the flushes that touched it
	last  int64 // when the last of its windows closes
	cells map[sourced]bool
}

type sourced struct {
	source int
	key    sim.CellKey
}

func newShardTruth(k *Knobs, sources int) *shardTruth {
	t := &shardTruth{
		hearing: newHearing[event.Cell](sources, k.ReviseFor),
		pane:    k.Fold.Pane.Milliseconds(), lateness: k.Fold.AllowedLateness.Milliseconds(), spans: k.spans(),
		cells: make([]sim.Cells, sources), windows: map[spanned][]sim.Cells{}, panes: map[int64]*keptPane{},
	}
	for i := range t.cells {
		t.cells[i] = sim.Cells{}
	}
	return t
}

// appended takes the next message of the log.
func (t *shardTruth) appended(x int64, part event.Part, cells []event.Cell) {
	whole, fresh := t.hear(x, part, cells)
	if fresh {
		for i := range whole.content {
			t.apply(&whole.content[i], part.Source, whole.first)
		}
	}
	t.advance(whole != nil)
	_, dropped := t.now()
	low, held := t.hearing.low(x), 0
	for start, p := range t.panes {
		if p.last <= dropped {
			delete(t.panes, start)
			continue
		}
		low, held = min(low, p.first), held+len(p.cells)
	}
	t.low, t.held = append(t.low, low), append(t.held, held)
}

func (t *shardTruth) apply(c *event.Cell, source int, first int64) {
	key := cellKey(c)
	t.cells[source][key] = totalsOf(c)
	_, dropped := t.now()
	last := event.NoTime
	for i, s := range t.spans {
		for _, start := range s.windows(c.Pane, t.pane) {
			closeAt := start + s.size + t.lateness
			last = max(last, closeAt)
			if closeAt <= dropped {
				t.refused++
				continue
			}
			w := t.windows[spanned{i, start}]
			if w == nil {
				w = make([]sim.Cells, len(t.sources))
				t.windows[spanned{i, start}] = w
			}
			if w[source] == nil {
				w[source] = sim.Cells{}
			}
			w[source][key] = totalsOf(c)
		}
	}
	if last <= dropped {
		return
	}
	p := t.panes[c.Pane]
	if p == nil {
		p = &keptPane{first: first, last: last, cells: map[sourced]bool{}}
		t.panes[c.Pane] = p
	}
	p.first = min(p.first, first)
	p.cells[sourced{source, key}] = true
}

// lists returns what all shards' windows come to, by the oracle.
func lists(k *Knobs, shards []*shardTruth) map[event.ListKey]sim.List {
	all := map[event.ListKey]sim.List{}
	windows := map[spanned][]sim.Cells{}
	for _, t := range shards {
		for at, cells := range t.windows {
			windows[at] = append(windows[at], cells...)
		}
	}
	spans := k.spans()
	for at, cells := range windows {
		cells = slices.DeleteFunc(cells, func(c sim.Cells) bool { return c == nil })
		for i := range k.Boards {
			b := &k.Boards[i]
			if spanOf(b.Window) != spans[at.span] {
				continue
			}
			for _, by := range b.By {
				for _, l := range sim.Rankings(k.Fold.Pane, k.oracleBoard(b, by), cells...) {
					if l.Start == at.start {
						all[event.ListKey{Board: b.Name, By: joined(by), Group: l.Group, Start: l.Start}] = l
					}
				}
			}
		}
	}
	return all
}

// sortedKeys returns the keys of lists in their order.
func sortedKeys[V any](m map[event.ListKey]V) []event.ListKey {
	return slices.SortedFunc(maps.Keys(m), event.ListKey.Compare)
}
