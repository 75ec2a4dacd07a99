package feed

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/millrank/millrank/event"
)

// rewriter changes an event's time and ID where they stand in its bytes.
type rewriter struct {
	format event.TimeFormat
	fields *locator // the time, then the fields of the event ID
}

func newRewriter(m event.Mapping) *rewriter {
	return &rewriter{m.TimeFormat, newLocator(append([]string{m.Time}, m.EventID...)...)}
}

// shift returns a copy of an event whose time is later by so many seconds, written as it was, and false where that can't be written.
func (r *rewriter) shift(value []byte, seconds int64) ([]byte, bool) {
	at := r.fields.find(value)[0]
	moved, ok := shiftTime(value[at.from:at.to], r.format, seconds)
	if !ok {
		return nil, false
	}
	return splice(value, at, moved), true
}

// rename returns a copy of an event with something appended to the first field of its ID.
func (r *rewriter) rename(value []byte, suffix string) []byte {
	at := r.fields.find(value)[1]
	id := value[at.from:at.to]
	renamed := make([]byte, 0, len(id)+len(suffix)+2)
	if id[0] == '"' {
		renamed = append(renamed, id[:len(id)-1]...)
	} else { // a number becomes a text: they are the same to event.JSON
		renamed = append(append(renamed, '"'), id...)
	}
	return splice(value, at, append(append(renamed, suffix...), '"'))
}

// id returns the text of an event's ID, the fields joined by commas.
func (r *rewriter) id(value []byte) []byte {
	var text []byte
	for i, at := range r.fields.find(value)[1:] {
		if i > 0 {
			text = append(text, ',')
		}
		field := value[at.from:at.to]
		switch {
		case bytes.IndexByte(field, '\\') >= 0:
			text = append(text, unquote(field)...)
		default:
			text = append(text, bytes.Trim(field, `"`)...)
		}
	}
	return text
}

func splice(value []byte, at span, with []byte) []byte {
	b := make([]byte, 0, len(value)-(at.to-at.from)+len(with))
	b = append(b, value[:at.from]...)
	b = append(b, with...)
	return append(b, value[at.to:]...)
}

// shiftTime moves a time, as it stands in JSON. Zone, fraction and letters stay as they are; the second 60 becomes 59.
func shiftTime(token []byte, format event.TimeFormat, seconds int64) ([]byte, bool) {
	if format != event.RFC3339 {
		return shiftUnix(token, format, seconds)
	}
	if bytes.IndexByte(token, '\\') >= 0 {
		token = strconv.AppendQuote(nil, unquote(token)) // a time, which needs no escapes
	}
	const clock = len(`"2006-01-02T15:04:05`)
	date := bytes.Clone(token[1:clock])
	date[10] = 'T'
	if string(date[17:]) == "60" {
		copy(date[17:], "59")
	}
	t, err := time.Parse("2006-01-02T15:04:05", string(date))
	if err != nil {
		return nil, false
	}
	t = time.Unix(t.Unix()+seconds, 0).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return nil, false
	}
	moved := t.AppendFormat([]byte{'"'}, "2006-01-02T15:04:05")
	moved[11] = token[11]
	return append(moved, token[clock:]...), true
}

func shiftUnix(token []byte, format event.TimeFormat, seconds int64) ([]byte, bool) {
	n, err := strconv.ParseInt(string(token), 10, 64)
	unit := map[event.TimeFormat]int64{event.UnixSeconds: 1, event.UnixMillis: 1e3, event.UnixMicros: 1e6, event.UnixNanos: 1e9}[format]
	by := seconds * unit
	if err != nil || by/unit != seconds || by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		return nil, false
	}
	return strconv.AppendInt(nil, n+by, 10), true
}
