package event

import (
	"fmt"
	"strconv"
)

// Reason is why a record is malformed: a short, stable name for metrics and for
// programs that sort dead letters. There are few, whatever the input.
type Reason string

// The reasons. Those of the first group are about the record as a whole, the others
// about one field, which MalformedError names.
const (
	NullRecord       Reason = "null_record"       // no value at all: a tombstone
	EmptyRecord      Reason = "empty_record"      // zero bytes, or only white space
	RecordTooLarge   Reason = "record_too_large"  // more than RecordBytesMax
	Truncated        Reason = "truncated"         // it ends in the middle of the JSON
	TrailingData     Reason = "trailing_data"     // something follows the JSON
	NotObject        Reason = "not_object"        // JSON, but an array or a bare value
	BadSyntax        Reason = "bad_syntax"        // not JSON
	NotFinite        Reason = "not_finite"        // NaN or Infinity, which JSON doesn't have
	ControlCharacter Reason = "control_character" // a raw newline or the like in a string
	InvalidUTF8      Reason = "invalid_utf8"      // a string's bytes are not UTF-8
	TooDeep          Reason = "too_deep"          // objects and arrays nest too deep

	FieldMissing  Reason = "missing"        // a required field is not there
	FieldNull     Reason = "null"           // a required field is null
	FieldEmpty    Reason = "empty"          // an event ID or item is ""
	FieldTooLong  Reason = "too_long"       // a text is over its limit
	WrongType     Reason = "wrong_type"     // a number where a text is due, and the like
	LoneSurrogate Reason = "lone_surrogate" // half a character, such as \ud800, in a text

	TimeUnreadable Reason = "time_unreadable"   // a string that is not RFC 3339
	TimeOverflow   Reason = "time_overflow"     // an integer beyond 64 bits
	TimeNegative   Reason = "time_negative"     // below zero, and below the accepted range
	TimeOutOfRange Reason = "time_out_of_range" // outside the accepted range
	TimeInSeconds  Reason = "time_in_seconds"   // outside the range, but inside if it were seconds
	TimeInMillis   Reason = "time_in_millis"    // ... milliseconds
	TimeInMicros   Reason = "time_in_micros"    // ... microseconds
	TimeInNanos    Reason = "time_in_nanos"     // ... nanoseconds

	ValueTooPrecise Reason = "value_too_precise"  // more decimals than ValueScale
	ValueInexact    Reason = "value_inexact"      // beyond 2^53 after scaling: a float64 score would round it
	ValueOutOfRange Reason = "value_out_of_range" // beyond 64 bits after scaling
)

// MalformedError is the error of a record that can't be read: it goes to the dead-letter
// topic, and the next record is read as if it had not been. The same bytes and mapping
// always give the same error. It holds no view of the record and may be kept.
type MalformedError struct {
	Reason Reason
	Field  string // the path of the field at fault, as the mapping has it; "" where it is none of them
	Detail string // what is wrong and what to mend, for people; quotes at most 32 bytes of the record
}

// Error returns the field and the detail.
func (m *MalformedError) Error() string {
	if m.Field == "" {
		return m.Detail
	}
	return m.Field + ": " + m.Detail
}

func malformed(reason Reason, field, format string, args ...any) error {
	return &MalformedError{Reason: reason, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// fault is what the scanner found wrong. It is a number, so that the scanner's
// functions stay free of texts and of allocations.
type fault uint8

const (
	noFault fault = iota
	faultNotObject
	faultKey
	faultColon
	faultComma
	faultValue
	faultLiteral
	faultNumber
	faultNotFinite
	faultEscape
	faultControl
	faultUTF8
	faultDeep
	faultTrailing
)

var faultTexts = [...]struct {
	reason Reason
	text   string
}{
	faultNotObject: {NotObject, "the record is not a JSON object; send {...}"},
	faultKey:       {BadSyntax, "a field name in double quotes is due"},
	faultColon:     {BadSyntax, "a colon is due after a field name"},
	faultComma:     {BadSyntax, "a comma or the closing bracket is due after a value"},
	faultValue:     {BadSyntax, "a JSON value is due"},
	faultLiteral:   {BadSyntax, "a word that is not true, false or null; quote it"},
	faultNumber:    {BadSyntax, "not a JSON number"},
	faultNotFinite: {NotFinite, "NaN and Infinity are not JSON; leave the field out or send a number"},
	faultEscape:    {BadSyntax, `not a JSON escape; they are \" \\ \/ \b \f \n \r \t and \u with four hex digits`},
	faultControl:   {ControlCharacter, "a control character in a string; escape it"},
	faultUTF8:      {InvalidUTF8, "a string is not valid UTF-8; encode it as UTF-8"},
	faultDeep:      {TooDeep, "objects and arrays nest more than " + strconv.Itoa(depthMax) + " deep; send flatter records"},
	faultTrailing:  {TrailingData, "something follows the JSON object; send one object per record"},
}

// malformedAt turns a fault at an offset of the record into the error for it.
func malformedAt(record []byte, at int, f fault, field string) error {
	if at >= len(record) {
		return malformed(Truncated, field, "the JSON ends too early, after %d bytes; is the producer cutting records off?", len(record))
	}
	t := faultTexts[f]
	return malformed(t.reason, field, "%s (at byte %d: %s)", t.text, at, quote(record[at:]))
}

// quote returns the start of an input, quoted, for an error text.
func quote(input []byte) string {
	const bytesMax = 32
	if len(input) > bytesMax {
		return strconv.Quote(string(input[:bytesMax])) + "..."
	}
	return strconv.Quote(string(input))
}
