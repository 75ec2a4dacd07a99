package event

import (
	"errors"
	"strings"
	"testing"
)

// A badRecord is an input that must never stop a partition.
type badRecord struct {
	name   string
	format TimeFormat // "" is the default
	record string
	reason Reason
	field  string
	detail string // part of the error's text
}

// with returns a flat event in which one field's JSON is another; "" leaves it out.
func with(field, value string) string {
	fields := []string{"event_id", "item_id", "region", "timestamp", "value", "user_id"}
	values := []string{`"e1"`, `"i1"`, `"eu"`, `"2026-11-22T18:40:56Z"`, `3`, `"u1"`}
	var members []string
	for i, name := range fields {
		if name == field {
			values[i] = value
		}
		if values[i] != "" {
			members = append(members, `"`+name+`":`+values[i])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// flat is with, of an event whose time is in that format.
func flat(format TimeFormat, field, value string) string {
	if format == RFC3339 || format == "" {
		return with(field, value)
	}
	now := map[TimeFormat]string{UnixSeconds: `1795300000`, UnixMillis: `1795300000000`, UnixMicros: `1795300000000000`, UnixNanos: `1795300000000000000`}[format]
	return strings.Replace(with(field, value), `"2026-11-22T18:40:56Z"`, now, 1)
}

var good = with("", "")

// badRecords are those of the project's reliability list that are a codec's to find,
// and their kin. Each (reason, field, format) is met once, so every reason is distinct.
var badRecords = []badRecord{
	{"empty", "", "", EmptyRecord, "", "empty"},
	{"blank", "", " \n", EmptyRecord, "", "empty"},
	{"truncated in a field", "", good[:30], Truncated, "item_id", "ends too early"},
	{"truncated between fields", "", good[:len(good)-1], Truncated, "", "after 105 bytes"},
	{"truncated word", "", `{"a":tru`, Truncated, "", "ends too early"},
	{"truncated escape", "", `{"a":"\u00`, Truncated, "", "ends too early"},
	{"truncated behind a backslash", "", `{"a":"\`, Truncated, "", "after 7 bytes"},
	{"trailing garbage", "", good + "x", TrailingData, "", `"x"`},
	{"two records", "", good + "\n" + good, TrailingData, "", "one object per record"},
	{"trailing zero byte", "", good + "\x00", TrailingData, "", `\x00`},
	{"invalid UTF-8 in a field", "", with("item_id", "\"caf\xe9\""), InvalidUTF8, "item_id", "encode it as UTF-8"},
	{"invalid UTF-8 elsewhere", "", "{\"a\":\"\xff\"}", InvalidUTF8, "", "at byte 6"},
	{"UTF-8 surrogate", "", "{\"a\":\"\xed\xa0\x80\"}", InvalidUTF8, "", "UTF-8"},
	{"invalid UTF-8 in a key", "", "{\"\xc0\x80\":1}", InvalidUTF8, "", "UTF-8"},
	{"nesting 10,000 deep", "", `{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, TooDeep, "", "more than 128 deep"},
	{"nesting 129 deep", "", strings.Repeat(`{"a":`, 128) + `{}` + strings.Repeat("}", 128), TooDeep, "", "128"},
	{"oversized", "", with("a", "") + strings.Repeat(" ", 1<<20), RecordTooLarge, "", "record_bytes_max is 1048576"},
	{"missing event ID", "", with("event_id", ``), FieldMissing, "event_id", "name another field as event_id"},
	{"null event ID", "", with("event_id", `null`), FieldNull, "event_id", "is null"},
	{"empty event ID", "", with("event_id", `""`), FieldEmpty, "event_id", "must not be empty"},
	{"event ID of nearly 1 MB", "", with("event_id", `"`+strings.Repeat("x", 1000000)+`"`), FieldTooLong, "event_id", "1000000 bytes; event_id_bytes_max is 1024"},
	{"event ID true", "", with("event_id", `true`), WrongType, "event_id", "a boolean"},
	{"event ID 1.5", "", with("event_id", `1.5`), WrongType, "event_id", "a string or an integer is due"},
	{"missing item", "", with("item_id", ``), FieldMissing, "item_id", "name another field as item"},
	{"null item", "", with("item_id", `null`), FieldNull, "item_id", "null"},
	{"empty item", "", with("item_id", `""`), FieldEmpty, "item_id", "empty"},
	{"long item", "", with("item_id", `"`+strings.Repeat("x", 1025)+`"`), FieldTooLong, "item_id", "item_bytes_max"},
	{"item list", "", with("item_id", `["i1"]`), WrongType, "item_id", "an array"},
	{"half a character", "", with("item_id", `"\ud83d!"`), LoneSurrogate, "item_id", "pair"},
	{"the other half", "", with("item_id", `"\ude00\ud83d"`), LoneSurrogate, "item_id", "pair"},
	{"missing region", "", with("region", ``), FieldMissing, "region", "set region_default"},
	{"null region", "", with("region", `null`), FieldNull, "region", "null"},
	{"long region", "", with("region", `"`+strings.Repeat("x", 257)+`"`), FieldTooLong, "region", "dimension_bytes_max is 256"},
	{"region object", "", with("region", `{"id":1}`), WrongType, "region", "an object"},
	{"long user", "", with("user_id", `"`+strings.Repeat("x", 257)+`"`), FieldTooLong, "user_id", "user_bytes_max is 256"},
	{"user false", "", with("user_id", `false`), WrongType, "user_id", "a boolean"},

	{"missing timestamp", "", with("timestamp", ``), FieldMissing, "timestamp", "name another field as time"},
	{"null timestamp", "", with("timestamp", `null`), FieldNull, "timestamp", "null"},
	{"empty timestamp", "", with("timestamp", `""`), TimeUnreadable, "timestamp", `""`},
	{"not a date", "", with("timestamp", `"yesterday"`), TimeUnreadable, "timestamp", "RFC 3339"},
	{"timestamp list", "", with("timestamp", `["2026-11-22T18:40:56Z"]`), WrongType, "timestamp", "an array, where an RFC 3339 string is due"},
	{"timestamp object", UnixMillis, flat(UnixMillis, "timestamp", `{"$date":1795300000000}`), WrongType, "timestamp", "an object, where an integer is due"},
	{"integer for RFC 3339", "", with("timestamp", `1795300000000`), WrongType, "timestamp", "set time_format to unix_ms"},
	{"year 1999", "", with("timestamp", `"1999-12-31T23:59:59.999Z"`), TimeOutOfRange, "timestamp", "[2000-01-01T00:00:00Z, 2100-01-01T00:00:00Z)"},
	{"year 2100", "", with("timestamp", `"2100-01-01T00:00:00Z"`), TimeOutOfRange, "timestamp", "time_max"},
	{"negative timestamp", UnixMillis, flat(UnixMillis, "timestamp", `-1`), TimeNegative, "timestamp", `"-1" is not in`},
	{"zero timestamp", UnixMillis, flat(UnixMillis, "timestamp", `0`), TimeOutOfRange, "timestamp", "not in"},
	{"overflowing timestamp", UnixMillis, flat(UnixMillis, "timestamp", `9223372036854775808`), TimeOverflow, "timestamp", "beyond 64 bits"},
	{"overflowing timestamp, long", UnixSeconds, flat(UnixSeconds, "timestamp", strings.Repeat("9", 500)), TimeOverflow, "timestamp", "beyond 64 bits"},
	{"seconds where milliseconds are due", UnixMillis, flat(UnixMillis, "timestamp", `1795300000`), TimeInSeconds, "timestamp", "looks like seconds; set time_format to unix_s"},
	{"microseconds where milliseconds are due", UnixMillis, flat(UnixMillis, "timestamp", `1795300000000000`), TimeInMicros, "timestamp", "looks like microseconds"},
	{"nanoseconds where milliseconds are due", UnixMillis, flat(UnixMillis, "timestamp", `1795300000000000000`), TimeInNanos, "timestamp", "looks like nanoseconds"},
	{"milliseconds where seconds are due", UnixSeconds, flat(UnixSeconds, "timestamp", `1795300000000`), TimeInMillis, "timestamp", "looks like milliseconds"},
	{"string for an integer", UnixMillis, flat(UnixMillis, "timestamp", `"1795300000000"`), WrongType, "timestamp", "an integer is due; time_format is unix_ms"},
	{"fraction for an integer", UnixSeconds, flat(UnixSeconds, "timestamp", `1795300000.5`), WrongType, "timestamp", "with a fraction"},

	{"value NaN", "", with("value", `NaN`), NotFinite, "value", "NaN"},
	{"value -Infinity", "", with("value", `-Infinity`), NotFinite, "value", "Infinity"},
	{"value 1e400", "", with("value", `1e400`), ValueOutOfRange, "value", "beyond 64 bits"},
	{"value beyond 2^53", "", with("value", `9007199254740993`), ValueInexact, "value", "beyond 2^53"},
	{"value 1.5", "", with("value", `1.5`), ValueTooPrecise, "value", "value_scale = 0"},
	{"value 1e-400", "", with("value", `1e-400`), ValueTooPrecise, "value", "raise value_scale"},
	{"value in a string", "", with("value", `"12"`), WrongType, "value", `the string "12", where a number is due`},
	{"value true", "", with("value", `true`), WrongType, "value", "a boolean"},

	{"top-level array", "", "[" + good + "]", NotObject, "", "send {...}"},
	{"top-level null", "", "null", NotObject, "", "not a JSON object"},
	{"byte order mark", "", "\xef\xbb\xbf" + good, NotObject, "", `\ufeff`},
	{"raw newline in a string", "", with("item_id", "\"a\nb\""), ControlCharacter, "item_id", "escape it"},
	{"bad escape", "", with("item_id", `"\x41"`), BadSyntax, "item_id", "not a JSON escape"},
	{"leading zero", "", with("value", `012`), BadSyntax, "value", "not a JSON number"},
	{"plus sign", "", with("value", `+1`), BadSyntax, "value", "a JSON value is due"},
	{"hexadecimal", "", with("value", `0x10`), BadSyntax, "", "a comma or the closing bracket is due"},
	{"python's None", "", with("region", `None`), BadSyntax, "region", "a JSON value is due"},
	{"javascript's undefined", "", with("region", `undefined`), BadSyntax, "region", "a JSON value is due"},
	{"half a word", "", `{"a":nul}`, BadSyntax, "", "not true, false or null"},
	{"single quotes", "", `{'event_id':'e1'}`, BadSyntax, "", "double quotes"},
	{"trailing comma", "", `{"a":1,}`, BadSyntax, "", "field name"},
	{"trailing comma in a list", "", `{"a":[1,]}`, BadSyntax, "", "a JSON value is due"},
	{"no colon", "", `{"a" 1}`, BadSyntax, "", "colon"},
	{"no comma", "", `{"a":1 "b":2}`, BadSyntax, "", "comma"},
	{"wrong bracket", "", `{"a":[1}}`, BadSyntax, "", "closing bracket"},
	{"comment", "", `{/* hi */}`, BadSyntax, "", "field name"},
	{"bad number in an ignored field", "", `{"a":{"b":[1.]}}`, BadSyntax, "", "not a JSON number"},
}

func TestJSONBadRecords(t *testing.T) {
	for _, bad := range badRecords {
		t.Run(bad.name, func(t *testing.T) {
			c := newCodec(t, func(m *Mapping) {
				if bad.format != "" {
					m.TimeFormat = bad.format
				}
			})
			checkMalformed(t, c, []byte(bad.record), bad.reason, bad.field, bad.detail)
			var e Event // the next record is read as if the bad one had not been
			if err := c.Decode([]byte(flat(bad.format, "", "")), &e); err != nil {
				t.Errorf("a good record after it: %v", err)
			}
		})
	}
	t.Run("null value", func(t *testing.T) {
		checkMalformed(t, newCodec(t, nil), nil, NullRecord, "", "tombstone")
	})
}

func checkMalformed(t *testing.T, c *JSON, record []byte, reason Reason, field, detail string) {
	t.Helper()
	var e Event
	err := c.Decode(record, &e)
	m, ok := errors.AsType[*MalformedError](err)
	if !ok {
		t.Fatalf("error %v, want a *MalformedError", err)
	}
	if m.Reason != reason || m.Field != field || !strings.Contains(m.Detail, detail) {
		t.Errorf("got %s %q: %s\nwant %s %q: ...%s...", m.Reason, m.Field, m.Detail, reason, field, detail)
	}
	checkError(t, err)
}

// Two different kinds of bad input never share a text: each has a reason of its own.
func TestJSONReasonsAreDistinct(t *testing.T) {
	texts := map[string]string{}
	for _, bad := range badRecords {
		c := newCodec(t, func(m *Mapping) {
			if bad.format != "" {
				m.TimeFormat = bad.format
			}
		})
		var e Event
		text := c.Decode([]byte(bad.record), &e).Error()
		if other, ok := texts[text]; ok && bad.name != "blank" {
			t.Errorf("%q and %q have the same text: %s", bad.name, other, text)
		}
		texts[text] = bad.name
	}
}

func newCodec(t testing.TB, change func(*Mapping)) *JSON {
	t.Helper()
	m := DefaultMapping()
	if change != nil {
		change(&m)
	}
	c, err := NewJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
