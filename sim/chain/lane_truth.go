package chain

import (
	"strings"

	"github.com/millrank/millrank/event"
)

// laneTruth is what a partition of rankings says: which lists there are, and what a store must have.
type laneTruth struct {
	*hearing[event.Ranking]
	lateness int64
	lists    map[event.ListKey]*keptList // not dropped yet
	low      []int64                     // as in shardTruth
	touched  [][]event.ListKey           // by message: lists that it has made newer
}

type keptList struct {
	first   int64
	closeAt int64
	closed  bool
}

func newLaneTruth(k *Knobs) *laneTruth {
	return &laneTruth{
		hearing: newHearing[event.Ranking](k.Shards, -1), lateness: k.Fold.AllowedLateness.Milliseconds(),
		lists: map[event.ListKey]*keptList{},
	}
}

// appended takes the next message of the log.
func (t *laneTruth) appended(x int64, part event.Part, lists []event.Ranking) {
	whole, fresh := t.hear(x, part, lists)
	var touched []event.ListKey
	if fresh {
		_, dropped := t.now()
		for i := range whole.content {
			r := &whole.content[i]
			l := t.lists[r.ListKey]
			if l == nil {
				l = &keptList{first: whole.first, closeAt: r.End + t.lateness}
				if l.closeAt <= dropped {
					continue
				}
				t.lists[r.ListKey] = l
			}
			l.first = min(l.first, whole.first)
			touched = append(touched, r.ListKey)
		}
	}
	t.advance(whole != nil)
	closed, dropped := t.now()
	low := t.hearing.low(x)
	for key, l := range t.lists {
		if l.closeAt <= closed && !l.closed {
			l.closed = true
			touched = append(touched, key)
		}
		if l.closeAt <= dropped {
			delete(t.lists, key)
			continue
		}
		low = min(low, l.first)
	}
	t.low, t.touched = append(t.low, low), append(t.touched, touched)
}

// joined is a grouping's name, as in ListKey.By.
func joined(by []string) string { return strings.Join(by, ",") }
