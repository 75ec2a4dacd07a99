package wire

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrank/millrank/event"
)

// Encoder makes updates of one sender. It is reused, to allocate nothing in the long
// run, and keeps as much memory as its largest update took. It serves one goroutine.
type Encoder struct {
	sender  Sender
	message Update // of the last update, to be written anew

	closed, dropped int64 // what the message's optional fields point to

	// Dictionaries.
	panes      map[int64]uint32
	paneStarts []int64
	groups     dictionary
	items      dictionary

	// Columns.
	cellPanes, cellGroups, cellItems         []uint32
	counts, sums, minima, maxima, duplicates []int64
}

// NewEncoder returns an encoder of a sender's updates, or an error that says what is
// wrong with the sender.
func NewEncoder(s Sender) (*Encoder, error) {
	if err := s.check(0); err != nil {
		return nil, fmt.Errorf("sender of updates: %w", err)
	}
	return &Encoder{sender: s, panes: map[int64]uint32{}, groups: newDictionary(), items: newDictionary()}, nil
}

// Append appends one update for a shard to dst and returns the longer slice. It keeps
// neither the cells nor what they refer to. The same sender, shard, part and cells
// always give the same bytes.
//
// It fails, and returns dst as it was, for a shard that there is none of, a part of
// another source partition than the sender's, and an update of more than 2 GiB, which Protobuf forbids.
func (e *Encoder) Append(dst []byte, shard int, part event.Part, cells []event.Cell) ([]byte, error) {
	if err := e.sender.check(shard); err != nil {
		return dst, fmt.Errorf("update: %w", err)
	}
	if part.Source != e.sender.Partition {
		return dst, fmt.Errorf("update: a part of partition %d, from the sender of partition %d", part.Source, e.sender.Partition)
	}
	if part.Number < 0 || part.Number > math.MaxInt32 {
		return dst, fmt.Errorf("update: part number %d, must be 0 to %d", part.Number, math.MaxInt32)
	}
	e.closed, e.dropped = part.ClosedThrough, part.DroppedThrough
	e.message = Update{
		Source: e.sender.Source, Generation: e.sender.Generation,
		Partition: uint32(e.sender.Partition), SourcePartitions: uint32(e.sender.SourcePartitions),
		ShardPartitions: uint32(e.sender.ShardPartitions), Shard: uint32(shard),
		Incarnation: part.Incarnation, AsOf: part.AsOf, Number: uint32(part.Number), Last: part.Last,
		ClosedThrough: optional(&e.closed), DroppedThrough: optional(&e.dropped),
		Idle: part.Idle, IdleForMs: part.IdleFor,
	}
	e.columns(cells)
	size := e.message.SizeVT()
	if size > math.MaxInt32 {
		return dst, fmt.Errorf("update: %d bytes in %d cells, at most %d: cut the flush into smaller parts", size, len(cells), math.MaxInt32)
	}
	longer := slices.Grow(dst, size)[:len(dst)+size]
	if _, err := e.message.MarshalToSizedBufferVT(longer[len(dst):]); err != nil {
		return dst, fmt.Errorf("update: %w", err)
	}
	return longer, nil
}

// optional returns what stands for a time in the message: nothing for NoTime.
func optional(t *int64) *int64 {
	if *t == event.NoTime {
		return nil
	}
	return t
}

// columns takes the cells apart and sets the message's dictionaries and columns.
func (e *Encoder) columns(cells []event.Cell) {
	n := len(cells)
	clear(e.panes)
	e.paneStarts = e.paneStarts[:0]
	e.groups.reset(n)
	e.items.reset(n)
	for _, column := range []*[]uint32{&e.cellPanes, &e.cellGroups, &e.cellItems} {
		*column = slices.Grow((*column)[:0], n)[:n]
	}
	for _, column := range []*[]int64{&e.counts, &e.sums, &e.minima, &e.maxima, &e.duplicates} {
		*column = slices.Grow((*column)[:0], n)[:n]
	}

	// What is not zero in the end has a cell that is not as it is when its column is left out.
	var sums, minima, maxima, duplicates int64
	var pane int64    // of the cell before
	var paneAt uint32 // its position
	for i := range cells {
		c := &cells[i]
		if i == 0 || c.Pane != pane {
			at, known := e.panes[c.Pane]
			if !known {
				at = uint32(len(e.paneStarts))
				e.panes[c.Pane] = at
				e.paneStarts = append(e.paneStarts, c.Pane)
			}
			pane, paneAt = c.Pane, at
		}
		e.cellPanes[i] = paneAt
		e.cellGroups[i] = e.groups.position(c.Group)
		e.cellItems[i] = e.items.position(c.Item)
		e.counts[i], e.sums[i], e.minima[i], e.maxima[i], e.duplicates[i] = c.Count, c.Sum, c.Min, c.Max, c.Duplicates
		sums |= c.Sum ^ c.Count
		minima |= c.Min ^ 1
		maxima |= c.Max ^ 1
		duplicates |= c.Duplicates
	}

	m := &e.message
	m.PaneStarts = e.paneStarts
	m.Groups, m.GroupLengths = e.groups.bytes, e.groups.lengths
	m.Items, m.ItemLengths = e.items.bytes, e.items.lengths
	m.CellPanes, m.CellGroups, m.CellItems = e.cellPanes, e.cellGroups, e.cellItems
	m.Counts = e.counts
	if sums != 0 {
		m.Sums = e.sums
	}
	if minima != 0 {
		m.Minima = e.minima
	}
	if maxima != 0 {
		m.Maxima = e.maxima
	}
	if duplicates != 0 {
		m.Duplicates = e.duplicates
	}
}
