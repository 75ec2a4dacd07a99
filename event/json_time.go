package event

import (
	"math"
	"time"
)

// timeField is the mapped field of the event time.
type timeField struct {
	field
	format   TimeFormat
	unit     int // index into unixUnits, or -1 for RFC 3339
	min, max int64
}

// unixUnit is a unit that Unix times are counted in.
type unixUnit struct {
	format TimeFormat
	name   string
	reason Reason // a time that was written in this unit where another is due
	millis int64  // milliseconds in one, or 0
	per    int64  // ones in a millisecond, or 0
}

var unixUnits = [...]unixUnit{
	{UnixSeconds, "seconds", TimeInSeconds, 1000, 0},
	{UnixMillis, "milliseconds", TimeInMillis, 1, 0},
	{UnixMicros, "microseconds", TimeInMicros, 0, 1000},
	{UnixNanos, "nanoseconds", TimeInNanos, 0, 1000000},
}

func newTimeField(f field, m Mapping) timeField {
	t := timeField{field: f, format: m.TimeFormat, unit: -1, min: m.TimeMin.UnixMilli(), max: m.TimeMax.UnixMilli()}
	for i := range unixUnits {
		if unixUnits[i].format == m.TimeFormat {
			t.unit = i
		}
	}
	return t
}

// toMillis returns a time in Unix milliseconds, rounded down, or an end of int64 where it has none.
func (u *unixUnit) toMillis(n int64) int64 {
	if u.per == 0 {
		if n > math.MaxInt64/u.millis || n < math.MinInt64/u.millis {
			return math.MaxInt64 // out of every range
		}
		return n * u.millis
	}
	ms := n / u.per
	if n%u.per < 0 {
		ms--
	}
	return ms
}

func (f *timeField) accepts(ms int64) bool { return f.min <= ms && ms < f.max }

func (c *JSON) decodeTime(value []byte) (int64, error) {
	f := &c.time
	t := c.token(f.slot)
	text := value[t.from:t.to]
	switch {
	case t.kind == absent || t.kind == null:
		return 0, f.notThere(t.kind)
	case t.kind == integer && f.unit >= 0:
		return f.decodeUnix(text)
	case t.kind == plain && f.unit < 0:
	case t.kind == escaped && f.unit < 0:
		from := len(c.text)
		c.text, _ = unescape(c.text, text) // U+FFFD is in no time
		text = c.text[from:]
	default:
		return 0, f.wrongTimeType(value, t)
	}
	ms, ok := parseRFC3339(text)
	if !ok {
		return 0, malformed(TimeUnreadable, f.path, "%s is not an RFC 3339 time such as 2026-11-22T18:40:56.123Z; mend it, or set time_format", quote(text))
	}
	if !f.accepts(ms) {
		return 0, f.outOfRange(text, TimeOutOfRange)
	}
	return ms, nil
}

func (f *timeField) decodeUnix(text []byte) (int64, error) {
	n, ok := parseInt(text)
	if !ok {
		return 0, malformed(TimeOverflow, f.path, "%s is beyond 64 bits; time_format is %s", quote(text), f.format)
	}
	if ms := unixUnits[f.unit].toMillis(n); f.accepts(ms) {
		return ms, nil
	}
	if u := f.looksLike(n); u != nil {
		return 0, malformed(u.reason, f.path, "%s looks like %s; set time_format to %s (it is %s), or send it so", quote(text), u.name, u.format, f.format)
	}
	if n < 0 {
		return 0, f.outOfRange(text, TimeNegative)
	}
	return 0, f.outOfRange(text, TimeOutOfRange)
}

// looksLike returns the unit, other than the configured one, in which n is an accepted time, or nil.
func (f *timeField) looksLike(n int64) *unixUnit {
	for i := range unixUnits {
		if i != f.unit && f.accepts(unixUnits[i].toMillis(n)) {
			return &unixUnits[i]
		}
	}
	return nil
}

func (f *timeField) outOfRange(text []byte, reason Reason) error {
	of := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	return malformed(reason, f.path, "%s is not in [%s, %s); mend it, or set time_format, time_min, time_max", quote(text), of(f.min), of(f.max))
}

func (f *timeField) wrongTimeType(value []byte, t token) error {
	if f.unit >= 0 {
		return f.wrongType(value, t, "an integer is due; time_format is "+string(f.format))
	}
	due := "an RFC 3339 string is due; set time_format"
	if t.kind == integer {
		if n, ok := parseInt(value[t.from:t.to]); ok {
			if u := f.looksLike(n); u != nil {
				due += " to " + string(u.format) + ", for it looks like " + u.name
			}
		}
	}
	return f.wrongType(value, t, due)
}

// parseInt returns an integer of JSON's grammar, and false where int64 doesn't hold it.
func parseInt(text []byte) (n int64, ok bool) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) > 19 { // there are no leading zeros
		return 0, false
	}
	var u uint64 // nineteen digits fit
	for _, c := range text {
		u = u*10 + uint64(c-'0')
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u < 1<<63:
		return int64(u), true
	}
	return 0, false
}
