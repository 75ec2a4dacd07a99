package wire

import (
	"fmt"
	"math"

	"github.com/millrank/millrank/event"
)

// DecodeUpdate makes an update of its message: who speaks, the shard that is spoken to,
// and the part with its cells, in the order in which the Encoder was given them.
//
// Nothing of what it returns points into b, so b is the caller's again. The cells are the
// caller's to keep and change; their groups and their items share one piece of memory
// each, so one cell that is kept keeps the bytes of all. No other part of the message is held.
//
// Any bytes are safe to give: what is not an update is an error that wraps ErrMalformed and
// says what is wrong, and the memory taken is at most some 32 times len(b), mostly
// for cells, which are 96 bytes in memory and can be 4 in a message. Unknown fields are ignored.
func DecodeUpdate(b []byte) (Sender, int, event.Update, error) {
	var m Update
	s, shard, u, err := decodeUpdate(b, &m)
	if err != nil {
		return Sender{}, 0, event.Update{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, shard, u, nil
}

func decodeUpdate(b []byte, m *Update) (s Sender, shard int, u event.Update, err error) {
	if len(b) > math.MaxInt32 {
		return s, 0, u, fmt.Errorf("%d bytes, at most %d", len(b), math.MaxInt32)
	}
	if err := m.UnmarshalVT(b); err != nil {
		return s, 0, u, err
	}
	s = Sender{
		Source: m.GetSource(), Generation: m.GetGeneration(),
		Partition: int(m.GetPartition()), SourcePartitions: int(m.GetSourcePartitions()), ShardPartitions: int(m.GetShardPartitions()),
	}
	shard = int(m.GetShard())
	if err := s.check(shard); err != nil {
		return s, 0, u, err
	}
	if m.GetNumber() > math.MaxInt32 {
		return s, 0, u, fmt.Errorf("part number %d, must be 0 to %d", m.GetNumber(), math.MaxInt32)
	}
	u.Part = event.Part{
		Source: s.Partition, Incarnation: m.GetIncarnation(), AsOf: m.GetAsOf(),
		Number: int(m.GetNumber()), Last: m.GetLast(),
		ClosedThrough: event.NoTime, DroppedThrough: event.NoTime,
		Idle: m.GetIdle(), IdleFor: m.GetIdleForMs(),
	}
	if m.ClosedThrough != nil {
		u.ClosedThrough = m.GetClosedThrough()
	}
	if m.DroppedThrough != nil {
		u.DroppedThrough = m.GetDroppedThrough()
	}
	u.Cells, err = cells(m)
	return s, shard, u, err
}

// cells makes the cells of a message. It overwrites the lengths in the message's dictionaries.
func cells(m *Update) ([]event.Cell, error) {
	if err := checkColumns(m); err != nil {
		return nil, err
	}
	panes := m.GetPaneStarts()
	groups, items := m.GetGroups(), m.GetItems()
	groupEnds, err := ends("group", groups, m.GetGroupLengths())
	if err != nil {
		return nil, err
	}
	itemEnds, err := ends("item", items, m.GetItemLengths())
	if err != nil {
		return nil, err
	}
	counts, sums, minima, maxima, duplicates := m.GetCounts(), m.GetSums(), m.GetMinima(), m.GetMaxima(), m.GetDuplicates()
	n := len(counts)
	cellPanes, cellGroups, cellItems := m.GetCellPanes()[:n], m.GetCellGroups()[:n], m.GetCellItems()[:n]
	all := make([]event.Cell, n)
	for i := range all {
		pane, group, item := cellPanes[i], cellGroups[i], cellItems[i]
		if uint(pane) >= uint(len(panes)) || uint(group) >= uint(len(groupEnds)) || uint(item) >= uint(len(itemEnds)) {
			return nil, fmt.Errorf("cell %d is of pane %d of %d, group %d of %d, item %d of %d", i, pane, len(panes), group, len(groupEnds), item, len(itemEnds))
		}
		c := &all[i]
		c.Pane, c.Group, c.Item = panes[pane], cut(groups, groupEnds, group), cut(items, itemEnds, item)
		c.Count, c.Sum, c.Min, c.Max = counts[i], counts[i], 1, 1
		if len(sums) > 0 {
			c.Sum = sums[i]
		}
		if len(minima) > 0 {
			c.Min = minima[i]
		}
		if len(maxima) > 0 {
			c.Max = maxima[i]
		}
		if len(duplicates) > 0 {
			c.Duplicates = duplicates[i]
		}
	}
	return all, nil
}

// checkColumns says whether all columns that are there are equally long.
func checkColumns(m *Update) error {
	n := len(m.GetCounts())
	for _, column := range [...]struct {
		name    string
		entries int
		needed  bool
	}{
		{"cell_panes", len(m.GetCellPanes()), true},
		{"cell_groups", len(m.GetCellGroups()), true},
		{"cell_items", len(m.GetCellItems()), true},
		{"sums", len(m.GetSums()), false},
		{"minima", len(m.GetMinima()), false},
		{"maxima", len(m.GetMaxima()), false},
		{"duplicates", len(m.GetDuplicates()), false},
	} {
		if column.entries != n && (column.needed || column.entries != 0) {
			return fmt.Errorf("column %s has %d entries, and counts has %d", column.name, column.entries, n)
		}
	}
	return nil
}

// ends makes lengths, in place, into where each string of a dictionary ends.
func ends(name string, bytes []byte, lengths []uint32) ([]uint32, error) {
	end := 0
	for i, length := range lengths {
		if uint64(length) > uint64(len(bytes)-end) {
			return nil, fmt.Errorf("%s %d of %d has %d bytes, but only %d are left", name, i, len(lengths), length, len(bytes)-end)
		}
		end += int(length)
		lengths[i] = uint32(end)
	}
	if end != len(bytes) {
		return nil, fmt.Errorf("%d %ss have %d bytes together, but there are %d", len(lengths), name, end, len(bytes))
	}
	return lengths, nil
}

// cut returns one string of a dictionary, with no room for more, so that appending to it
// leaves the next one alone.
func cut(bytes []byte, ends []uint32, i uint32) []byte {
	start, end := uint32(0), ends[i]
	if i > 0 {
		start = ends[i-1]
	}
	return bytes[start:end:end]
}
