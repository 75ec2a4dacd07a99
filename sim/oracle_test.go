package sim_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

const ms = time.Millisecond

// tiny are settings that a reader can check by hand: panes of 10 ms, 3 ms of disorder, 5 ms of
// allowed lateness, two dedup segments of 4 ms, and a thousand records.
func tiny() operators.Settings {
	return operators.Settings{
		Pane: 10 * ms, OutOfOrderness: 3 * ms, AllowedLateness: 5 * ms, MaxAhead: 100 * ms,
		DedupSegment: 4 * ms, DedupSegments: 2, DedupRecords: 1000, DedupRecordSegments: 1,
	}
}

// at is an event of item "a" with value 1 whose record came in time.
func at(offset int64, id string, eventTime int64) sim.Record {
	return sim.Record{Offset: offset, Time: eventTime, EventID: id, Item: "a", Dims: []string{"eu"}, At: eventTime, Value: 1}
}

func TestDecide(t *testing.T) {
	sameID := func(change func(*sim.Record)) sim.Record {
		r := at(1, "x", 100)
		change(&r)
		return r
	}
	tests := []struct {
		name     string
		log      []sim.Record
		want     event.Decision // of the last record
		w        int64
		conflict bool
	}{
		{"the first event", []sim.Record{at(0, "x", 7)}, event.Counted, 4, false},
		{"below the epoch", []sim.Record{at(0, "x", -2)}, event.Counted, -5, false},
		{"no timestamp", []sim.Record{{Time: sim.NoTimestamp, EventID: "x", At: 7}}, event.Malformed, event.NoTime, false},
		{"a punctuation without timestamp", []sim.Record{{Time: sim.NoTimestamp, Kind: sim.Punctuation, At: 7}}, event.Malformed, event.NoTime, false},
		{"unreadable", []sim.Record{at(0, "x", 7), {Offset: 1, Time: 900, Kind: sim.Malformed, At: 900}}, event.Malformed, 4, false},
		{"exactly as far ahead as allowed", []sim.Record{{EventID: "x", At: 100}}, event.Counted, 97, false},
		{"1 ms further", []sim.Record{{EventID: "x", At: 101}}, event.Future, event.NoTime, false},
		{"a punctuation 1 ms too far ahead", []sim.Record{{Kind: sim.Punctuation, At: 101}}, event.Future, event.NoTime, false},
		{"a punctuation is the watermark itself", []sim.Record{{Kind: sim.Punctuation, At: 100}}, event.Punctuation, 100, false},
		{"an older punctuation", []sim.Record{{Time: 50, Kind: sim.Punctuation, At: 100}, {Offset: 1, Time: 50, Kind: sim.Punctuation, At: 40}}, event.Punctuation, 100, false},
		{"exactly the allowed lateness", []sim.Record{at(0, "x", 17), at(1, "y", 9)}, event.Counted, 14, false},
		{"1 ms beyond", []sim.Record{at(0, "x", 18), at(1, "y", 9)}, event.Late, 15, false},
		{"the pane's end is the next pane", []sim.Record{at(0, "x", 18), at(1, "y", 10)}, event.Counted, 15, false},
		{"a duplicate as far as the horizon", []sim.Record{at(0, "x", 3), at(1, "y", 14), at(2, "x", 3)}, event.Duplicate, 11, false},
		{"1 ms beyond the horizon", []sim.Record{at(0, "x", 3), at(1, "y", 15), at(2, "x", 3)}, event.Counted, 12, false},
		{"the horizon rounds down below zero", []sim.Record{at(0, "x", 2), at(1, "y", 11), at(2, "x", 2)}, event.Counted, 8, false},
		{"a late one is seen too", []sim.Record{at(0, "y", 18), at(1, "x", 9), at(2, "x", 18)}, event.Duplicate, 15, true},
		{"a duplicate refreshes", []sim.Record{at(0, "x", 3), at(1, "x", 11), at(2, "x", 19)}, event.Duplicate, 16, true},
		{"a future one is not seen", []sim.Record{{EventID: "x", At: 101}, at(1, "x", 7)}, event.Counted, 4, false},
		{"a duplicate before it is late", []sim.Record{at(0, "y", 18), at(1, "x", 9), at(2, "x", 9)}, event.Duplicate, 15, false},
		{"999 offsets on", []sim.Record{at(1000, "x", 7), at(2999, "x", 7)}, event.Duplicate, 4, false},
		{"two grains of offsets on", []sim.Record{at(1999, "x", 7), at(3000, "x", 7)}, event.Counted, 4, false},
		{"the same once more", []sim.Record{at(0, "x", 100), sameID(func(*sim.Record) {})}, event.Duplicate, 97, false},
		{"another item", []sim.Record{at(0, "x", 100), sameID(func(r *sim.Record) { r.Item = "b" })}, event.Duplicate, 97, true},
		{"another region", []sim.Record{at(0, "x", 100), sameID(func(r *sim.Record) { r.Dims = []string{"na"} })}, event.Duplicate, 97, true},
		{"another value", []sim.Record{at(0, "x", 100), sameID(func(r *sim.Record) { r.Value = 2 })}, event.Duplicate, 97, true},
		{"another time", []sim.Record{at(0, "x", 100), sameID(func(r *sim.Record) { r.At = 99 })}, event.Duplicate, 97, true},
		{"another record time only", []sim.Record{at(0, "x", 100), sameID(func(r *sim.Record) { r.Time = 180 })}, event.Duplicate, 97, false},
		{"like the latest sighting, not the first", []sim.Record{at(0, "x", 100), at(1, "x", 99), at(2, "x", 99)}, event.Duplicate, 97, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcomes := sim.Decide(tiny(), test.log)
			got := outcomes[len(outcomes)-1]
			if got.Decision != test.want || got.W != test.w || got.Conflict != test.conflict {
				t.Errorf("%v, W %d, conflict %v; want %v, W %d, conflict %v",
					got.Decision, got.W, got.Conflict, test.want, test.w, test.conflict)
			}
		})
	}
}

func TestLateness(t *testing.T) {
	outcomes := sim.Decide(tiny(), []sim.Record{at(0, "x", 17), at(1, "y", 9), at(2, "z", 18), at(3, "u", 0), at(4, "v", 118), at(5, "w", -2)})
	want := []int64{14 - 19, 5, 15 - 19, 6, 115 - 119, 116}
	for i, o := range outcomes {
		if o.Lateness != want[i] {
			t.Errorf("record %d: lateness %d ms, want %d", i, o.Lateness, want[i])
		}
	}
	if pane := outcomes[5].Pane; pane != -10 {
		t.Errorf("the pane of -2 starts at %d, want -10", pane)
	}
}

// TestDuplicatesInCells: a duplicate counts in the cell that it names itself, if that
// cell is there and its pane open.
func TestDuplicatesInCells(t *testing.T) {
	other := at(2, "x", 3)
	other.Item = "b" // no such cell: counted nowhere
	log := []sim.Record{at(0, "x", 3), at(1, "x", 4), other, at(3, "y", 13), at(4, "x", 14), at(5, "z", 18), at(6, "x", 3)}
	got := sim.CellsOfAll(tiny(), [][]sim.Record{log})
	eu := event.NewGroup("eu")
	want := sim.Cells{
		{Pane: 0, Group: eu, Item: "a"}:  {Count: 1, Sum: 1, Min: 1, Max: 1, Duplicates: 1},
		{Pane: 10, Group: eu, Item: "a"}: {Count: 2, Sum: 2, Min: 1, Max: 1, Duplicates: 1},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestDefinitionQuadratic decides duplicates once more, in the plainest form: for each pair of records.
func TestDefinitionQuadratic(t *testing.T) {
	for seed := uint64(1); seed <= 300; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := sim.SmallSettings(rng)
		log := sim.Shift(sim.SmallLog(rng, 80), []int64{0, -37, -1_000_003}[seed%3])
		outcomes := sim.Decide(s, log)
		for here := range log {
			if d := outcomes[here].Decision; d == event.Malformed || d == event.Future || d == event.Punctuation {
				continue
			}
			latest := -1
			for there := range here {
				d := outcomes[there].Decision
				gotHere := log[there].Kind == sim.Event && d != event.Malformed && d != event.Future
				if gotHere && log[there].EventID == log[here].EventID &&
					floor(outcomes[there].W, s.DedupSegment) >= floor(outcomes[here].W, s.DedupSegment)-float64(s.DedupSegments) &&
					log[there].Offset/s.DedupRecords >= log[here].Offset/s.DedupRecords-int64(s.DedupRecordSegments) {
					latest = there
				}
			}
			if duplicate := outcomes[here].Decision == event.Duplicate; duplicate != (latest >= 0) {
				t.Fatalf("seed %d, record %d: %v, but the latest sighting is record %d", seed, here, outcomes[here].Decision, latest)
			}
			if latest >= 0 && outcomes[here].Conflict != conflicting(log[latest], log[here]) {
				t.Fatalf("seed %d, record %d: conflict %v with record %d", seed, here, outcomes[here].Conflict, latest)
			}
		}
	}
}

func floor(t int64, unit time.Duration) float64 {
	return math.Floor(float64(t) / float64(unit.Milliseconds()))
}

func conflicting(a, b sim.Record) bool {
	a.Offset, a.Time = b.Offset, b.Time
	return !reflect.DeepEqual(a, b)
}

// TestSaturation: a sum that has run over stays at its end of int64, in a cell, between
// partitions, and in a ranking, which is then not exact.
func TestSaturation(t *testing.T) {
	worth := func(offset int64, id string, value int64) sim.Record {
		r := at(offset, id, 5)
		r.Value = value
		return r
	}
	over := []sim.Record{worth(0, "x", math.MaxInt64-1), worth(1, "y", 2), worth(2, "z", -100)}
	under := []sim.Record{worth(0, "u", math.MinInt64+1), worth(1, "v", -2), worth(2, "w", 100)}
	plain := []sim.Record{worth(0, "p", 100)}
	for _, logs := range [][][]sim.Record{{over}, {over, plain}, {plain, over}, {under, plain}, {plain, under}} {
		cells := sim.CellsOfAll(tiny(), logs)
		for _, totals := range cells {
			if !event.Saturated(totals.Sum) {
				t.Errorf("the sum is %d; want an end of int64", totals.Sum)
			}
		}
		for _, measure := range []sim.Measure{sim.Count, sim.Sum, sim.Average} {
			lists := sim.Rankings(10*ms, sim.Board{Size: 10 * ms, Slide: 10 * ms, Measure: measure, K: 1}, cells)
			if len(lists) != 1 || lists[0].Exact != (measure == sim.Count) {
				t.Errorf("measure %d: %+v", measure, lists)
			}
		}
	}
}
