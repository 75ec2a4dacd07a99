// Package operators keeps state between calls.
package operators

import "errors"

// ErrFull is a sentinel error: fine.
var ErrFull = errors.New("full")

var (
	seen   = map[string]bool{}
	calls  int
	scores [8]float64
	last   *entry
	names  = []string{"a", "b"}
)

type entry struct{ at int }

func fold(id string) error {
	seen[id] = true           // want "package variable seen is assigned"
	calls++                   // want "package variable calls is assigned"
	scores[1] = 2             // want "package variable scores is assigned"
	last.at = 3               // want "package variable last is assigned"
	delete(seen, id)          // want "package variable seen is changed by delete"
	p := &calls               // pointing into a table, to read it, is fine
	ErrFull = nil             // want "package variable ErrFull is assigned"
	for calls = range names { // want "package variable calls is assigned"
		_ = p
	}
	return reset()
}
