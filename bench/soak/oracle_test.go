package main

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// TestOracle: the oracle, which sees each record once and forgets it, says what sim's says, which has the whole log before it: every decision, cell and list.
func TestOracle(t *testing.T) {
	c := defaults()
	c.Rate, c.Duration, c.Seed, c.Items, c.Partitions = 150, 4*time.Minute, 7, 300, 3
	s := c.settings(servers{})
	fold := s.Fold()
	logs := make([][]sim.Record, c.Partitions)
	decided := make([][]event.Decision, c.Partitions)
	cells, lists := map[int64]pane{}, map[event.ListKey]list{}
	o := newOracle(fold, s.Rankings().Boards, c.Partitions, c.workload().RegionNames(), workload.First, func(f finished) {
		cells[f.start] = f.cells
		for _, l := range f.lists {
			lists[l.key()] = l
		}
	})
	source := newStream(c.workload())
	seen := map[string]bool{}
	for r := (record{}); source.make(&r); {
		decided[r.partition] = append(decided[r.partition], o.add(&r))
		logs[r.partition] = append(logs[r.partition], simRecord(source, &r))
		if o.decided[event.Counted]%100 == 0 {
			o.advance()
		}
		if r.kind == plain && seen[string(r.id[:])] != r.again {
			t.Fatalf("record %+v: seen before is %v", r, !r.again)
		}
		seen[string(r.id[:])] = true
	}
	o.end()
	t.Logf("%v decided; %d panes, %d lists", o.decided, len(cells), len(lists))
	for d, l := range o.letters {
		if l.Count < 10 {
			t.Errorf("only %d records are %v: the stream shows nothing", l.Count, d)
		}
	}
	all := make([]sim.Cells, 0, c.Partitions)
	cellsWanted := map[cellAt]sim.Totals{}
	for p, log := range logs {
		for i, outcome := range sim.Decide(fold, log) {
			if outcome.Decision != decided[p][i] {
				t.Fatalf("partition %d, offset %d: %v, want %v (%+v)", p, i, decided[p][i], outcome.Decision, log[i])
			}
		}
		all = append(all, sim.CellsOf(fold, log, sim.Decide(fold, log)))
		for key, totals := range all[p] {
			at := cellAt{key.Pane, key.Group.Values()[0], key.Item}
			if _, twice := cellsWanted[at]; twice {
				t.Fatalf("%v is in two partitions", at)
			}
			cellsWanted[at] = totals
		}
	}
	got := map[cellAt]sim.Totals{}
	for start, p := range cells {
		for key, c := range p {
			got[cellAt{start, source.regions[key.region], itemName(key.item)}] = sim.Totals{Count: c.count, Sum: c.sum, Min: c.least, Max: c.most, Duplicates: c.duplicates}
		}
	}
	if !maps.Equal(got, cellsWanted) {
		t.Errorf("%d cells, want %d, or they differ", len(got), len(cellsWanted))
	}
	checkLists(t, s.Rankings(), all, lists)
}

// TestEdges: to the millisecond, what is late, and what is from the future. The streams above hardly ever come there.
func TestEdges(t *testing.T) {
	fold := defaults().settings(servers{}).Fold()
	const first = workload.First
	closes := (fold.Pane + fold.AllowedLateness + fold.OutOfOrderness).Milliseconds()
	for _, c := range []struct {
		newest, at, ahead int64 // the newest event so far, the one that is decided, and how far it is ahead of its record's timestamp
		want              event.Decision
	}{
		{closes - 1, fold.Pane.Milliseconds() - 1, 0, event.Counted},
		{closes, fold.Pane.Milliseconds() - 1, 0, event.Late},
		{closes, 0, 0, event.Late},
		{closes, fold.Pane.Milliseconds(), 0, event.Counted},
		{0, 1000, fold.MaxAhead.Milliseconds(), event.Counted},
		{0, 1000, fold.MaxAhead.Milliseconds() + 1, event.Future},
	} {
		o := newOracle(fold, nil, 1, nil, first, nil)
		o.add(&record{at: first + c.newest, time: first + c.newest})
		got := o.add(&record{at: first + c.at, time: first + c.at - c.ahead})
		if got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		log := []sim.Record{{Time: first + c.newest, EventID: "a", Dims: []string{""}, At: first + c.newest}, {Offset: 1, Time: first + c.at - c.ahead, EventID: "b", Dims: []string{""}, At: first + c.at}}
		if plain := sim.Decide(fold, log)[1].Decision; plain != c.want {
			t.Errorf("%+v: by sim it is %v", c, plain)
		}
	}
}

type cellAt struct {
	pane         int64
	region, item string
}

func simRecord(s *stream, r *record) sim.Record {
	of := sim.Record{Offset: r.offset, Time: r.time, EventID: string(r.id[:]), Item: itemName(r.item), Dims: []string{s.regions[r.region]}, At: r.at, Value: r.value}
	if r.kind == malformed {
		of.Kind = sim.Malformed
	}
	return of
}

// TestRecords: what the stream writes is read as what it means.
func TestRecords(t *testing.T) {
	c := defaults()
	c.Rate, c.Duration, c.Items = 1000, 20*time.Second, 50
	codec, err := event.NewJSON(c.settings(servers{}).Mapping())
	if err != nil {
		t.Fatal(err)
	}
	source := newStream(c.workload())
	varieties := map[uint8]bool{}
	for r := (record{}); source.make(&r); {
		value := source.appendValue(nil, &r)
		var e event.Event
		err := codec.Decode(value, &e)
		if r.kind == malformed {
			varieties[r.variety] = true
			if err == nil {
				t.Errorf("%q is not malformed", value)
			}
			continue
		}
		if err != nil || string(e.Item) != itemName(r.item) || e.Time != r.at || e.Value != r.value || !slices.Equal(event.Group(e.Group).Values(), []string{source.regions[r.region]}) {
			t.Fatalf("%s is %+v, %v, want %+v", value, e, err, r)
		}
	}
	if len(varieties) != malformedVarieties {
		t.Errorf("varieties of malformed records: %v", varieties)
	}
	again, other := newStream(c.workload()), newStream(c.workload())
	for a, b := (record{}), (record{}); again.make(&a); {
		if !other.make(&b) || a != b {
			t.Fatalf("the same seed gives %+v and %+v", a, b)
		}
	}
}

func checkLists(t *testing.T, boards operators.Boards, cells []sim.Cells, got map[event.ListKey]list) {
	t.Helper()
	n := 0
	for _, b := range boards.Boards {
		plain := sim.Board{Size: b.Window.Size, Slide: max(b.Window.Slide, 0), MinCount: b.MinCount, Order: b.Order, K: b.K}
		if plain.Slide == 0 {
			plain.Slide = plain.Size
		}
		if b.Measure == operators.Sum {
			plain.Measure = sim.Sum
		}
		for _, dims := range [][]int{nil, {0}} {
			plain.Dims = dims
			for _, want := range sim.Rankings(boards.Pane, plain, cells...) {
				key := event.ListKey{Board: b.Name, Start: want.Start}
				if len(dims) > 0 {
					key.By, key.Group = "region", want.Group
				}
				l, ok := got[key]
				if n++; !ok || !slices.Equal(l.entries, want.Entries) || l.duplicates != want.Duplicates {
					t.Fatalf("list %v is %v, %d duplicates (%v), want %v, %d", key, l.entries, l.duplicates, ok, want.Entries, want.Duplicates)
				}
			}
		}
	}
	if n != len(got) {
		t.Errorf("%d lists, want %d", len(got), n)
	}
}
