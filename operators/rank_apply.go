package operators

import (
	"bytes"
	"math"

	"github.com/millrank/millrank/event"
)

// incoming is a cell on its way into a pane.
type incoming struct {
	pane        *rankPane // nil where all its windows have been dropped
	hash        uint32    // of its item's bytes
	item, group uint32
}

// blockLen is how many cells are taken in side by side.
const blockLen = 64

// apply replaces what a source partition said of these cells before. It goes over a
// block of them in short loops, each of which reads what the next one needs, so
// that cache misses overlap instead of adding up.
func (r *Rank) apply(cells []event.Cell, source uint16, first int64) {
	for len(cells) > 0 {
		n := min(len(cells), r.room.block)
		r.look(cells[:n], source, first)
		for i := range cells[:n] {
			if in := &r.block[i]; in.pane != nil {
				r.replace(in, &cells[i], source)
			}
		}
		cells = cells[n:]
	}
}

// look finds panes and numbers for a block of cells, and reads what replace will need: addresses
// first, then all of them in one tight loop, which the processor runs far ahead in.
func (r *Rank) look(cells []event.Cell, source uint16, first int64) {
	for i := range cells {
		in := &r.block[i]
		in.pane = r.paneFor(cells[i].Pane, first)
		in.hash = hashName(cells[i].Item)
	}
	touched := r.number(cells)
	if r.room.tight(len(cells)) {
		r.makeRoom(cells, source)
	}
	var ahead [blockLen][]entry
	for i := range cells {
		if in := &r.block[i]; in.pane != nil {
			ahead[i] = in.pane.cells.slot(in.item, in.group, source)
		}
	}
	touched += touch(ahead[:len(cells)])
	for k, more := 0, true; more; k++ {
		more = false
		for i := range cells {
			in := &r.block[i]
			if ahead[i] = nil; in.pane != nil && k < len(in.pane.targets) {
				t := in.pane.targets[k]
				ahead[i], more = t.table.slot(in.item, t.group(&r.groups, in.group), 0), true
			}
		}
		touched += touch(ahead[:len(cells)])
	}
	r.touched = touched
}

// number finds the numbers of a block's items and groups.
func (r *Rank) number(cells []event.Cell) (touched uint32) {
	touched = r.items.touch(r.block[:len(cells)])
	for i := range cells {
		in := &r.block[i]
		if in.pane == nil {
			continue
		}
		c := &cells[i]
		in.item = r.items.number(c.Item, in.hash, in.pane.closeLast)
		in.group = r.groupNumber(c.Group, in.pane.closeLast)
	}
	return touched
}

// touch reads the first entries of each, which are mostly in two cache lines.
func touch(ahead [][]entry) uint32 {
	var touched uint32
	for _, entries := range ahead {
		if len(entries) > 0 {
			touched += entries[0].item + entries[len(entries)-1].item
		}
	}
	return touched
}

// groupNumber returns a group's number. There are few groups; the ones that came lately are at hand.
func (r *Rank) groupNumber(group []byte, until int64) uint32 {
	known := &r.known[0]
	if n := len(group); n > 0 {
		known = &r.known[(int(group[n-1])+n)%len(r.known)]
	}
	if known.ok && known.until == until && bytes.Equal(r.groups.get(known.number), group) {
		return known.number
	}
	*known = knownGroup{ok: true, number: r.groups.number(group, hashName(group), until), until: until}
	return known.number
}

// paneFor returns the pane that takes a cell of a flush, or nil; it counts cells that come too late.
func (r *Rank) paneFor(start, first int64) *rankPane {
	p := r.recent
	if p == nil || p.start != start {
		if p = r.paneOf(start); p == nil {
			r.tooLate()
			return nil
		}
		r.recent = p
	}
	if p.closeNext <= r.dropped {
		r.tooLate()
	}
	p.first = min(p.first, first)
	r.target(p)
	return p
}

func (r *Rank) replace(in *incoming, c *event.Cell, source uint16) {
	e, isNew := in.pane.cells.put(in.item, in.group, source)
	duplicates := uint32(min(c.Duplicates, math.MaxUint32))
	d := delta{
		item: in.item, group: in.group, count: c.Count - e.count(),
		was: int64(e.sum.get()), is: c.Sum, duplicates: int64(duplicates) - int64(e.extra),
	}
	if isNew {
		d.cells = 1
		r.room.cells++
	}
	e.addCount(d.count)
	e.sum.set(uint64(c.Sum))
	e.extra = duplicates
	for _, t := range in.pane.targets {
		t.add(&r.groups, &r.items, d)
	}
}
