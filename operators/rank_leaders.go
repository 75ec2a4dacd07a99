package operators

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/millrank/millrank/event"
)

// leaders is a board's list for one group and window, in one shard. It holds up to
// twice K items, so that some can fall out before all items must be gone through again:
// every item that it doesn't hold ranks at or below the floor.
type leaders struct {
	board  *Board
	key    event.ListKey
	totals *totals
	group  uint32 // index in totals' groups

	top     []leader // best first
	floor   leader   // the best item that was cut off, as it stood then; all that is held was above it when it was raised
	floored bool     // an item has been cut off
	fresh   []leader // offered since top was made, and better than the floor

	made      uint64 // how many lists its view has made before it: of two with its key, the greater counts
	saidExact bool   // what it said of that last

	touched bool           // it may say something else than when it was last made, or did in between
	changed bool           // in the sender's list of changed entries
	refs    int            // entries in the sender's lists
	last    *event.Ranking // what it said when its window was dropped
}

type leader struct {
	item  uint32
	score float64
}

// compare is event.Order.Compare.
func (l *leaders) compare(items *names, a, b leader) int {
	c := cmp.Compare(b.score, a.score)
	if c == 0 {
		c = bytes.Compare(items.get(b.item), items.get(a.item))
	}
	if l.board.Order == event.Bottom {
		return -c
	}
	return c
}

// standing is where an item stands in a list: its place, if it is eligible at all.
func (l *leaders) standing(item uint32, count, sum int64) (leader, bool) {
	if count == 0 || count < l.board.MinCount {
		return leader{}, false
	}
	return leader{item, l.board.score(count, sum, l.totals.unit)}, true
}

// aboveFloor reports whether an item at this place must be among the candidates.
func (l *leaders) aboveFloor(items *names, place leader) bool {
	return !l.floored || l.compare(items, place, l.floor) < 0
}

// inList reports whether an item at this place is in the list as it was last made, or would be.
func (l *leaders) inList(items *names, place leader) bool {
	return len(l.top) < l.board.K || l.compare(items, place, l.top[l.board.K-1]) <= 0
}

// offer takes a total that has changed as a candidate.
func (l *leaders) offer(items *names, e *entry) {
	sum, _ := e.total()
	place, ok := l.standing(e.itemOf(), e.count(), sum)
	if !ok || !l.aboveFloor(items, place) {
		return
	}
	if l.fresh = append(l.fresh, place); len(l.fresh) >= 2*l.board.K+64 {
		l.join(items)
	}
}

// drop takes out what has changed; it is to be offered again.
func (l *leaders) drop(changed bitset) {
	l.top = slices.DeleteFunc(l.top, func(old leader) bool { return changed.has(old.item) })
}

// join merges fresh into top, and keeps twice K. What falls off raises the floor: all that is held is
// above it, or wouldn't have been taken. From the worst to the best, what falls off comes first, and
// what is better than all of fresh stays where it is: mostly few items have changed, and
// sorting all of top anew was a third of what the engine did.
func (l *leaders) join(items *names) {
	slices.SortFunc(l.fresh, func(a, b leader) int { return l.compare(items, a, b) })
	top, fresh := l.top, l.fresh
	keep := min(2*l.board.K, len(top)+len(fresh))
	l.top = slices.Grow(top, keep-len(top))[:keep]
	for at := len(top) + len(fresh) - 1; len(fresh) > 0; at-- {
		worst := fresh[len(fresh)-1]
		if n := len(top); n > 0 && l.compare(items, top[n-1], worst) > 0 {
			worst, top = top[n-1], top[:n-1]
		} else {
			fresh = fresh[:len(fresh)-1]
		}
		if at < keep {
			l.top[at] = worst
		} else if at == keep { // the last that falls off is the best of them
			l.floor, l.floored = worst, true
		}
	}
	l.fresh = l.fresh[:0]
}

// finish ends a round of offers. It reports false when fewer than K items are left,
// though some were cut off: then all must be offered again.
func (l *leaders) finish(items *names) bool {
	l.join(items)
	if len(l.top) < cap(l.top)/2 {
		l.top = slices.Clone(l.top)
	}
	if cap(l.fresh) > 2*l.board.K+64 {
		l.fresh = nil
	}
	return len(l.top) >= l.board.K || !l.floored
}

// clear forgets all candidates, so that all items can be offered again.
func (l *leaders) clear() { l.top, l.fresh, l.floored = l.top[:0], l.fresh[:0], false }

// first returns the list itself: the first K of top.
func (l *leaders) first() []leader { return l.top[:min(l.board.K, len(l.top))] }

// ranking returns the list as others see it, as of an offset of the updates log.
func (l *leaders) ranking(items *names, asOf int64) event.Ranking {
	if l.last != nil {
		l.last.Revision = asOf
		return *l.last
	}
	t := l.totals
	g := &t.groups[l.group]
	r := event.Ranking{
		ListKey: l.key, End: t.end, Final: t.closed, Exact: l.exact(), Duplicates: g.duplicates, Revision: asOf,
	}
	if l.saidExact = r.Exact; !r.Exact {
		r.MaxError = l.errorMax()
	}
	var text []byte
	for _, leader := range l.first() {
		text = append(text, items.get(leader.item)...)
	}
	r.Entries = make([]event.Entry, 0, len(l.first()))
	for rest, i := string(text), 0; i < len(l.first()); i++ {
		n := len(items.get(l.top[i].item))
		r.Entries = append(r.Entries, event.Entry{Item: rest[:n], Score: l.top[i].score})
		rest = rest[n:]
	}
	return r
}

// leave writes down what the list says, if that is still to be published or acknowledged,
// and lets go of its window.
func (l *leaders) leave(items *names) {
	if l.refs > 0 {
		last := l.ranking(items, 0)
		l.last = &last
	}
	l.totals, l.top, l.fresh = nil, nil, nil
}

// again marks a list of a failed flush as changed again; false when it is already.
func (l *leaders) again() bool {
	was := l.changed
	l.changed = true
	return !was
}

// release lets go of an entry in the sender's lists.
func (l *leaders) release() {
	if l.refs--; l.refs == 0 {
		l.last = nil
	}
}
