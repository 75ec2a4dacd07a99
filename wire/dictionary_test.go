package wire

import (
	"bytes"
	"slices"
	"testing"
)

// TestDictionary: strings of any length that differ in any one byte, or only in length,
// have positions of their own, in the order in which they came.
func TestDictionary(t *testing.T) {
	var all [][]byte
	for length := range 40 {
		zeros := make([]byte, length)
		all = append(all, zeros)
		for i := range zeros {
			other := bytes.Clone(zeros)
			other[i] = 1
			all = append(all, other)
		}
	}
	d := newDictionary()
	for _, rounds := range []int{1, 2} { // the second time in its own memory
		d.reset(len(all))
		for range rounds {
			for want, b := range all {
				if got := d.position(b); int(got) != want {
					t.Fatalf("%x is at %d, want %d", b, got, want)
				}
			}
		}
		if !bytes.Equal(d.bytes, slices.Concat(all...)) || len(d.lengths) != len(all) {
			t.Fatalf("the strings do not lie end to end")
		}
	}
	large := len(d.slots)
	if d.reset(10); len(d.slots) >= large || d.position([]byte("x")) != 0 {
		t.Errorf("for 10 strings, a table of %d slots is cleared", len(d.slots))
	}
}
