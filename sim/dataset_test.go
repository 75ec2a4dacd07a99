package sim_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// dataSettings are right for the data sets in any order of arrival that these tests use:
// no fact is late. Panes of an hour keep the oracle's cells few.
func dataSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane = time.Hour
	s.OutOfOrderness = 2 * time.Minute
	return s
}

var dataSets = []struct {
	name     string
	facts    int
	measures []string
}{
	{"wikipedia-edits", 39_244, []string{"count"}},
	{"online-retail", 541_909, []string{"count", "sum"}},
}

// TestExpectedRankings: the oracle's rankings are those of the data set's own batch script,
// list by list. And whatever the order of arrival, and whatever comes beside the facts,
// they stay so: the cells are the same, but for the duplicates.
func TestExpectedRankings(t *testing.T) {
	disordered := sim.Arrival{
		Partitions: 4, DelayMean: 5 * time.Second, DelayMax: 2 * time.Minute, Duplicates: .02,
		Late: .01, Future: .01, Malformed: .01, Settings: dataSettings(),
	}
	for _, set := range dataSets {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			facts, err := sim.Facts(set.name)
			if err != nil {
				t.Fatal(err)
			}
			if len(facts) != set.facts {
				t.Fatalf("%d facts, want %d", len(facts), set.facts)
			}
			cells := cellsOfArrival(t, sim.Arrival{Partitions: 1}, facts)
			for _, measure := range set.measures {
				for _, window := range []string{"1h", "1d"} {
					t.Run(measure+"/"+window, func(t *testing.T) {
						t.Parallel()
						compareWithExpected(t, cells, set.name, measure, window)
					})
				}
			}
			again := cellsOfArrival(t, disordered, facts)
			for key, totals := range again {
				totals.Duplicates = 0
				if totals != cells[key] {
					t.Fatalf("%+v: %+v in disorder, %+v in order", key, totals, cells[key])
				}
			}
			if len(again) != len(cells) {
				t.Errorf("%d cells in disorder, %d in order", len(again), len(cells))
			}
		})
	}
}

// cellsOfArrival decides the logs, checks how often each decision occurs, and returns the final cells.
func cellsOfArrival(t *testing.T, a sim.Arrival, facts []sim.Fact) sim.Cells {
	t.Helper()
	s := dataSettings()
	var decisions [event.Decisions]int
	var parts []sim.Cells
	for _, log := range sim.Arrive(7, facts, a) {
		outcomes := sim.Decide(s, log)
		parts = append(parts, sim.CellsOf(s, log, outcomes))
		for _, o := range outcomes {
			decisions[o.Decision]++
			if o.Conflict {
				t.Errorf("offset %d is a conflict", o.Offset)
			}
		}
	}
	if n := decisions[event.Counted]; n != len(facts) {
		t.Errorf("%d counted of %d facts", n, len(facts))
	}
	for decision, share := range map[event.Decision]float64{
		event.Duplicate: a.Duplicates, event.Late: a.Late, event.Future: a.Future, event.Malformed: a.Malformed,
	} {
		n, want := float64(decisions[decision]), share*float64(len(facts))
		if n < .8*want || n > 1.2*want {
			t.Errorf("%v: %g records, want about %g", decision, n, want)
		}
	}
	return sim.MergeCells(parts...)
}

func compareWithExpected(t *testing.T, cells sim.Cells, name, measure, window string) {
	t.Helper()
	expected, err := sim.Expected(name, measure, window)
	if err != nil {
		t.Fatal(err)
	}
	board := sim.Board{Size: time.Hour, K: 10}
	if window == "1d" {
		board.Size = 24 * time.Hour
	}
	board.Slide = board.Size
	if measure == "sum" {
		board.Measure = sim.Sum
	}
	type key struct {
		start int64
		group event.Group
	}
	lists := make(map[key]sim.List)
	for _, dims := range [][]int{nil, {0}} {
		board.Dims = dims
		for _, l := range sim.Rankings(dataSettings().Pane, board, cells) {
			lists[key{l.Start, l.Group}] = l
		}
	}
	if len(lists) != len(expected) || len(lists) == 0 {
		t.Fatalf("%d lists, want %d", len(lists), len(expected))
	}
	for _, want := range expected {
		k := key{start: want.Start.UnixMilli()}
		if want.Region != nil {
			k.group = event.NewGroup(*want.Region)
		}
		got := lists[k]
		var entries []event.Entry
		for _, e := range want.Top {
			entries = append(entries, event.Entry{Item: e.Item, Score: float64(e.Score)})
		}
		if !got.Exact || got.End != want.End.UnixMilli() || !reflect.DeepEqual(got.Entries, entries) {
			t.Fatalf("%v %q:\ngot  %+v\nwant %+v", want.Start, k.group, got, entries)
		}
	}
}

// TestArrive: a seed gives the same logs again, arrival never goes back, and offsets rise.
func TestArrive(t *testing.T) {
	facts, err := sim.Facts("wikipedia-edits")
	if err != nil {
		t.Fatal(err)
	}
	a := sim.Arrival{
		Partitions: 3, DelayMean: time.Second, DelayMax: 30 * time.Second, Duplicates: .1,
		Late: .01, Future: .01, Malformed: .01, Settings: operators.DefaultSettings(),
	}
	logs := sim.Arrive(1, facts, a)
	if !reflect.DeepEqual(logs, sim.Arrive(1, facts, a)) {
		t.Error("seed 1 gives other logs the second time")
	}
	if reflect.DeepEqual(logs, sim.Arrive(2, facts, a)) {
		t.Error("seeds 1 and 2 give the same logs")
	}
	for p, log := range logs {
		for i := 1; i < len(log); i++ {
			if log[i].Time < log[i-1].Time || log[i].Offset <= log[i-1].Offset {
				t.Fatalf("partition %d: %+v comes after %+v", p, log[i], log[i-1])
			}
		}
	}
}
