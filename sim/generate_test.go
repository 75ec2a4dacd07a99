package sim_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// tally counts what occurs in logs.
type tally struct {
	records     int
	decisions   [event.Decisions]int
	conflicts   int
	chains      int // duplicates only thanks to an earlier duplicate: the last counted or late one is out of the horizon
	lost        int // seen before, but too long ago: not a duplicate
	exact       int // counted with exactly the allowed lateness
	beyond      int // late by 1 ms beyond it
	paneStarts  int // counted at a pane's first millisecond
	paneEnds    int // counted at a pane's last millisecond
	untimed     int // no record time
	offsetGaps  int
	inCells     int // duplicates that count in a cell
	overflowing int // cells whose sum ran over
}

func (y *tally) add(t *testing.T, s operators.Settings, log []sim.Record) {
	t.Helper()
	outcomes := sim.Decide(s, log)
	seen := make(map[string][]int)
	for i, o := range outcomes {
		r := log[i]
		y.records++
		y.decisions[o.Decision]++
		count(&y.conflicts, o.Conflict)
		count(&y.untimed, r.Time == sim.NoTimestamp)
		count(&y.offsetGaps, i > 0 && r.Offset > log[i-1].Offset+1)
		if i > 0 && r.Offset <= log[i-1].Offset {
			t.Fatalf("offset %d after %d", r.Offset, log[i-1].Offset)
		}
		counted := o.Decision == event.Counted
		count(&y.exact, counted && o.Lateness == s.AllowedLateness.Milliseconds())
		count(&y.beyond, o.Decision == event.Late && o.Lateness == s.AllowedLateness.Milliseconds()+1)
		count(&y.paneStarts, counted && r.At == o.Pane)
		count(&y.paneEnds, counted && r.At == o.Pane+s.Pane.Milliseconds()-1)
		if !counted && o.Decision != event.Late && o.Decision != event.Duplicate {
			continue
		}
		before := seen[r.EventID]
		count(&y.lost, len(before) > 0 && o.Decision != event.Duplicate)
		count(&y.chains, o.Decision == event.Duplicate && chained(s, log, outcomes, before, i))
		seen[r.EventID] = append(before, i)
	}
	for _, totals := range sim.CellsOf(s, log, outcomes) {
		y.inCells += int(totals.Duplicates)
		count(&y.overflowing, event.Saturated(totals.Sum))
	}
}

// chained reports whether record i is a duplicate of duplicates only.
func chained(s operators.Settings, log []sim.Record, outcomes []sim.Outcome, before []int, i int) bool {
	for _, j := range before {
		if outcomes[j].Decision != event.Duplicate &&
			floor(outcomes[j].W, s.DedupSegment) >= floor(outcomes[i].W, s.DedupSegment)-float64(s.DedupSegments) &&
			log[j].Offset/s.DedupRecords >= log[i].Offset/s.DedupRecords-int64(s.DedupRecordSegments) {
			return false
		}
	}
	return true
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// atLeast fails for each thing that occurs in less than this share of the records.
func (y *tally) atLeast(t *testing.T, shares map[string]float64) {
	t.Helper()
	occurred := map[string]int{
		"conflict": y.conflicts, "chain": y.chains, "lost": y.lost, "exact": y.exact, "beyond": y.beyond,
		"pane start": y.paneStarts, "pane end": y.paneEnds, "untimed": y.untimed, "offset gap": y.offsetGaps,
		"in cells": y.inCells, "overflow": y.overflowing,
	}
	for d, n := range y.decisions {
		occurred[event.Decision(d).String()] = n
	}
	t.Logf("%d records: %v", y.records, occurred)
	for what, share := range shares {
		if n, ok := occurred[what]; !ok || float64(n) < share*float64(y.records) {
			t.Errorf("%s: %d of %d records, want at least a share of %g", what, n, y.records, share)
		}
	}
}

func TestSmallLogRates(t *testing.T) {
	var y tally
	for seed := uint64(1); seed <= 200; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		y.add(t, sim.SmallSettings(rng), sim.SmallLog(rng, 60))
	}
	y.atLeast(t, map[string]float64{
		"malformed": .03, "future": .04, "punctuation": .015, "duplicate": .15, "late": .09, "counted": .4,
		"conflict": .1, "chain": .01, "lost": .08, "in cells": .05, "exact": .02, "beyond": .015,
		"pane start": .1, "pane end": .08, "untimed": .01, "offset gap": .05,
	})
}

func TestSharpRates(t *testing.T) {
	var y tally
	for seed := uint64(1); seed <= 200; seed++ {
		o := sim.SharpOptions(rand.New(rand.NewPCG(seed, 0)))
		for _, log := range sim.Generate(seed, o) {
			y.add(t, o.Settings, log)
		}
	}
	y.atLeast(t, map[string]float64{
		"malformed": .025, "future": .015, "punctuation": .02, "duplicate": .08, "late": .12, "counted": .5,
		"conflict": .05, "chain": .015, "lost": .08, "in cells": .03, "exact": .02, "beyond": .015,
		"pane start": .1, "pane end": .1, "untimed": .008, "offset gap": .07,
	})
}

func TestOverflowRates(t *testing.T) {
	var y tally
	for seed := uint64(1); seed <= 50; seed++ {
		o := sim.OverflowOptions(rand.New(rand.NewPCG(seed, 0)))
		for _, log := range sim.Generate(seed, o) {
			y.add(t, o.Settings, log)
		}
	}
	y.atLeast(t, map[string]float64{"overflow": .03, "late": .1, "duplicate": .07, "counted": .5})
}

func TestLiveRates(t *testing.T) {
	var y tally
	o := sim.LiveOptions()
	for _, log := range sim.Generate(1, o) {
		y.add(t, o.Settings, log)
	}
	y.atLeast(t, map[string]float64{
		"malformed": .002, "future": .001, "punctuation": .0003, "duplicate": .015, "late": .02, "counted": .9,
		"conflict": .01, "chain": .0005, "lost": .003, "in cells": .01, "exact": .0001, "beyond": .0001,
		"pane start": .0005, "pane end": .0002, "untimed": .0005, "offset gap": .008,
	})
}

// TestGenerate: a seed gives the same logs again and another seed others, and no ID is in two partitions.
func TestGenerate(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		o := sim.SharpOptions(rand.New(rand.NewPCG(seed, 0)))
		logs := sim.Generate(seed, o)
		if !reflect.DeepEqual(logs, sim.Generate(seed, o)) {
			t.Fatalf("seed %d gives other logs the second time", seed)
		}
		if reflect.DeepEqual(logs, sim.Generate(seed+1, o)) {
			t.Fatalf("seeds %d and %d give the same logs", seed, seed+1)
		}
		home := make(map[string]int)
		for p, log := range logs {
			if len(log) != o.Records {
				t.Fatalf("seed %d: %d records, want %d", seed, len(log), o.Records)
			}
			for _, r := range log {
				if first, ok := home[r.EventID]; ok && first != p && r.EventID != "" {
					t.Fatalf("seed %d: event %s in partitions %d and %d", seed, r.EventID, first, p)
				}
				home[r.EventID] = p
			}
		}
	}
}
