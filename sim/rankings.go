package sim

import (
	"cmp"
	"maps"
	"math"
	"math/big"
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
	// Exact is false when an item's sum, listed or not, is beyond int64, or one of its cells'
	// sums has run over, where the score comes from sums. Only the flag is then comparable.
	Exact      bool
	Duplicates int64 // of all the group's cells in the window
}

// listKey says which list a cell counts in.
type listKey struct {
	start int64
	group event.Group
}

// tally is an item's count and sum over a group and window. The sum is exact, however
// many int64 are added, in whatever order.
type tally struct {
	count     int64
	sum       big.Int
	saturated bool // a cell's sum has run over
}

// Rankings returns the exact lists of a board over the final cells of all source
// partitions, ordered by window, then group. There is a list for each group and
// window that counted an event, even where the minimum count leaves it empty.
func Rankings(pane time.Duration, b Board, partitions ...Cells) []List {
	items := make(map[listKey]map[string]*tally)
	duplicates := make(map[listKey]int64)
	for _, cells := range partitions {
		for cell, totals := range cells {
			group := project(cell.Group, b.Dims)
			for _, start := range b.windowsOf(cell.Pane, cell.Pane+pane.Milliseconds()) {
				key := listKey{start: start, group: group}
				if items[key] == nil {
					items[key] = make(map[string]*tally)
				}
				item := items[key][cell.Item]
				if item == nil {
					item = new(tally)
					items[key][cell.Item] = item
				}
				item.count += totals.Count
				item.sum.Add(&item.sum, big.NewInt(totals.Sum))
				item.saturated = item.saturated || event.Saturated(totals.Sum)
				duplicates[key] += totals.Duplicates
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(items), func(a, b listKey) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.group, b.group))
	})
	lists := make([]List, 0, len(keys))
	for _, key := range keys {
		l := b.list(key, items[key])
		l.Duplicates = duplicates[key]
		lists = append(lists, l)
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
func (b Board) list(key listKey, items map[string]*tally) List {
	l := List{Group: key.group, Start: key.start, End: key.start + b.Size.Milliseconds(), Exact: true}
	for item, t := range items {
		if b.Measure != Count && (t.saturated || !t.sum.IsInt64()) {
			l.Exact = false
		}
		if t.count >= b.MinCount {
			l.Entries = append(l.Entries, event.Entry{Item: item, Score: b.score(t)})
		}
	}
	slices.SortFunc(l.Entries, b.Order.Compare)
	l.Entries = l.Entries[:min(len(l.Entries), b.K)]
	return l
}

// score is the measure as float64, divided in this order. Of a sum beyond int64 it is no use.
func (b Board) score(t *tally) float64 {
	unit := math.Pow10(b.Scale) // 10^Scale as float64, exactly, up to 10^22
	switch b.Measure {
	case Sum:
		return float64(t.sum.Int64()) / unit
	case Average:
		return float64(t.sum.Int64()) / float64(t.count) / unit
	default:
		return float64(t.count)
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
