package event

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends to dst the text of a string that scanString has accepted. Half a
// surrogate pair becomes U+FFFD, as in encoding/json; whole is then false.
func unescape(dst, s []byte) (text []byte, whole bool) {
	whole = true
	for {
		run := bytes.IndexByte(s, '\\')
		if run < 0 {
			return append(dst, s...), whole
		}
		dst = append(dst, s[:run]...)
		if s[run+1] != 'u' {
			dst = append(dst, unescapeByte(s[run+1]))
			s = s[run+2:]
			continue
		}
		r := hexRune(s[run+2:])
		s = s[run+6:]
		if utf16.IsSurrogate(r) {
			second := rune(-1)
			if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
				second = hexRune(s[2:])
			}
			if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
				whole = false // and the second escape, if any, speaks for itself
			} else {
				s = s[6:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
}

func unescapeByte(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}

// hexRune returns the value of the four hex digits that b starts with.
func hexRune(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		d, _ := hexDigit(c)
		r = r<<4 | rune(d)
	}
	return r
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
