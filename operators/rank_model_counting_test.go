package operators_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// counting is a source partition: what it has counted and how far its time has come, by offset.
// Each offset stands for a stretch of its log.
type counting struct {
	traffic *traffic
	rng     *rand.Rand
	time    int64
	w       []int64
	keys    []sim.CellKey // in the order of their first event
	cells   map[sim.CellKey][]counted
}

// counted is what a cell holds from an offset on.
type counted struct {
	offset int
	sim.Totals
}

func newCounting(rng *rand.Rand, t *traffic, start int64) *counting {
	c := &counting{traffic: t, rng: rng, time: start, cells: map[sim.CellKey][]counted{}}
	for offset := range rng.IntN(16) {
		c.stretch(offset)
	}
	return c
}

// stretch draws what is counted at an offset.
func (c *counting) stretch(offset int) {
	if !c.traffic.crowded || c.rng.IntN(3) == 0 {
		c.time += pick[int64](c.rng, 0, 0, 1, 1, 2, 4, 9)
	}
	at := c.time - pick[int64](c.rng, 0, 0, 1, 5)
	w := at - c.traffic.boards.OutOfOrderness.Milliseconds()
	if offset > 0 {
		w = max(w, c.w[offset-1])
	}
	c.w = append(c.w, w)
	switch kind := c.rng.IntN(8); {
	case kind == 0:
		c.duplicates(offset)
	case kind == 1:
		c.undo(offset)
	case kind == 2 || c.traffic.crowded && kind < 5:
		c.fall(offset)
	case kind < 7 && c.traffic.crowded:
		c.crowd(offset, at)
	default:
		for range 1 + c.rng.IntN(3) {
			c.count(offset, c.key(at, pick(c.rng, "", "a", "b", "c", "d", "ee")), int64(c.rng.IntN(41)-20))
		}
	}
}

func (c *counting) key(at int64, item string) sim.CellKey {
	group := event.NewGroup(pick(c.rng, "eu", "na", ""), pick(c.rng, "x", "y"))
	if c.traffic.crowded && c.rng.IntN(20) > 0 {
		group = event.NewGroup("eu", "x")
	}
	pane := c.traffic.boards.Pane.Milliseconds()
	return sim.CellKey{Pane: at - (at%pane+pane)%pane, Group: group, Item: item}
}

// open reports whether a pane still takes events.
func (c *counting) open(pane int64) bool {
	return pane+(c.traffic.boards.Pane+c.traffic.boards.AllowedLateness).Milliseconds() > c.w[len(c.w)-1]
}

func (c *counting) now(key sim.CellKey) sim.Totals {
	if was := c.cells[key]; len(was) > 0 {
		return was[len(was)-1].Totals
	}
	return sim.Totals{}
}

func (c *counting) set(offset int, key sim.CellKey, to sim.Totals) {
	if len(c.cells[key]) == 0 {
		c.keys = append(c.keys, key)
	}
	c.cells[key] = append(c.cells[key], counted{offset, to})
}

// count counts an event, unless it is late.
func (c *counting) count(offset int, key sim.CellKey, value int64) {
	if !c.open(key.Pane) {
		return
	}
	to := c.now(key)
	if c.traffic.huge && c.rng.IntN(2) == 0 {
		value += pick[int64](c.rng, -1<<62, 1<<62)
		if to.Sum > 0 == (value > 0) && c.rng.IntN(8) > 0 { // a cell's sum that runs over does so for good: not too often
			value = -value
		}
	}
	to.Count++
	to.Sum = event.AddSaturating(to.Sum, value)
	c.set(offset, key, to)
}

// crowd counts many items: hundreds, or just as many as make candidates be cut once before all have been seen.
// Some have scores of their own, some tie; they come best first or in any order.
func (c *counting) crowd(offset int, at int64) {
	n := 4*c.traffic.boards.Boards[0].K + 64 + c.rng.IntN(8)
	if c.rng.IntN(3) == 0 {
		n += c.rng.IntN(200)
	}
	prefix, ties, sorted := pick(c.rng, "i", "j", "k"), 1+c.rng.IntN(3), c.rng.IntN(3) > 0
	for i := range n {
		value, times := int64((n-i)/ties), 1
		if c.traffic.boards.Boards[0].Order == event.Bottom {
			value, times = int64(i/ties-n), 1+i/ties/8
		}
		if !sorted {
			value, times = int64(c.rng.IntN(2*n)/ties-n), 1+c.rng.IntN(4)
		}
		key := c.key(at, fmt.Sprintf("%s%03d", prefix, i))
		for range times {
			c.count(offset, key, value)
		}
	}
}

// fall moves what stands in front back into the field, so that lists lose their leaders: refunds
// of the greatest sums, credits for the least, more events for the smallest counts.
func (c *counting) fall(offset int) {
	b := &c.traffic.boards.Boards[0]
	compare := func(a, b sim.CellKey) int { return cmp.Compare(c.now(b).Sum, c.now(a).Sum) }
	switch {
	case b.Measure == operators.Count:
		compare = func(a, b sim.CellKey) int { return cmp.Compare(c.now(a).Count, c.now(b).Count) }
	case b.Order == event.Bottom:
		compare = func(a, b sim.CellKey) int { return cmp.Compare(c.now(a).Sum, c.now(b).Sum) }
	}
	keys := slices.Clone(c.keys)
	slices.SortStableFunc(keys, compare)
	part := pick[int64](c.rng, 1, 2, 4)
	for _, key := range keys[:min(len(keys), b.K+c.rng.IntN(b.K+3))] {
		value := -c.now(key).Sum / part
		for range 1 + c.rng.IntN(9) {
			c.count(offset, key, value)
			if value = 0; b.Measure != operators.Count {
				break
			}
		}
	}
}

// undo takes back what an event was worth: sums are again what they were, though something was counted.
func (c *counting) undo(offset int) {
	for range 3 {
		if len(c.keys) == 0 {
			return
		}
		key := c.keys[c.rng.IntN(len(c.keys))]
		was := int64(0)
		if n := len(c.cells[key]); n > 1 {
			was = c.cells[key][n-2].Sum
		}
		if now := c.now(key).Sum; !event.Saturated(now) {
			c.count(offset, key, was-now)
		}
	}
}

// duplicates finds nothing but duplicates, of what was counted before.
func (c *counting) duplicates(offset int) {
	for _, key := range c.keys {
		if c.open(key.Pane) && c.rng.IntN(4) == 0 {
			to := c.now(key)
			to.Duplicates += int64(1 + c.rng.IntN(2))
			c.set(offset, key, to)
		}
	}
}

// changed returns the cells that changed after an offset up to another, as they stand then.
func (c *counting) changed(after, asOf int) []event.Cell {
	var cells []event.Cell
	for _, key := range c.keys {
		readings := c.cells[key]
		i, _ := slices.BinarySearchFunc(readings, asOf+1, func(r counted, offset int) int { return cmp.Compare(r.offset, offset) })
		if i == 0 || readings[i-1].offset <= after {
			continue
		}
		to := readings[i-1].Totals
		cells = append(cells, event.Cell{Pane: key.Pane, Group: []byte(key.Group), Item: []byte(key.Item), Count: to.Count, Sum: to.Sum, Duplicates: to.Duplicates})
	}
	if c.rng.IntN(2) == 0 {
		c.rng.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	}
	return cells
}
