package workload

import (
	"cmp"
	"container/heap"
	"slices"
)

// Line is one line of a table.
type Line struct {
	Item  string
	Count int64
}

// compare is negative when a comes before b: more events first, then the greater name, as in Redis's ZREVRANGE.
func compare(a, b Line) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Item, a.Item))
}

// Best keeps the K best lines of those that it is offered. The worst of them is the first.
type Best []Line

// NewBest returns one with room for all.
func NewBest() Best { return make(Best, 0, K) }

// Len is heap.Interface's.
func (b Best) Len() int { return len(b) }

// Less is heap.Interface's: the worst is first.
func (b Best) Less(i, j int) bool { return compare(b[j], b[i]) < 0 }

// Swap is heap.Interface's.
func (b Best) Swap(i, j int) { b[i], b[j] = b[j], b[i] }

// Push is heap.Interface's.
func (b *Best) Push(x any) { *b = append(*b, x.(Line)) } //nolint:errcheck // Offer gives nothing else

// Pop is heap.Interface's.
func (b *Best) Pop() any {
	last := len(*b) - 1
	x := (*b)[last]
	*b = (*b)[:last]
	return x
}

// Offer offers a line. No item may be offered twice.
func (b *Best) Offer(l Line) {
	if len(*b) < K {
		heap.Push(b, l)
	} else if compare(l, (*b)[0]) < 0 {
		(*b)[0] = l
		heap.Fix(b, 0)
	}
}

// Sorted returns the lines, the best first.
func (b Best) Sorted() []Line {
	return slices.SortedFunc(slices.Values(b), compare)
}
