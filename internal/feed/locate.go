package feed

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"strings"
)

// locator finds where in an event fields stand, so that they can be written anew and all other bytes stay.
type locator struct {
	paths [][]string
	spans []span // by path, of the record that was looked at last
}

// span is where a value stands, a string with its quotes; from == to where there is none.
type span struct{ from, to int }

func newLocator(paths ...string) *locator {
	l := &locator{spans: make([]span, len(paths))}
	for _, path := range paths {
		l.paths = append(l.paths, splitPath(path))
	}
	return l
}

// splitPath splits a mapping's path, which is a good one, at its dots, and removes its escapes.
func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	var names []string
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '.':
			names = append(names, name.String())
			name.Reset()
		case path[i] == '\\' && i+1 < len(path):
			i++
			name.WriteByte(path[i])
		default:
			name.WriteByte(path[i])
		}
	}
	return append(names, name.String())
}

// find looks all paths up in a record that event.JSON has read: it is a JSON object. Where a name comes more than once,
// the last one counts, as there.
func (l *locator) find(b []byte) []span {
	clear(l.spans)
	l.object(b, skipSpace(b, 0), 0, 1<<len(l.paths)-1)
	return l.spans
}

// object goes through an object that begins at i, in which those paths lead on whose bits are set, and returns the offset behind it. The
// recursion is as deep as the longest path.
func (l *locator) object(b []byte, i, depth int, leads uint64) int {
	i = skipSpace(b, i+1)
	for b[i] != '}' {
		key := i
		i = skipString(b, i)
		here := l.named(b[key:i], depth, leads)
		i = skipSpace(b, skipSpace(b, i)+1) // the colon
		from := i
		var deeper uint64
		for rest := here; rest != 0; rest &= rest - 1 {
			path := bits.TrailingZeros64(rest)
			l.spans[path] = span{}
			if len(l.paths[path]) > depth+1 {
				deeper |= 1 << path
			}
		}
		if deeper != 0 && b[i] == '{' {
			i = l.object(b, i, depth+1, deeper)
		} else {
			i = skipValue(b, i)
		}
		for rest := here &^ deeper; rest != 0; rest &= rest - 1 {
			l.spans[bits.TrailingZeros64(rest)] = span{from, i}
		}
		if i = skipSpace(b, i); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return i + 1
}

// named returns which of the paths go by a key, given with its quotes.
func (l *locator) named(quoted []byte, depth int, leads uint64) uint64 {
	key := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(unquote(quoted))
	}
	var here uint64
	for ; leads != 0; leads &= leads - 1 {
		path := bits.TrailingZeros64(leads)
		if l.paths[path][depth] == string(key) {
			here |= 1 << path
		}
	}
	return here
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) string {
	var text string
	_ = json.Unmarshal(quoted, &text) // event.JSON has read it
	return text
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the offset behind a string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default:
			i++
			if depth > 0 || strings.IndexByte(",}] \n\t\r", b[i]) < 0 {
				continue
			}
		}
		if depth == 0 {
			return i
		}
	}
}
