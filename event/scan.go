package event

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// This file reads the words of JSON: strings, numbers, true, false, null. The grammar
// is RFC 8259's, as encoding/json has it, and strings must be valid UTF-8 as well.
// Every function takes the record and the offset of the word, and returns the offset
// behind it, or that of the fault; an offset at the record's end means truncation.

// kind is what a scanned value is.
type kind uint8

const (
	absent  kind = iota // the zero token: the field did not come
	null                // null
	boolean             // true, false
	plain               // a string without escapes: its bytes are its text
	escaped             // a string with escapes
	integer             // a number without fraction and exponent
	decimal             // any other number
	object
	array
)

// token is a scanned value: what it is, and where in the record it stands (a string
// without its quotes, an object or array by its opening bracket alone). Always
// 0 <= from <= to <= the record's length, whatever the kind.
type token struct {
	from, to int32
	kind     kind
}

// Repeated bytes, to test eight at a time.
const (
	eachByte = 0x0101010101010101
	eachHigh = 0x80 * eachByte
)

// scanString reads a string whose opening quote stands before i, and returns the
// offset of its closing quote.
//
// Eight bytes are tested at a time for those that need a look: a quote, a backslash,
// a control character. Subtracting makes a byte's high bit come up where it is less
// (Mycroft's test); a borrow can only raise false alarms above a true one, and only the
// lowest counts. UTF-8 is checked at the end, where a byte had its high bit set.
func scanString(b []byte, i int) (end int, k kind, f fault) {
	start, k, high := i, plain, uint64(0)
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quotes, backslashes := x^'"'*eachByte, x^'\\'*eachByte // zero where they stand
			hit := ((quotes - eachByte) | (backslashes - eachByte) | (x - ' '*eachByte)) &^ x & eachHigh
			if hit != 0 {
				high |= x & ((hit & -hit) - 1)
				i += bits.TrailingZeros64(hit) / 8
				if b[i] == '"' && high&eachHigh == 0 {
					return i, k, noFault
				}
				break
			}
			high |= x
			i += 8
		}
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' { // the record's last bytes
			high |= uint64(b[i])
			i++
		}
		if i == len(b) {
			return i, k, faultValue
		}
		switch b[i] {
		case '"':
			if high&eachHigh != 0 && !utf8.Valid(b[start:i]) {
				return start + validUTF8(b[start:i]), k, faultUTF8
			}
			return i, k, noFault
		case '\\':
			k = escaped
			if i, f = scanEscape(b, i); f != noFault {
				return i, k, f
			}
		default:
			return i, k, faultControl
		}
	}
}

// scanEscape reads an escape, from its backslash on.
func scanEscape(b []byte, i int) (int, fault) {
	if i+1 >= len(b) {
		return len(b), faultEscape
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, noFault
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) {
				return len(b), faultEscape
			}
			if _, ok := hexDigit(b[j]); !ok {
				return i, faultEscape
			}
		}
		return i + 6, noFault
	}
	return i, faultEscape
}

// scanNumber reads a number, from its first byte on.
func scanNumber(b []byte, i int) (end int, k kind, f fault) {
	k = integer
	if b[i] == '-' {
		i++
	}
	switch first := i; {
	case i < len(b) && b[i] == '0':
		i++
		if i < len(b) && isDigit(b[i]) { // a leading zero
			return first, k, faultNumber
		}
	default:
		if i = skipDigits(b, i); i == first {
			return i, k, faultNumber
		}
	}
	if i < len(b) && b[i] == '.' {
		k = decimal
		first := i + 1
		if i = skipDigits(b, first); i == first {
			return i, k, faultNumber
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		k = decimal
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first := i
		if i = skipDigits(b, first); i == first {
			return i, k, faultNumber
		}
	}
	return i, k, noFault
}

// scanWord reads true, false or null, or finds what else stands where a value is due.
func scanWord(b []byte, i int) (end int, k kind, f fault) {
	word := "null"
	switch b[i] {
	case 'n':
		k = null
	case 't':
		word, k = "true", boolean
	case 'f':
		word, k = "false", boolean
	default:
		return i, k, faultValue
	}
	for j := range len(word) {
		if i+j == len(b) {
			return i + j, k, faultLiteral
		}
		if b[i+j] != word[j] {
			return i, k, faultLiteral
		}
	}
	return i + len(word), k, noFault
}

// notFinite reports whether what stands at i is a NaN or an infinity, as Python,
// JavaScript and others write them, so that the error can say so.
func notFinite(b []byte, i int) bool {
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		i++
	}
	if i+3 > len(b) {
		return false
	}
	word := [3]byte{b[i] | 0x20, b[i+1] | 0x20, b[i+2] | 0x20}
	return word == [3]byte{'n', 'a', 'n'} || word == [3]byte{'i', 'n', 'f'}
}

// skipSpace returns the offset of the first byte from i on that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// validUTF8 returns how many bytes at the start of b are valid UTF-8.
func validUTF8(b []byte) int {
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}
