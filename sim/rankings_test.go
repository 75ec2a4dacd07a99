package sim_test

import (
	"reflect"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
)

func TestRankings(t *testing.T) {
	cell := func(pane int64, item string, dims ...string) sim.CellKey {
		return sim.CellKey{Pane: pane, Group: event.NewGroup(dims...), Item: item}
	}
	cells := sim.Cells{
		cell(0, "a", "eu", "toys"):  {Count: 3, Sum: 150, Min: 10, Max: 100, Duplicates: 2},
		cell(0, "a", "eu", "books"): {Count: 1, Sum: -50, Min: -50, Max: -50},
		cell(0, "b", "na", "toys"):  {Count: 4, Sum: 100, Min: 25, Max: 25, Duplicates: 1},
		cell(10, "c", "na", "toys"): {Count: 1, Sum: 7, Min: 7, Max: 7},
		cell(-5, "d", "eu", "toys"): {Count: 2, Sum: 9, Min: 1, Max: 8},
	}
	list := func(start, end, duplicates int64, group event.Group, entries ...event.Entry) sim.List {
		return sim.List{Group: group, Start: start, End: end, Entries: entries, Exact: true, Duplicates: duplicates}
	}
	eu, na := event.NewGroup("eu"), event.NewGroup("na")
	tests := []struct {
		name  string
		board sim.Board
		want  []sim.List
	}{
		{"global count, ties by item descending", sim.Board{Size: 10 * ms, Slide: 10 * ms, K: 2}, []sim.List{
			list(-10, 0, 0, "", event.Entry{Item: "d", Score: 2}),
			list(0, 10, 3, "", event.Entry{Item: "b", Score: 4}, event.Entry{Item: "a", Score: 4}),
			list(10, 20, 0, "", event.Entry{Item: "c", Score: 1}),
		}},
		{"bottom average with scale, a tie by item ascending, cut at K", sim.Board{Size: 20 * ms, Slide: 20 * ms, Offset: 10 * ms, Measure: sim.Average, Scale: 2, Order: event.Bottom, K: 2}, []sim.List{
			list(-10, 10, 3, "", event.Entry{Item: "d", Score: 0.045}, event.Entry{Item: "a", Score: 0.25}),
			list(10, 30, 0, "", event.Entry{Item: "c", Score: 0.07}),
		}},
		{"sliding sum per region, minimum count before the cut", sim.Board{Size: 10 * ms, Slide: 5 * ms, Dims: []int{0}, Measure: sim.Sum, MinCount: 2, K: 1}, []sim.List{
			list(-10, 0, 0, eu, event.Entry{Item: "d", Score: 9}),
			list(-5, 5, 2, eu, event.Entry{Item: "a", Score: 100}),
			list(-5, 5, 1, na, event.Entry{Item: "b", Score: 100}),
			list(0, 10, 2, eu, event.Entry{Item: "a", Score: 100}),
			list(0, 10, 1, na, event.Entry{Item: "b", Score: 100}),
			list(5, 15, 0, na),
			list(10, 20, 0, na),
		}},
		{"by category, then region", sim.Board{Size: 40 * ms, Slide: 40 * ms, Offset: -20 * ms, Dims: []int{1, 0}, K: 5}, []sim.List{
			list(-20, 20, 2, event.NewGroup("toys", "eu"), event.Entry{Item: "a", Score: 3}, event.Entry{Item: "d", Score: 2}),
			list(-20, 20, 1, event.NewGroup("toys", "na"), event.Entry{Item: "b", Score: 4}, event.Entry{Item: "c", Score: 1}),
			list(-20, 20, 0, event.NewGroup("books", "eu"), event.Entry{Item: "a", Score: 1}),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := sim.Rankings(5*ms, test.board, cells)
			for i := range got {
				if len(got[i].Entries) == 0 {
					got[i].Entries = nil
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestUnionOfTopKs pins why rankings merge over disjoint items only: partitions that
// share items must be added up before the cut.
func TestUnionOfTopKs(t *testing.T) {
	part := func(counts map[string]int64) sim.Cells {
		cells := make(sim.Cells)
		for item, n := range counts {
			cells[sim.CellKey{Item: item}] = sim.Totals{Count: n}
		}
		return cells
	}
	cells := sim.MergeCells(part(map[string]int64{"A": 7, "B": 6, "C": 5}), part(map[string]int64{"A": 2, "B": 4, "C": 5}))
	lists := sim.Rankings(ms, sim.Board{Size: ms, Slide: ms, K: 2}, cells)
	want := []event.Entry{{Item: "C", Score: 10}, {Item: "B", Score: 10}}
	if len(lists) != 1 || !reflect.DeepEqual(lists[0].Entries, want) {
		t.Errorf("got %+v, want %v", lists, want)
	}
}
