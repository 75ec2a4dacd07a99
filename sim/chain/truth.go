package chain

import (
	"cmp"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// truth is what must come of one source partition, whatever happens on the way.
type truth struct {
	outcomes    []sim.Outcome                 // by record, from the oracle
	cells       sim.Cells                     // final, from the oracle
	history     map[sim.CellKey][]cellVersion // how each cell grows
	checkpoints []operators.Checkpoint        // as of each record, by the specification (docs/spec/fold.py)
	openPanes   []int                         // after each record
}

// cellVersion is a cell from an offset on.
type cellVersion struct {
	offset int64
	totals sim.Totals
}

// segment is one of seen IDs.
type segment struct {
	watermarkKey, offsetKey int64
	first                   operators.Mark
}

func newTruth(s operators.Settings, log []sim.Record) *truth {
	t := &truth{outcomes: sim.Decide(s, log), history: map[sim.CellKey][]cellVersion{}}
	t.cells = sim.CellsOf(s, log, t.outcomes)
	t.grow(s, log)
	t.checkpoint(s)
	return t
}

// grow notes the cells' versions.
func (t *truth) grow(s operators.Settings, log []sim.Record) {
	for i, o := range t.outcomes {
		r := log[i]
		key := sim.CellKey{Pane: o.Pane, Group: r.Group(), Item: r.Item}
		versions := t.history[key]
		var c sim.Totals
		if n := len(versions); n > 0 {
			c = versions[n-1].totals
		}
		switch {
		case o.Decision == event.Counted:
			if c.Count == 0 {
				c.Min, c.Max = r.Value, r.Value
			}
			c.Count++
			c.Sum = event.AddSaturating(c.Sum, r.Value)
			c.Min, c.Max = min(c.Min, r.Value), max(c.Max, r.Value)
		case o.Decision == event.Duplicate && c.Count > 0 && o.Lateness <= s.AllowedLateness.Milliseconds():
			c.Duplicates++
		default:
			continue
		}
		t.history[key] = append(versions, cellVersion{r.Offset, c})
	}
}

// at returns a cell as of an offset.
func (t *truth) at(key sim.CellKey, asOf int64) sim.Totals {
	versions := t.history[key]
	i, _ := slices.BinarySearchFunc(versions, asOf+1, func(v cellVersion, offset int64) int { return cmp.Compare(v.offset, offset) })
	if i == 0 {
		return sim.Totals{}
	}
	return versions[i-1].totals
}

// checkpoint computes the checkpoint as of each record.
func (t *truth) checkpoint(s operators.Settings) {
	type opened struct {
		at     int64
		replay operators.Mark
	}
	g, m := s.DedupSegment.Milliseconds(), s.DedupRecords
	var segments []segment
	open := map[int64]opened{} // by pane
	before := event.NoTime
	for _, o := range t.outcomes {
		if o.Decision != event.Malformed && o.Decision != event.Future {
			for pane := range open {
				if pane+s.Pane.Milliseconds()+s.AllowedLateness.Milliseconds() <= o.W {
					delete(open, pane)
				}
			}
		}
		if o.Decision == event.Counted || o.Decision == event.Duplicate || o.Decision == event.Late {
			here := segment{floorDiv(o.W, g), floorDiv(o.Offset, m), operators.Mark{Offset: o.Offset, Watermark: before}}
			segments = slices.DeleteFunc(segments, func(old segment) bool {
				return old.watermarkKey < here.watermarkKey-int64(s.DedupSegments) || old.offsetKey < here.offsetKey-int64(s.DedupRecordSegments)
			})
			if n := len(segments); n == 0 || segments[n-1].watermarkKey != here.watermarkKey || segments[n-1].offsetKey != here.offsetKey {
				segments = append(segments, here)
			}
		}
		if _, there := open[o.Pane]; o.Decision == event.Counted && !there {
			open[o.Pane] = opened{o.Offset, segments[0].first}
		}
		before = o.W
		c := operators.Checkpoint{LowWater: o.Offset + 1, Watermark: o.W, CountFrom: o.Offset + 1, ProcessedThrough: o.Offset}
		lower := func(m operators.Mark) {
			if m.Offset < c.LowWater {
				c.LowWater, c.Watermark = m.Offset, m.Watermark
			}
		}
		if len(segments) > 0 {
			lower(segments[0].first)
		}
		for _, pane := range open {
			lower(pane.replay)
			c.CountFrom = min(c.CountFrom, pane.at)
		}
		t.checkpoints, t.openPanes = append(t.checkpoints, c), append(t.openPanes, len(open))
	}
}
