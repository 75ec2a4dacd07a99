package sim

import (
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// Outcome is what Rule 1 says of one record.
type Outcome struct {
	Offset   int64
	Decision event.Decision
	W        int64 // the partition's watermark after the record; event.NoTime before there is one
	Conflict bool  // a duplicate whose payload differs from the latest earlier sighting within the horizon

	// Pane and Lateness stand only where the decision is Duplicate, Late or Counted.
	Pane     int64 // the start of the pane that the event time lies in
	Lateness int64 // W - (the pane's last millisecond); late iff above the allowed lateness; often negative
}

// sighting is a record that got as far as the question whether it is a duplicate.
type sighting struct {
	offset, w int64
	record    Record
}

// Decide returns the outcome of each record of one source partition's log, in its
// order. The log's offsets rise strictly.
//
// It is Rule 1 read aloud: the steps in their order, and the duplicate by its
// definition over all earlier records with the same ID. Nothing is ever forgotten
// here, so nothing can be forgotten too early.
func Decide(s operators.Settings, log []Record) []Outcome {
	sightings := make(map[string][]sighting)
	outcomes := make([]Outcome, 0, len(log))
	w := event.NoTime
	for _, r := range log {
		o := Outcome{Offset: r.Offset}
		switch {
		case r.Kind == Malformed || r.Time == NoTimestamp:
			o.Decision = event.Malformed
		case r.At > r.Time+s.MaxAhead.Milliseconds():
			o.Decision = event.Future
		case r.Kind == Punctuation:
			o.Decision = event.Punctuation
			w = max(w, r.At)
		default:
			w = max(w, r.At-s.OutOfOrderness.Milliseconds())
			here := sighting{offset: r.Offset, w: w, record: r}
			o = decideEvent(s, here, sightings[r.EventID])
			sightings[r.EventID] = append(sightings[r.EventID], here)
		}
		o.W = w
		outcomes = append(outcomes, o)
	}
	return outcomes
}

// decideEvent decides a record that moved the watermark, given all earlier sightings of its ID.
func decideEvent(s operators.Settings, here sighting, earlier []sighting) Outcome {
	pane := paneStart(s, here.record.At)
	end := pane + s.Pane.Milliseconds()
	o := Outcome{Offset: here.offset, Pane: pane, Lateness: here.w - (end - 1)}
	for _, there := range slices.Backward(earlier) {
		if withinHorizon(s, there, here) {
			o.Decision = event.Duplicate
			o.Conflict = !samePayload(there.record, here.record)
			return o
		}
	}
	if end+s.AllowedLateness.Milliseconds() <= here.w {
		o.Decision = event.Late
		return o
	}
	o.Decision = event.Counted
	return o
}

// withinHorizon is the definition of a duplicate, for two records with the same ID,
// there before here.
func withinHorizon(s operators.Settings, there, here sighting) bool {
	g, m := s.DedupSegment.Milliseconds(), s.DedupRecords
	n, r := int64(s.DedupSegments), int64(s.DedupRecordSegments)
	return floorDiv(there.w, g) >= floorDiv(here.w, g)-n &&
		floorDiv(there.offset, m) >= floorDiv(here.offset, m)-r
}

func samePayload(a, b Record) bool {
	return a.Item == b.Item && slices.Equal(a.Dims, b.Dims) && a.At == b.At && a.Value == b.Value
}

// paneStart returns the start of the pane that a time lies in: at or before it, also before the epoch.
func paneStart(s operators.Settings, at int64) int64 {
	pane := s.Pane.Milliseconds()
	return floorDiv(at, pane) * pane
}

// floorDiv is a/b rounded down, for b > 0. Go's own division rounds towards zero.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
