package operators

import (
	"bytes"

	"github.com/millrank/millrank/event"
)

// pane holds the cells of one slice of event time, as one source partition knows them.
// Cells stand in the order in which they came; their keys' bytes lie end to end in
// keys, and an index leads to them. A pane's memory is reused as a whole.
type pane struct {
	start   int64 // Unix milliseconds
	end     int64
	closeAt int64 // the watermark at which it closes: end + allowed lateness
	opened  int64 // offset of the record that opened it
	replay  Mark  // where the oldest segment of seen IDs began when it opened
	closed  bool
	unacked int // entries for its cells in the sender's lists; memory is kept until there are none

	cells []cell
	keys  []byte
	index index
}

// cell counts one (group, item). It is one cache line of 64 bytes.
type cell struct {
	count, sum, min, max int64
	duplicates           int64
	key                  uint64 // where its key begins in the pane's keys: the group, then the item
	groupLen, itemLen    uint32
	hash                 uint32
	shard                uint16
	changed              bool // since it was last given to the sender's shard
}

// find returns the cell of a (group, item) whose key hashes to hash, or -1.
func (p *pane) find(hash uint32, group, item []byte) int {
	probe := p.index.probe(hash)
	for i, ok := probe.next(); ok; i, ok = probe.next() {
		if g, it := p.key(int(i)); bytes.Equal(it, item) && bytes.Equal(g, group) {
			return int(i)
		}
	}
	return -1
}

// touch reads the cells that find will compare first for these hashes, which it overwrites.
func (p *pane) touch(hashes []uint32) (touched uint32) {
	touched = p.index.touch(hashes)
	if len(p.cells) == 0 {
		return touched
	}
	for k, i := range hashes {
		hashes[k] = uint32(p.cells[min(int(i), len(p.cells)-1)].key)
	}
	for _, at := range hashes {
		if int(at) < len(p.keys) {
			touched += uint32(p.keys[at])
		}
	}
	return touched
}

// add makes a new cell with no events in it.
func (p *pane) add(hash uint32, group, item []byte, shard uint16) int {
	p.index.add(hash, uint32(len(p.cells)))
	p.cells = append(p.cells, cell{
		key: uint64(len(p.keys)), groupLen: uint32(len(group)), itemLen: uint32(len(item)), hash: hash, shard: shard,
	})
	p.keys = append(append(p.keys, group...), item...)
	return len(p.cells) - 1
}

// key returns a cell's group and item: views that hold until the pane is reused.
func (p *pane) key(i int) (group, item []byte) {
	c := &p.cells[i]
	at := p.keys[c.key : c.key+uint64(c.groupLen)+uint64(c.itemLen)]
	return at[:c.groupLen:c.groupLen], at[c.groupLen:]
}

// view returns a cell as others see it.
func (p *pane) view(i int) event.Cell {
	c := &p.cells[i]
	group, item := p.key(i)
	return event.Cell{
		Pane: p.start, Group: group, Item: item,
		Count: c.count, Sum: c.sum, Min: c.min, Max: c.max, Duplicates: c.duplicates,
	}
}

// add counts an event of this value.
func (c *cell) add(value int64) {
	if c.count == 0 {
		c.min, c.max = value, value
	}
	c.count++
	c.sum = event.AddSaturating(c.sum, value)
	c.min, c.max = min(c.min, value), max(c.max, value)
}

// panes are the open panes of one source partition, few and in order of their start.
type panes struct {
	width    int64 // milliseconds
	lateness int64 // milliseconds
	open     []*pane
	current  *pane // the one that took the last event, or nil
	spare    []*pane
}

// spareMax is how many panes' memory is kept for reuse.
const spareMax = 4

// at returns the open pane that holds an event time, or nil.
func (ps *panes) at(t int64) *pane {
	if c := ps.current; c != nil && t >= c.start && t < c.end {
		return c
	}
	for _, p := range ps.open {
		if t >= p.start && t < p.end {
			ps.current = p
			return p
		}
	}
	return nil
}

// start returns the start of the pane that an event time falls in.
func (ps *panes) start(t int64) int64 { return floorDiv(t, ps.width) * ps.width }

// opens adds the pane that starts at start, opened by the record at offset.
func (ps *panes) opens(start, offset int64, replay Mark) *pane {
	var p *pane
	if n := len(ps.spare); n > 0 {
		p, ps.spare = ps.spare[n-1], ps.spare[:n-1]
	} else {
		p = new(pane)
	}
	p.start, p.end = start, start+ps.width
	p.closeAt, p.opened, p.replay, p.closed = p.end+ps.lateness, offset, replay, false
	i := len(ps.open)
	for i > 0 && ps.open[i-1].start > p.start {
		i--
	}
	ps.open = append(ps.open, nil)
	copy(ps.open[i+1:], ps.open[i:])
	ps.open[i], ps.current = p, p
	return p
}

// close closes the panes that the watermark has passed, and returns how many.
func (ps *panes) close(w int64) int {
	n := 0
	for n < len(ps.open) && ps.open[n].closeAt <= w {
		p := ps.open[n]
		p.closed = true
		ps.release(p)
		n++
	}
	if n > 0 {
		kept := copy(ps.open, ps.open[n:])
		clear(ps.open[kept:])
		ps.open, ps.current = ps.open[:kept], nil
	}
	return n
}

// release sets a closed pane's memory free once nobody needs its cells.
func (ps *panes) release(p *pane) {
	if !p.closed || p.unacked > 0 {
		return
	}
	p.cells, p.keys = p.cells[:0], p.keys[:0]
	p.index.reset()
	if len(ps.spare) < spareMax {
		ps.spare = append(ps.spare, p)
	}
}
