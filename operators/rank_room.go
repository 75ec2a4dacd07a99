package operators

import (
	"maps"
	"math"
	"slices"

	"github.com/millrank/millrank/event"
)

// room is the budget of cells, Boards.RankItems. A cell that finds no room is never
// refused: the shard lets go of the lightest (group, item) pairs, all their cells, a quarter of what it
// holds at once, and keeps a bound of what totals lack since then.
//
// This is Space-Saving (Metwally, Agrawal, El Abbadi 2005) for values that are absolute.
// There, the item that comes takes the place of the one with the least count, which becomes the
// bound of its error. Here, a cell that is heard of again is known again, whatever
// was let go: so nothing is taken over from the one that leaves, and a held total is never
// too high by it. What is missing of an item is what its other cells, let go and not heard of since,
// were worth. Letting go of many at once makes the cost of finding them small for each
// (Anderson et al. 2017, "A High-Performance Algorithm for Identifying Frequent Items in Data Streams").
//
// The invariant: for every window, group and item,
//
//	|true total − held total| ≤ missing of the group (of others, where the group isn't there),
//
// and they are equal where the total is held and not marked lossy. For: a cell that isn't held stands
// as it stood when it was let go, or it would have been heard of, and be held. So the
// difference is the sum of such cells' values, each let go in one pass at a time, and
// for each pass missing has grown by the largest sum of absolute values that any one item of
// the group lost in it. (Of absolute values, since some of them may come back, and others not.) A total that
// isn't marked had no cell let go in the window since its first one came, and nothing was missing
// in its group before. A window that begins later takes over what is missing in its panes.
type room struct {
	limit  int // 0: none
	block  int // how many cells are taken in at once: at most the limit
	cells  int // held
	gone   int64
	slides bool // there are windows that begin after their panes
	sums   bool // there are boards that rank by sums
}

func newRoom(b Boards) room {
	m := room{limit: b.RankItems, block: blockLen}
	if m.limit > 0 {
		m.block = min(m.block, m.limit)
	}
	for _, board := range b.Boards {
		m.slides = m.slides || board.Window.span().sliding()
		m.sums = m.sums || board.Measure != Count
	}
	return m
}

// tight reports whether so many new cells are too many. Where there are none yet, a block is not.
func (m *room) tight(n int) bool { return n > 0 && m.limit > 0 && m.cells+n > m.limit }

// Room returns how many cells are held, how many may be (Boards.RankItems; 0: no limit), and how many
// have been let go since the start: above 0, there are or were lists that aren't exact.
func (r *Rank) Room() (held, limit int, gone int64) { return r.room.cells, r.room.limit, r.room.gone }

// presize returns how large to make a new table whose predecessor held so many entries:
// with a budget, tables that stand empty must not add up.
func (r *Rank) presize(was int, laid func() int) int {
	if r.room.limit == 0 {
		return was
	}
	return max(0, min(was, r.room.limit-laid()))
}

// makeRoom makes room for the new cells of a block. What goes can be of the block itself,
// and its names go too: so they are numbered, and counted, anew.
func (r *Rank) makeRoom(cells []event.Cell, source uint16) {
	for r.room.tight(r.newAmong(cells, source)) {
		r.letGo()
		r.number(cells)
	}
}

// newAmong returns how many cells of a block aren't held.
func (r *Rank) newAmong(cells []event.Cell, source uint16) (n int) {
	for i := range cells {
		if in := &r.block[i]; in.pane != nil && in.pane.cells.find(in.item, in.group, source) == nil {
			n++
		}
	}
	return n
}

// letGo lets the lightest pairs go. It may come in the middle of a flush.
func (r *Rank) letGo() {
	for _, v := range r.views {
		for _, t := range v.windows {
			t.remake(&r.items)
		}
	}
	starts := slices.Sorted(maps.Keys(r.panes))
	cells, ends := r.takeOut(starts)
	of := func(from, to int64) []entry { // what went from the panes of a window
		i, _ := slices.BinarySearch(starts, from)
		k, _ := slices.BinarySearch(starts, to)
		return cells[ends[i]:ends[k]]
	}
	for _, v := range r.views {
		for _, t := range v.windows {
			if went := of(t.start, t.end); len(went) > 0 {
				r.lose(t, went)
			}
		}
	}
	whole := r.whole()
	if r.room.slides {
		for _, start := range starts {
			p := r.panes[start]
			p.missing = p.missing.plus(mostOf(of(start, start+r.pane)))
		}
	}
	r.sweep(cells, whole)
	r.room.cells -= len(cells)
	r.room.gone += int64(len(cells))
}

// takeOut takes the cells of the lightest pairs out of the panes. Those of pane i are cells[ends[i]:ends[i+1]].
func (r *Rank) takeOut(starts []int64) (cells []entry, ends []int) {
	pairs, n := r.weigh(starts)
	cells, ends = make([]entry, 0, n), make([]int, 1, len(starts)+1)
	for _, start := range starts {
		r.panes[start].cells.remove(func(e *entry) bool {
			if pairs.find(e.itemOf(), e.group, 0).extra&marked == 0 {
				return false
			}
			cells = append(cells, *e)
			return true
		})
		ends = append(ends, len(cells))
	}
	return cells, ends
}

// weigh returns the pairs, of which those that are to go are marked, and how many cells these have. An
// entry's sum is the pair's weight as float64, its extra how many cells it has, times two. A
// weight is the count, over all panes and sources, and where sums are ranked, the absolute sums too.
//
// Weights are told apart by four bits below the highest, which spares us sorting: some go that are up to a
// sixteenth heavier than some that stay. The last sort of weight is cut, in an order that is always the same and
// keeps what stays spread over the tables; but if many weigh the same, up to half of all cells go at once: it costs no more error.
func (r *Rank) weigh(starts []int64) (pairs table, going int) {
	pairs.size(r.room.cells) // at once: see table.spread
	for _, start := range starts {
		r.panes[start].cells.each(func(e *entry) {
			p, _ := pairs.put(e.itemOf(), e.group, 0)
			weight := math.Float64frombits(p.sum.get()) + float64(e.count())
			if r.room.sums {
				weight += math.Abs(float64(int64(e.sum.get()))) / r.unit
			}
			p.sum.set(math.Float64bits(weight))
			p.extra += 2
		})
	}
	sortOf := func(p *entry) int { return int(p.sum.get() >> 48) }
	cells := make([]int, 1<<15) // by sort of weight
	pairs.each(func(p *entry) { cells[sortOf(p)] += int(p.extra / 2) })
	least, most := max(1, r.room.cells/4), max(1, r.room.cells/2)
	last, left := 0, most // the sort that is cut, and how many cells of it may go
	for sum := cells[0]; sum < least; sum += cells[last] {
		left -= cells[last]
		last++
	}
	pairs.spread(func(p *entry) { // what stays must be spread too
		n, s := int(p.extra/2), sortOf(p)
		if s > last || s == last && left <= 0 {
			return
		}
		if s == last {
			left -= n
		}
		p.extra |= marked
		going += n
	})
	return pairs, going
}

// missingIn returns the bound of what a window lacks that is summed up from its panes now.
func (r *Rank) missingIn(t *totals) (m missing) {
	for start, p := range r.panes {
		if start >= t.start && start < t.end {
			m = m.plus(p.missing)
		}
	}
	return m
}

// unmark takes the mark off the totals of a window just summed up where nothing can be missing.
func (r *Rank) unmark(t *totals) {
	if !t.others.some() {
		return
	}
	t.table.each(func(e *entry) {
		if r.items.whole.has(e.itemOf()) {
			e.extra &^= lossy
		}
	})
}

// whole returns the items that had lost nothing in any pane that is kept, before this pass. Nil means all.
func (r *Rank) whole() bitset {
	for _, p := range r.panes {
		if p.missing.some() {
			return r.items.whole
		}
	}
	return nil
}

// sweep lets go of the names that no cell has any more. Cells are those that went.
func (r *Rank) sweep(cells []entry, whole bitset) {
	items, groups := r.items.none(), r.groups.none()
	for _, p := range r.panes {
		p.cells.each(func(e *entry) {
			items.set(e.itemOf())
			groups.set(e.group)
		})
	}
	r.items.sweep(items)
	r.groups.sweep(groups)
	clear(r.known[:])
	for _, v := range r.views {
		for _, t := range v.windows {
			for number, g := range t.groupOf {
				if g > 0 && !groups.has(uint32(number)) {
					t.groupOf[number] = 0
				}
			}
		}
	}
	if !r.room.slides {
		return
	}
	for i := range cells {
		items.clear(cells[i].itemOf())
	}
	if whole != nil {
		for i := range items {
			if i >= len(whole) {
				items[i] = 0
			} else {
				items[i] &= whole[i]
			}
		}
	}
	r.items.whole = items
}
