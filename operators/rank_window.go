package operators

import (
	"maps"
	"slices"

	"github.com/millrank/millrank/event"
)

// window returns a window's totals, summed up from its panes where there were none.
func (r *Rank) window(v *view, start int64) *totals {
	t := v.windows[start]
	if t != nil {
		return t
	}
	t = &totals{view: v, unit: r.unit, start: start, end: start + v.span.size, closeAt: r.closeAt(v, start), indexes: map[event.Group]uint32{}}
	t.table.size(r.presize(v.totalsUsed, func() (laid int) {
		for _, t := range v.windows {
			laid += t.table.homes
		}
		return laid
	}))
	v.windows[start] = t
	r.sumUp(t)
	return t
}

// sumUp sums a window up from its panes, and makes its lists. It goes over the totals once, when
// they are whole: to ask after each cell who has risen would make every item a candidate many times.
func (r *Rank) sumUp(t *totals) {
	t.others = r.missingIn(t)
	for _, at := range slices.Sorted(maps.Keys(r.panes)) {
		if at >= t.start && at < t.end {
			r.panes[at].cells.spread(func(e *entry) {
				t.sum(&r.groups, delta{item: e.itemOf(), group: e.group, count: e.count(), is: int64(e.sum.get()), duplicates: int64(e.extra), cells: 1})
			})
		}
	}
	r.unmark(t)
	var lists []*leaders
	for i := range t.groups {
		lists = append(lists, t.groups[i].lists...)
	}
	t.relist(&r.items, lists)
}
