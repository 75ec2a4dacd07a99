package redis

import (
	"strconv"
	"strings"

	"github.com/millrank/millrank/event"
)

// delta returns what turns one list into another: the items that go, and the entries that come or have another
// score, both in the order in which they stand. Both lists are in this order, and hold an item once.
func delta(order event.Order, from, to []event.Entry) (gone []string, changed []event.Entry) {
	i, j := 0, 0
	for i < len(from) || j < len(to) {
		c := -1
		switch {
		case i == len(from):
			c = 1
		case j < len(to):
			c = order.Compare(from[i], to[j])
		}
		switch {
		case c < 0:
			gone = append(gone, from[i].Item)
			i++
		case c > 0:
			changed = append(changed, to[j])
			j++
		default:
			i++
			j++
		}
	}
	if len(gone) == 0 || len(changed) == 0 {
		return gone, changed
	}
	// An item whose score has changed is in both: it doesn't go.
	here := make(map[string]struct{}, len(changed))
	for _, e := range changed {
		here[e.Item] = struct{}{}
	}
	kept := gone[:0]
	for _, item := range gone {
		if _, ok := here[item]; !ok {
			kept = append(kept, item)
		}
	}
	return kept, changed
}

// formatScore writes a score as the shortest text that reads back as the same number.
func formatScore(score float64) string {
	if score == 0 {
		return "0" // there is a negative zero, too
	}
	return strconv.FormatFloat(score, 'g', -1, 64)
}

// compact copies entries, with the items' bytes in one piece that holds on to nothing else.
func compact(entries []event.Entry) []event.Entry {
	size := 0
	for _, e := range entries {
		size += len(e.Item)
	}
	var b strings.Builder
	b.Grow(size)
	for _, e := range entries {
		b.WriteString(e.Item)
	}
	items := b.String()
	copied := make([]event.Entry, len(entries))
	for i, e := range entries {
		copied[i] = event.Entry{Item: items[:len(e.Item)], Score: e.Score}
		items = items[len(e.Item):]
	}
	return copied
}
