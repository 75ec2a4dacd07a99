package operators

import (
	"math"
	"slices"

	"github.com/millrank/millrank/event"
)

// losing is what a group of a window loses in one pass.
type losing struct {
	most missing // of any item
	went int64   // cells
}

// lose takes cells that went out of a window's totals, and makes the lists of their groups anew.
// A group of which nothing is held any more goes too. Its lists needn't be published for that: what they
// said last stands until something is heard of the group, and then they are made, and published, anew. Only
// what hasn't been published yet must be, as it stood before: see Flush for when they are made anew before that.
func (r *Rank) lose(t *totals, went []entry) {
	lost := r.lost(t, went)
	groups := t.losing(lost, r, went)
	t.depart(groups, r)
	for i := range went {
		t.subtract(&r.groups, &went[i])
	}
	lost.each(func(l *entry) {
		if e := t.table.find(l.itemOf(), l.group, 0); !e.isZero() {
			e.extra |= lossy
		}
	})
	t.table.remove((*entry).isZero)
	var short []*leaders
	for g := range groups {
		group, l := &t.groups[g], &groups[g]
		if l.went == 0 {
			continue
		}
		group.cells -= l.went
		group.missing = group.missing.plus(l.most)
		if group.cells > 0 {
			short = append(short, group.lists...)
		}
	}
	t.vacate()
	t.relist(&r.items, short)
}

// lost returns what each (item, group) of a window loses: its count, and the sum of absolute values;
// it is marked where one of them has run over.
func (r *Rank) lost(t *totals, went []entry) *table {
	lost := &table{}
	lost.size(len(went))
	for i := range went {
		c := &went[i]
		addLoss(lost, c, t.group(&r.groups, c.group))
	}
	return lost
}

func addLoss(lost *table, c *entry, group uint32) {
	sum := int64(c.sum.get())
	if c.count() == 0 && sum == 0 {
		return
	}
	l, _ := lost.put(c.itemOf(), group, 0)
	l.addCount(c.count())
	if event.Saturated(sum) {
		l.extra |= marked
		return
	}
	l.replaceSum(0, max(sum, -sum))
}

// loss is what an entry of lost says.
func (e *entry) loss() missing {
	sum, ok := e.total()
	if !ok || e.extra&marked != 0 {
		sum = math.MaxInt64
	}
	return missing{e.count(), sum}
}

// mostOf returns the most that any item loses with these cells, of one pane.
func mostOf(went []entry) (most missing) {
	lost := &table{}
	lost.size(len(went))
	for i := range went {
		addLoss(lost, &went[i], 0)
	}
	lost.each(func(l *entry) { most = most.or(l.loss()) })
	return most
}

// losing returns what each group loses, by its index.
func (t *totals) losing(lost *table, r *Rank, went []entry) []losing {
	groups := make([]losing, len(t.groups))
	for i := range went {
		groups[t.group(&r.groups, went[i].group)].went++
	}
	lost.each(func(l *entry) {
		g := &groups[l.group]
		g.most = g.most.or(l.loss())
	})
	return groups
}

// subtract takes a cell out of its total.
func (t *totals) subtract(groups *names, c *entry) {
	g := t.group(groups, c.group)
	group, sum := &t.groups[g], int64(c.sum.get())
	group.duplicates -= int64(c.extra)
	e := t.table.find(c.itemOf(), g, 0)
	if e == nil { // nothing but duplicates
		return
	}
	e.addCount(-c.count())
	_, okWas := e.total()
	e.replaceSum(sum, 0)
	_, ok := e.total()
	group.overflows += one(okWas) - one(ok) - one(event.Saturated(sum))
}

// isZero reports whether nothing is held of a total.
func (e *entry) isZero() bool { return e.count() == 0 && e.sum.get() == 0 && e.extra>>sumShift == 0 }

// depart writes down what the lists of groups that lose all they have say, if that is still to be published or acknowledged.
func (t *totals) depart(groups []losing, r *Rank) {
	for g := range groups {
		if groups[g].went == 0 || groups[g].went < t.groups[g].cells {
			continue
		}
		for _, l := range t.groups[g].lists {
			if r.settled && (l.touched || t.finalDue) {
				r.publish(l)
			}
			l.leave(&r.items)
		}
	}
	t.touched = slices.DeleteFunc(t.touched, func(l *leaders) bool { return l.totals == nil })
}

// vacate leaves the places of groups that have no cells any more to others.
func (t *totals) vacate() {
	for g := range t.groups {
		if group := &t.groups[g]; group.lists != nil && group.cells == 0 {
			t.others = t.others.or(group.missing)
			delete(t.indexes, group.name)
			*group = rankGroup{}
			t.free = append(t.free, uint32(g))
		}
	}
	for number, g := range t.groupOf {
		if g > 0 && t.groups[g-1].lists == nil {
			t.groupOf[number] = 0
		}
	}
}

// relist makes lists anew from all that is held, and has them published.
func (t *totals) relist(items *names, lists []*leaders) {
	t.rescan(items, lists)
	for _, l := range lists {
		t.touch(l)
	}
}
