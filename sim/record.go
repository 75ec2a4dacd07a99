// Package sim is what the engine is judged by: a batch oracle that says what must
// come out, seeded logs that hold everything a real topic could, and real data sets
// in a made-up but repeatable order of arrival.
//
// The oracle is slow and plain. It reads a whole log at once and follows the
// definitions of Rules 1 and 4 word for word; it shares no code and no idea with
// the operators it judges, only their settings. Nothing here reads a clock: the
// same seed gives the same records, on every machine.
package sim

import "github.com/millrank/millrank/event"

// Kind says what a record's bytes are.
type Kind uint8

const (
	// Event is a record that can be read: one fact.
	Event Kind = iota
	// Malformed is a record whose value can't be read.
	Malformed
	// Punctuation is a record with the header advance-watermark and no value.
	Punctuation
)

// NoTimestamp is the Time of a record that came without one; such a record is malformed.
const NoTimestamp int64 = -1

// Record is one record of a source partition. Copies share Dims; nobody writes to it.
type Record struct {
	Offset  int64 // rises along a log; gaps are allowed, as transactions and compaction leave them
	Time    int64 // the Kafka record's timestamp, Unix milliseconds; NoTimestamp where it has none
	Kind    Kind
	EventID string
	Item    string
	Dims    []string // the dimension values, in order: the region, then perhaps a category
	At      int64    // the event time, or the punctuation's time, Unix milliseconds
	Value   int64    // in units of 10^-scale
}

// Group returns the record's dimensions as a group.
func (r Record) Group() event.Group { return event.NewGroup(r.Dims...) }

// Event returns what a decoder makes of the record, which must be of the kind Event.
// Its slices belong to the caller.
func (r Record) Event() event.Event {
	return event.Event{
		ID:    event.NewID([]byte(r.EventID)),
		Item:  []byte(r.Item),
		Group: []byte(r.Group()),
		Time:  r.At,
		Value: r.Value,
	}
}

// Shift returns a copy of the log in which all times are later by so many
// milliseconds. A log near the epoch becomes one that a codec's accepted range
// holds; by a negative amount it becomes one with negative watermarks. Decide the
// shifted log: panes and segments stay where they were, and a record time that is
// moved onto NoTimestamp is one.
func Shift(log []Record, milliseconds int64) []Record {
	shifted := make([]Record, len(log))
	for i, r := range log {
		if r.Time != NoTimestamp {
			r.Time += milliseconds
		}
		r.At += milliseconds
		shifted[i] = r
	}
	return shifted
}
