package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// CellKey says which cell: a pane, a group, an item.
type CellKey struct {
	Pane  int64 // the pane's start, Unix milliseconds
	Group event.Group
	Item  string
}

// Compare orders keys by pane, group, item.
func (k CellKey) Compare(other CellKey) int {
	if k.Pane != other.Pane { // not cmp.Or, which compares all three: large data sets sort millions of keys
		return cmp.Compare(k.Pane, other.Pane)
	}
	if k.Group != other.Group {
		return cmp.Compare(k.Group, other.Group)
	}
	return cmp.Compare(k.Item, other.Item)
}

// Totals is what a cell holds.
type Totals struct {
	Count      int64
	Sum        int64 // saturates at the ends of int64 and stays there
	Min, Max   int64
	Duplicates int64 // duplicates dropped while the cell was there and its pane open
}

// Cells are the final cells of a log, or of several. Every cell has counted an event.
type Cells map[CellKey]Totals

// Keys returns the keys of c in their order.
func (c Cells) Keys() []CellKey {
	return slices.SortedFunc(maps.Keys(c), CellKey.Compare)
}

// CellsOf returns the final cells of a log with its outcomes, as Decide gave them.
//
// A duplicate counts in the cell that its own payload names, if an event was counted
// there before and the pane still takes events.
func CellsOf(s operators.Settings, log []Record, outcomes []Outcome) Cells {
	cells := make(Cells)
	for i, o := range outcomes {
		r := log[i]
		key := CellKey{Pane: o.Pane, Group: r.Group(), Item: r.Item}
		cell, exists := cells[key]
		switch o.Decision {
		case event.Counted:
			if !exists {
				cell = Totals{Min: r.Value, Max: r.Value}
			}
			cell.Count++
			cell.Sum = event.AddSaturating(cell.Sum, r.Value)
			cell.Min, cell.Max = min(cell.Min, r.Value), max(cell.Max, r.Value)
			cells[key] = cell
		case event.Duplicate:
			if exists && o.Lateness <= s.AllowedLateness.Milliseconds() {
				cell.Duplicates++
				cells[key] = cell
			}
		default: // nothing else touches a cell
		}
	}
	return cells
}

// CellsOfAll returns the final cells of several partitions' logs, added up.
func CellsOfAll(s operators.Settings, logs [][]Record) Cells {
	parts := make([]Cells, 0, len(logs))
	for _, log := range logs {
		parts = append(parts, CellsOf(s, log, Decide(s, log)))
	}
	return MergeCells(parts...)
}

// MergeCells adds up the cells of several partitions. A cell is saturated as soon as
// one part of it is; which end of int64 it then stands at depends on the parts' order.
func MergeCells(parts ...Cells) Cells {
	merged := make(Cells)
	for _, part := range parts {
		for key, totals := range part {
			if there, ok := merged[key]; ok {
				totals = there.add(totals)
			}
			merged[key] = totals
		}
	}
	return merged
}

// add returns the totals of a and b together. Neither is empty.
func (t Totals) add(other Totals) Totals {
	return Totals{
		Count:      t.Count + other.Count,
		Sum:        addSums(t.Sum, other.Sum),
		Min:        min(t.Min, other.Min),
		Max:        max(t.Max, other.Max),
		Duplicates: t.Duplicates + other.Duplicates,
	}
}

// addSums adds two sums of which either may have run over: AddSaturating alone takes
// its second operand for a value, and 5 + "below int64" would look right again.
func addSums(a, b int64) int64 {
	if event.Saturated(b) && !event.Saturated(a) {
		return b
	}
	return event.AddSaturating(a, b)
}
