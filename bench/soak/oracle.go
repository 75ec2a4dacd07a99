package main

import (
	"container/heap"
	"math"
	"slices"
	"strings"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// oracle says what must come out, by the plain definitions, from the records in the order of the stream. It keeps only the panes that can still change, and as
// many whole ones as the longest window has: what it passes on in order of time is not kept. So its memory doesn't depend on how many records there are. It
// needs no memory of IDs, since the stream knows which of its records are sent again.
type oracle struct {
	fold    operators.Settings
	boards  []operators.Board
	regions []string
	w       []int64 // the watermark of each partition
	panes   map[int64]pane
	next    int64 // the first pane that has not been passed on

	letters   map[event.Decision]*letters
	decided   [event.Decisions]int64
	longest   int64
	finalized map[int64]pane // whole panes that windows are still made of
	take      func(finished)
}

// cellKey is an item in a region.
type cellKey struct {
	region int8
	item   int32
}

// cell is what is counted of it in a pane.
type cell struct {
	count, sum, least, most, duplicates int64
}

// pane is all cells of a pane.
type pane map[cellKey]*cell

// finished is a pane in which nothing changes any more, with the lists of the windows that end with it.
type finished struct {
	start int64
	cells pane
	lists []list
}

// list is a leaderboard of a window.
type list struct {
	board      operators.Board
	region     string // empty: all together
	start      int64
	entries    []event.Entry
	duplicates int64
}

// key returns which list it is.
func (l *list) key() event.ListKey {
	key := event.ListKey{Board: l.board.Name, Start: l.start}
	if l.region != "" {
		key.By, key.Group = "region", event.NewGroup(l.region)
	}
	return key
}

// letters are the dead letters of one reason. Sum is of a hash of where each record was, so that it depends on which they are and not on their order.
type letters struct {
	Count int64
	Sum   uint64
}

func (l *letters) add(partition int32, offset int64) {
	l.Count++
	l.Sum += hashPlace(partition, offset)
}

// hashPlace is splitmix64 of a record's place, which has 64 bits for all that happens.
func hashPlace(partition int32, offset int64) uint64 {
	x := uint64(partition)<<48 ^ uint64(offset)
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newOracle returns an oracle; take gets each pane when it is finished, in order, and must not keep its cells.
func newOracle(fold operators.Settings, boards []operators.Board, partitions int, regions []string, first int64, take func(finished)) *oracle {
	o := &oracle{
		fold: fold, boards: boards, regions: regions, w: make([]int64, partitions), panes: map[int64]pane{}, next: first,
		letters: map[event.Decision]*letters{event.Malformed: {}, event.Future: {}, event.Late: {}}, finalized: map[int64]pane{}, take: take,
	}
	for i := range o.w {
		o.w[i] = math.MinInt64
	}
	for _, b := range boards {
		o.longest = max(o.longest, b.Window.Size.Milliseconds())
	}
	return o
}

// add takes the next record of the stream, and returns what must become of it: Rule 1.
func (o *oracle) add(r *record) event.Decision {
	d := o.decide(r)
	o.decided[d]++
	if l := o.letters[d]; l != nil {
		l.add(r.partition, r.offset)
	}
	return d
}

func (o *oracle) decide(r *record) event.Decision {
	switch {
	case r.kind == malformed:
		return event.Malformed
	case r.at > r.time+o.fold.MaxAhead.Milliseconds():
		return event.Future
	}
	w := &o.w[r.partition]
	*w = max(*w, r.at-o.fold.OutOfOrderness.Milliseconds())
	size := o.fold.Pane.Milliseconds()
	start := r.at - r.at%size
	closed := start+size+o.fold.AllowedLateness.Milliseconds() <= *w
	switch {
	case r.again:
		if !closed {
			o.cell(start, r).duplicates++
		}
		return event.Duplicate
	case closed:
		return event.Late
	}
	c := o.cell(start, r)
	if c.count == 0 {
		c.least, c.most = r.value, r.value
	}
	c.count, c.sum, c.least, c.most = c.count+1, c.sum+r.value, min(c.least, r.value), max(c.most, r.value)
	return event.Counted
}

func (o *oracle) cell(start int64, r *record) *cell {
	p := o.panes[start]
	if p == nil {
		p = pane{}
		o.panes[start] = p
	}
	key := cellKey{r.region, r.item}
	c := p[key]
	if c == nil {
		c = &cell{}
		p[key] = c
	}
	return c
}

// advance passes on all panes that are closed in every partition.
func (o *oracle) advance() {
	o.passUntil(slices.Min(o.w) - o.fold.AllowedLateness.Milliseconds())
}

// end passes on all that is left: the stream has ended, and all windows close.
func (o *oracle) end() {
	last := o.next
	for start := range o.panes {
		last = max(last, start+o.fold.Pane.Milliseconds())
	}
	o.passUntil(last + o.longest) // windows that slide end after the last pane
}

// passUntil passes on the panes that end by then.
func (o *oracle) passUntil(end int64) {
	size := o.fold.Pane.Milliseconds()
	for ; o.next+size <= end; o.next += size {
		start := o.next
		f := finished{start: start, cells: o.panes[start]}
		delete(o.panes, start)
		o.finalized[start] = f.cells
		for _, b := range o.boards {
			length, slide := b.Window.Size.Milliseconds(), b.Window.Slide.Milliseconds()
			if slide == 0 {
				slide = length
			}
			if from := start + size - length; from%slide == 0 {
				f.lists = append(f.lists, o.rank(b, from, start+size)...)
			}
		}
		o.take(f)
		delete(o.finalized, start+size-o.longest)
	}
}

// rank makes the lists of a window: one of each region that has cells, and one of all. Rule 4.
func (o *oracle) rank(b operators.Board, from, to int64) []list {
	type totals struct{ count, sum int64 }
	const all = -1
	groups, duplicates := map[int8]map[int32]*totals{}, map[int8]int64{}
	add := func(region int8, item int32, c *cell) {
		items := groups[region]
		if items == nil {
			items = map[int32]*totals{}
			groups[region] = items
		}
		t := items[item]
		if t == nil {
			t = &totals{}
			items[item] = t
		}
		t.count, t.sum = t.count+c.count, t.sum+c.sum
		duplicates[region] += c.duplicates
	}
	for start := from; start < to; start += o.fold.Pane.Milliseconds() {
		for key, c := range o.finalized[start] {
			add(key.region, key.item, c)
			add(all, key.item, c)
		}
	}
	var lists []list
	for region, items := range groups {
		best := best{k: b.K, order: b.Order}
		for item, t := range items {
			score := t.count
			if b.Measure == operators.Sum {
				score = t.sum
			}
			if t.count >= b.MinCount {
				best.offer(event.Entry{Item: itemName(item), Score: float64(score)})
			}
		}
		l := list{board: b, start: from, entries: slices.SortedFunc(slices.Values(best.entries), b.Order.Compare), duplicates: duplicates[region]}
		if region != all {
			l.region = o.regions[region]
		}
		lists = append(lists, l)
	}
	slices.SortFunc(lists, func(a, b list) int { return strings.Compare(a.region, b.region) })
	return lists
}

// itemName returns an item as it is in events.
func itemName(item int32) string { return string(workload.AppendItem(nil, item)) }

// best keeps the k best entries; the worst of them is the first.
type best struct {
	k       int
	order   event.Order
	entries []event.Entry
}

// Len, Less, Swap, Push and Pop are heap.Interface's.
func (b *best) Len() int           { return len(b.entries) }
func (b *best) Less(i, j int) bool { return b.order.Compare(b.entries[j], b.entries[i]) < 0 }
func (b *best) Swap(i, j int)      { b.entries[i], b.entries[j] = b.entries[j], b.entries[i] }

// Push is heap.Interface's.
func (b *best) Push(x any) { b.entries = append(b.entries, x.(event.Entry)) } //nolint:errcheck // offer gives nothing else

// Pop is heap.Interface's.
func (b *best) Pop() any {
	last := b.entries[len(b.entries)-1]
	b.entries = b.entries[:len(b.entries)-1]
	return last
}

func (b *best) offer(e event.Entry) {
	if len(b.entries) < b.k {
		heap.Push(b, e)
	} else if b.order.Compare(e, b.entries[0]) < 0 {
		b.entries[0] = e
		heap.Fix(b, 0)
	}
}
