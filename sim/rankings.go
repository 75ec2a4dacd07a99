package sim

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/millrank/millrank/event"
)

// Measure is what a board ranks by.
type Measure uint8

const (
	// Count is how many events.
	Count Measure = iota
	// Sum is the sum of their values.
	Sum
	// Average is the sum divided by the count.
	Average
)

// Board is a leaderboard in plain words.
type Board struct {
	// Size is a window's length and Slide the distance from one window to the next; a
	// tumbling window's Slide is its Size. Windows start at Offset plus a multiple of
	// Slide, counted from the Unix epoch. All are multiples of the pane.
	Size, Slide, Offset time.Duration
	// Dims are the indexes, in the cells' group, of the dimensions that the board ranks within.
	// None ranks all events together.
	Dims []int
	// Measure is what the score is: the count, sum/10^Scale, or sum/count/10^Scale.
	Measure Measure
	// Scale is the decimal places of a value.
	Scale int
	// MinCount leaves out items with fewer events in the window, before the cut at K.
	MinCount int64
	// Order says which end comes first.
	Order event.Order
	// K is how many entries a list keeps.
	K int
}

// List is the ranking of a board for one group and window.
type List struct {
	Group      event.Group // the board's dimensions only
	Start, End int64       // the window, half-open, Unix milliseconds
	Entries    []event.Entry
	// Exact is false when an item's sum has run over, listed or not, where the score comes
	// from sums. Only the flag is then comparable: which end a sum stands at, and whether
	// it runs over on its way at all, depends on the order of adding.
	Exact      bool
	Duplicates int64 // of all the group's cells in the window
}

// listKey says which list a cell counts in.
type listKey struct {
	start int64
	group event.Group
}

// Rankings returns the exact lists of a board over the final cells of all source
// partitions, ordered by window, then group. There is a list for each group and
// window that counted an event, even where the minimum count leaves it empty.
func Rankings(cells Cells, pane time.Duration, b Board) []List {
	items := make(map[listKey]map[string]Totals)
	for _, cell := range cells.Keys() { // in order, so that saturating sums are the same each time
		group := project(cell.Group, b.Dims)
		for _, start := range b.windowsOf(cell.Pane, cell.Pane+pane.Milliseconds()) {
			key := listKey{start: start, group: group}
			inList := items[key]
			if inList == nil {
				inList = make(map[string]Totals)
				items[key] = inList
			}
			totals := cells[cell]
			if there, ok := inList[cell.Item]; ok {
				totals = there.add(totals)
			}
			inList[cell.Item] = totals
		}
	}
	keys := slices.SortedFunc(maps.Keys(items), func(a, b listKey) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.group, b.group))
	})
	lists := make([]List, 0, len(keys))
	for _, key := range keys {
		lists = append(lists, b.list(key, items[key]))
	}
	return lists
}

// windowsOf returns the starts of all windows that hold the whole pane.
func (b Board) windowsOf(paneStart, paneEnd int64) []int64 {
	size, slide, offset := b.Size.Milliseconds(), b.Slide.Milliseconds(), b.Offset.Milliseconds()
	var starts []int64
	start := offset + floorDiv(paneStart-offset, slide)*slide // the last window that starts at or before the pane
	for ; start+size >= paneEnd; start -= slide {
		starts = append(starts, start)
	}
	return starts
}

// list ranks the items of one group and window.
func (b Board) list(key listKey, items map[string]Totals) List {
	l := List{Group: key.group, Start: key.start, End: key.start + b.Size.Milliseconds(), Exact: true}
	for item, totals := range items {
		l.Duplicates += totals.Duplicates
		if b.Measure != Count && event.Saturated(totals.Sum) {
			l.Exact = false
		}
		if totals.Count >= b.MinCount {
			l.Entries = append(l.Entries, event.Entry{Item: item, Score: b.score(totals)})
		}
	}
	slices.SortFunc(l.Entries, b.Order.Compare)
	l.Entries = l.Entries[:min(len(l.Entries), b.K)]
	return l
}

// score is the measure as float64, divided in this order.
func (b Board) score(t Totals) float64 {
	unit := math.Pow10(b.Scale) // 10^Scale as float64, exactly, up to 10^22
	switch b.Measure {
	case Sum:
		return float64(t.Sum) / unit
	case Average:
		return float64(t.Sum) / float64(t.Count) / unit
	default:
		return float64(t.Count)
	}
}

// project returns the group of the dimensions at these indexes.
func project(group event.Group, dims []int) event.Group {
	values := group.Values()
	projected := make([]string, 0, len(dims))
	for _, i := range dims {
		projected = append(projected, values[i])
	}
	return event.NewGroup(projected...)
}
