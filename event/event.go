// Package event holds Millrank's core types and their orders: what comes in
// (Event), what is decided about it (Decision), what is counted (Cell), what one
// stage tells the next (Part), and what comes out (Ranking). It also holds the
// codecs that turn the bytes of a record into an Event.
//
// Nothing here keeps state that two goroutines could share, and nothing reads a
// clock. Event times are Unix milliseconds, UTC.
package event

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// NoTime stands for "no time": a watermark before the first record, or a record
// without a timestamp. It is below every time that a codec accepts.
const NoTime int64 = -1 << 63

// ID identifies an event: the 128-bit XXH3 hash of its event ID, high half first.
// Two different IDs among n live ones collide with a probability of about
// n²/2¹²⁹ (10⁻²³ for ten million).
type ID [2]uint64

// NewID returns the ID of an event ID's bytes.
func NewID(eventID []byte) ID {
	h := xxh3.Hash128(eventID)
	return ID{h.Hi, h.Lo}
}

// Event is one fact: an item that was watched, bought or liked, somewhere, at a
// time. Its byte slices are views into the record's bytes or into memory of the
// event's own: they hold until the record's bytes change or the event is decoded into
// again, and whoever keeps them longer copies them.
type Event struct {
	ID    ID
	Item  []byte // item_id: post, video, product
	Group []byte // the dimensions that the boards need, as Group has them; the region comes first
	User  []byte // user_id; nil where the event has none
	Time  int64  // event time, Unix milliseconds
	Value int64  // in units of 10^-scale; 1, that is 10^scale units, where the event has none

	group, text []byte // memory for Group, and for strings that had escapes
}

// Decoder turns one record's value into an event.
//
// Decode fills e, whose slices may point into value, and returns nil; or it returns an error that says what is wrong with
// the value, for a dead letter, and leaves e undefined. It must not panic, whatever the bytes.
// A Decoder serves one goroutine.
type Decoder interface {
	Decode(value []byte, e *Event) error
}

// Group is the tuple of dimension values that a cell or a list belongs to, such as
// (region) or (region, category): each value's length as a uvarint, then its bytes.
// The empty group is the tuple of no dimensions: all events together ("global").
type Group string

// NewGroup returns the group of these dimension values, in order.
func NewGroup(values ...string) Group {
	var b []byte
	for _, v := range values {
		b = AppendGroup(b, []byte(v))
	}
	return Group(b)
}

// AppendGroup appends one more dimension value to an encoded group.
func AppendGroup(group, value []byte) []byte {
	group = binary.AppendUvarint(group, uint64(len(value)))
	return append(group, value...)
}

// Values returns the dimension values of g, in order. What is not a group's
// encoding ends the list.
func (g Group) Values() []string {
	var values []string
	for rest := []byte(g); len(rest) > 0; {
		value, after, ok := CutGroup(rest)
		if !ok {
			break
		}
		values, rest = append(values, string(value)), after
	}
	return values
}

// CutGroup splits the first dimension value off an encoded group. It reports false
// when group is empty or not a group's encoding.
func CutGroup(group []byte) (value, rest []byte, ok bool) {
	n, k := binary.Uvarint(group)
	if k <= 0 || n > uint64(len(group)-k) {
		return nil, nil, false
	}
	return group[k : k+int(n)], group[k+int(n):], true
}
