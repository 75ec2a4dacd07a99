package redis

import (
	"strconv"
	"testing"

	"github.com/millrank/millrank/event"
)

func TestMemoryForgetsWhatWasWrittenLongestAgo(t *testing.T) {
	forgotten := 0
	size := (&remembered{key: "0"}).size()
	m := newMemory(3*size, func() { forgotten++ })
	for i := range 4 {
		m.put(&remembered{key: strconv.Itoa(i)})
		m.put(&remembered{key: "0"}) // again and again
	}
	for key, want := range map[string]bool{"0": true, "1": false, "2": true, "3": true} {
		if got := m.get(key) != nil; got != want {
			t.Errorf("key %s is remembered: %v", key, got)
		}
	}
	if forgotten != 1 || m.bytes != 3*size {
		t.Errorf("%d keys forgotten, %d bytes", forgotten, m.bytes)
	}
	m.put(&remembered{key: "5", entries: make([]event.Entry, 1000)}) // more than fits alone
	if m.order.Len() != 0 || m.bytes != 0 {
		t.Errorf("%d keys, %d bytes", m.order.Len(), m.bytes)
	}
	m.put(&remembered{key: "6"})
	m.clear()
	if m.get("6") != nil || m.bytes != 0 {
		t.Error("cleared, and remembers")
	}
}
