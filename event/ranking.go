package event

import "cmp"

// Entry is one line of a ranking.
type Entry struct {
	Item  string
	Score float64
}

// Order says which end of a ranking comes first.
type Order uint8

const (
	// Top: score descending, then item descending bytewise: ZREVRANGE's order.
	Top Order = iota
	// Bottom: score ascending, then item ascending bytewise: ZRANGE's order.
	Bottom
)

// String returns "top" or "bottom".
func (o Order) String() string {
	if o == Bottom {
		return "bottom"
	}
	return "top"
}

// Compare is negative when a comes before b in this order, positive when after, and 0 when
// they are the same entry. Scores compare as float64 and are never NaN.
func (o Order) Compare(a, b Entry) int {
	c := cmp.Compare(b.Score, a.Score)
	if c == 0 {
		c = cmp.Compare(b.Item, a.Item)
	}
	if o == Bottom {
		return -c
	}
	return c
}

// Before reports whether a score comes strictly before another in this order.
func (o Order) Before(a, b float64) bool {
	if o == Bottom {
		return a < b
	}
	return a > b
}

// ListKey says which list a ranking is: one board, one grouping and group, one window.
type ListKey struct {
	Board string
	By    string // names of the dimensions that Group holds values of, joined by commas; "" for all events together
	Group Group
	Start int64 // the window's start, Unix milliseconds
}

// Compare orders keys by window, board, grouping, group.
func (k ListKey) Compare(other ListKey) int {
	return cmp.Or(cmp.Compare(k.Start, other.Start), cmp.Compare(k.Board, other.Board), cmp.Compare(k.By, other.By), cmp.Compare(k.Group, other.Group))
}

// Ranking is the ordered list of a board for one group and window: a shard's part of
// it, or all shards' merged.
type Ranking struct {
	ListKey
	End        int64   // the window's end, Unix milliseconds
	Entries    []Entry // at most K, in the board's order
	Final      bool    // the window has closed; a later revision can still correct it
	Exact      bool    // false once a sum has run over, or items found no room
	MaxError   float64 // by how much a score can be wrong at most, where not exact; +Inf where that isn't known
	Duplicates int64   // events dropped as duplicates in the group and window
	Revision   int64   // the offset of the input that it is as of; greater is newer, equal means the same bytes
}

// Rankings is one message of the rankings topic: lists of one shard.
type Rankings struct {
	Part
	Lists []Ranking
}
