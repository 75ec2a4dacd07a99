package operators

import "github.com/millrank/millrank/event"

// totals are a window's counts and sums per (group, item), over all panes and source
// partitions, and the lists made of them.
type totals struct {
	view       *view
	unit       float64 // what sums are divided by
	start, end int64
	closeAt    int64 // the closing watermark at which it closes
	closed     bool
	finalDue   bool // it has closed, and its lists have not been published as final

	table   table // keyed by item and by the index in groups
	groups  []rankGroup
	free    []uint32               // indexes in groups that stand empty
	others  missing                // bound of the groups that are not there
	indexes map[event.Group]uint32 // into groups, by name
	groupOf []uint32               // by the number of a cell's group: its index in groups plus one, or 0
	changed []uint32               // groups that have marked entries, by their index
	touched []*leaders             // lists to be published
}

// rankGroup is one group of a view, such as a region, in one window.
type rankGroup struct {
	name       event.Group
	lists      []*leaders // one per board of the view
	duplicates int64
	overflows  int64 // sums beyond int64, of totals and of cells
	missing    missing
	cells      int64    // held
	changed    []uint32 // items whose entries are marked
}

// delta is by how much a cell has changed: its count and duplicates by a difference, its sum from was to is.
type delta struct {
	item, group uint32
	count       int64
	was, is     int64
	duplicates  int64
	cells       int64 // 1 where it is new
}

// add takes a cell's change in. A list is touched when the item was in it or comes into it, also
// if only for a while: a receiver may have the list as it was in between, from a run
// that flushed just then, and must be told the list again though it is what it was before.
func (t *totals) add(groups, items *names, d delta) {
	e, countWas, sumWas := t.sum(groups, d)
	if e == nil {
		return
	}
	sum, _ := e.total()
	group := &t.groups[e.group]
	wanted := e.extra&listed != 0
	for _, l := range group.lists {
		if place, eligible := l.standing(d.item, e.count(), sum); eligible && l.aboveFloor(items, place) {
			wanted = true
			if !l.touched && l.inList(items, place) {
				t.touch(l)
			}
		}
		if l.touched {
			continue
		}
		if place, eligible := l.standing(d.item, countWas, sumWas); eligible && l.inList(items, place) {
			t.touch(l)
		}
	}
	if wanted && e.extra&marked == 0 {
		e.extra |= marked
		if len(group.changed) == 0 {
			t.changed = append(t.changed, e.group)
		}
		group.changed = append(group.changed, d.item)
	}
}

// sum takes a cell's change into its total, without a look at the lists. It returns the total, and
// what it was; nil where only duplicates have changed.
func (t *totals) sum(groups *names, d delta) (e *entry, countWas, sumWas int64) {
	g := t.group(groups, d.group)
	group := &t.groups[g]
	group.cells += d.cells
	group.duplicates += d.duplicates
	if d.duplicates != 0 {
		t.touchAll(group)
	}
	if d.count == 0 && d.was == d.is {
		return nil, 0, 0
	}
	e, isNew := t.table.put(d.item, g, 0)
	if isNew && group.missing.some() {
		e.extra |= lossy // it may be back, without what it was before
	}
	countWas = e.count()
	sumWas, okWas := e.total()
	e.addCount(d.count)
	e.replaceSum(d.was, d.is)
	if _, ok := e.total(); ok != okWas || event.Saturated(d.was) != event.Saturated(d.is) {
		group.overflows += one(okWas) - one(ok) + one(event.Saturated(d.is)) - one(event.Saturated(d.was))
		t.touchAll(group)
	}
	return e, countWas, sumWas
}

func (t *totals) touch(l *leaders) {
	if !l.touched {
		l.touched = true
		t.touched = append(t.touched, l)
	}
}

func (t *totals) touchAll(g *rankGroup) {
	for _, l := range g.lists {
		t.touch(l)
	}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// group returns the index of the group that a cell's group belongs to in this view.
func (t *totals) group(groups *names, number uint32) uint32 {
	if int(number) < len(t.groupOf) && t.groupOf[number] > 0 {
		return t.groupOf[number] - 1
	}
	name := t.view.project(event.Group(groups.get(number)))
	g, ok := t.indexes[name]
	if !ok {
		g = t.place()
		t.indexes[name] = g
		t.groups[g] = rankGroup{name: name, missing: t.others}
		for _, board := range t.view.boards {
			key := event.ListKey{Board: board.Name, By: t.view.by, Group: name, Start: t.start}
			t.view.listsMade++
			l := &leaders{board: board, totals: t, group: g, key: key, made: t.view.listsMade}
			t.groups[g].lists = append(t.groups[g].lists, l)
			t.touch(l)
		}
	}
	if need := int(number) + 1 - len(t.groupOf); need > 0 {
		t.groupOf = append(t.groupOf, make([]uint32, need)...)
	}
	t.groupOf[number] = g + 1
	return g
}

// place returns the index of an empty place in groups.
func (t *totals) place() uint32 {
	if n := len(t.free); n > 0 {
		g := t.free[n-1]
		t.free = t.free[:n-1]
		return g
	}
	t.groups = append(t.groups, rankGroup{})
	return uint32(len(t.groups) - 1)
}

// project returns a cell's group cut down to the view's dimensions.
func (v *view) project(group event.Group) event.Group {
	values := group.Values()
	kept := make([]string, len(v.dims))
	for i, d := range v.dims {
		if d < len(values) {
			kept[i] = values[d]
		}
	}
	return event.NewGroup(kept...)
}

// refresh makes the lists of what has changed anew, and calls publish for each one that
// was touched, or for all of them once the window has closed.
func (t *totals) refresh(items *names, publish func(*leaders)) {
	t.remake(items)
	for _, l := range t.touched {
		l.touched = false
		publish(l)
	}
	t.touched = t.touched[:0]
	if !t.finalDue {
		return
	}
	t.finalDue = false
	for i := range t.groups {
		for _, l := range t.groups[i].lists {
			publish(l)
		}
	}
}

// remake makes the lists of what has changed anew, and touches those of which only the exactness has changed.
func (t *totals) remake(items *names) {
	at := t.places()
	var short []*leaders
	for _, g := range t.changed {
		n := len(t.groups[g].changed)
		short = append(short, t.remakeGroup(items, g, at[:n])...)
		at = at[n:]
	}
	t.rescan(items, short)
	for _, g := range t.changed {
		group := &t.groups[g]
		group.changed = nil // many at first, few once lists are full: it holds on to nothing
		for _, l := range group.lists {
			if group.missing.some() && l.exact() != l.saidExact {
				t.touch(l)
			}
		}
	}
	t.changed = t.changed[:0]
}

// places returns where the marked entries stand, group after group, until the next one is put. All
// at once, so that cache misses overlap.
func (t *totals) places() []int {
	n := 0
	for _, g := range t.changed {
		n += len(t.groups[g].changed)
	}
	at := make([]int, 0, n)
	for _, g := range t.changed {
		for _, item := range t.groups[g].changed {
			i, _ := t.table.seek(item+1, g, 0)
			at = append(at, i)
		}
	}
	return at
}

// remakeGroup makes the lists of a group anew, whose marked entries stand at these places. It returns those that ran short.
func (t *totals) remakeGroup(items *names, g uint32, at []int) (short []*leaders) {
	group := &t.groups[g]
	changed := items.scratch()
	for _, item := range group.changed {
		changed.set(item)
	}
	for _, l := range group.lists {
		l.drop(changed)
	}
	for _, i := range at {
		e := &t.table.slots[i]
		e.extra &^= marked | listed
		for _, l := range group.lists {
			l.offer(items, e)
		}
	}
	for _, l := range group.lists {
		if !l.finish(items) {
			short = append(short, l)
			continue
		}
		for _, leader := range l.top {
			if changed.has(leader.item) {
				t.table.find(leader.item, g, 0).extra |= listed
			}
		}
	}
	for _, item := range group.changed {
		changed.clear(item)
	}
	return short
}

// rescan makes lists that ran short from all their items.
func (t *totals) rescan(items *names, short []*leaders) {
	if len(short) == 0 {
		return
	}
	byGroup := make([][]*leaders, len(t.groups))
	for _, l := range short {
		l.clear()
		byGroup[l.group] = append(byGroup[l.group], l)
	}
	t.table.each(func(e *entry) {
		for _, l := range byGroup[e.group] {
			l.offer(items, e)
		}
	})
	for _, l := range short {
		l.finish(items)
		t.list(l)
	}
}

// list marks the entries of a list's candidates.
func (t *totals) list(l *leaders) {
	for _, leader := range l.top {
		t.table.find(leader.item, l.group, 0).extra |= listed
	}
}
