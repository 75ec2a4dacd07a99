package sim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Format says how JSON spells a record.
type Format struct {
	// UnixMillis writes the timestamp as a number; else it is RFC 3339 with milliseconds, UTC.
	UnixMillis bool
	// Scale is the decimal places of a value.
	Scale int
}

// JSON returns the bytes of the record's value under the default field names, with an
// RFC 3339 timestamp and whole values: Format{}.JSON(r).
func (r Record) JSON() []byte { return Format{}.JSON(r) }

// JSON returns the bytes of a record's value: event_id, item_id, region, category (where there
// is a second dimension), timestamp, value. A punctuation has none: nil. What a malformed
// record's bytes are depends on its offset; they include nil too.
func (f Format) JSON(r Record) []byte {
	switch r.Kind {
	case Malformed:
		return damaged(r)
	case Punctuation:
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"event_id":%s,"item_id":%s`, quote(r.EventID), quote(r.Item))
	for i, value := range r.Dims {
		fmt.Fprintf(&b, `,"%s":%s`, [...]string{"region", "category"}[i], quote(value))
	}
	fmt.Fprintf(&b, `,"timestamp":%s`, f.timestamp(r.At))
	if r.Value != 1 || f.Scale > 0 || r.Offset%2 == 0 { // 1 is what an event without a value has
		fmt.Fprintf(&b, `,"value":%s`, f.decimal(r.Value))
	}
	b.WriteByte('}')
	return []byte(b.String())
}

func (f Format) timestamp(at int64) string {
	if f.UnixMillis {
		return strconv.FormatInt(at, 10)
	}
	return time.UnixMilli(at).UTC().Format(`"2006-01-02T15:04:05.000Z07:00"`)
}

// decimal returns value×10^-Scale, exactly.
func (f Format) decimal(value int64) string {
	sign, digits := "", strconv.FormatInt(value, 10)
	if value < 0 {
		sign, digits = "-", digits[1:] // not -value: the least int64 has no opposite
	}
	if f.Scale == 0 {
		return sign + digits
	}
	if missing := f.Scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - f.Scale
	return sign + digits[:point] + "." + digits[point:]
}

// quote returns s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}
