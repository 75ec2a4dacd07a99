package operators_test

import (
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// TestMergePieces: a list that comes in pieces, also in several parts of a flush, is one list; the next flush replaces all of it.
func TestMergePieces(t *testing.T) {
	b := operators.Boards{
		Pane: 1e9, Boards: []operators.Board{{Name: "b", Window: operators.Window{Size: 1e9}, K: 4, By: [][]string{{}}}},
	}
	m := operators.NewMerge(b, 1, operators.ResumeAt(0))
	piece := func(start int64, entries ...event.Entry) event.Ranking {
		return event.Ranking{ListKey: event.ListKey{Board: "b", Start: start}, End: start + 1000, Exact: true, Entries: entries}
	}
	shows := func(want ...event.Entry) {
		t.Helper()
		var got []event.Entry
		m.Flush(func(lists []event.Ranking) {
			for _, l := range lists {
				if l.Start == 0 {
					got = l.Entries
				}
			}
		})
		m.Acked()
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	take := func(at int64, part event.Part, lists ...event.Ranking) {
		t.Helper()
		if err := m.Take(at, &event.Rankings{Part: part, Lists: lists}); err != nil {
			t.Fatal(err)
		}
	}
	e := func(item string, score float64) event.Entry { return event.Entry{Item: item, Score: score} }
	take(0, event.Part{AsOf: 1}, piece(0, e("a", 5), e("b", 4)), piece(0, e("c", 3)))
	take(1, event.Part{AsOf: 1, Number: 1, Last: true}, piece(0, e("d", 2), e("e", 1)), piece(1000, e("z", 9)))
	shows(e("a", 5), e("b", 4), e("c", 3), e("d", 2))
	take(2, event.Part{AsOf: 2, Last: true}, piece(0, e("e", 6)), piece(0, e("a", 5)), piece(1000, e("z", 9)))
	shows(e("e", 6), e("a", 5))
}
