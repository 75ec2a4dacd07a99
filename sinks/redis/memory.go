package redis

import (
	"container/list"
	"time"

	"github.com/millrank/millrank/event"
)

// remembered is what a key holds, as its writer wrote it.
type remembered struct {
	key      string
	start    int64 // the window's start, Unix milliseconds
	revision int64
	entries  []event.Entry
	at       time.Time // no later than when Redis wrote it
}

// memory is what a writer remembers of the keys that it has written. It holds at most so many
// bytes, and forgets what was written longest ago.
type memory struct {
	bytesMax  int
	bytes     int
	keys      map[string]*list.Element // of *remembered
	order     *list.List               // the one written last comes first
	forgotten func()
}

func newMemory(bytesMax int, forgotten func()) *memory {
	return &memory{bytesMax: bytesMax, keys: map[string]*list.Element{}, order: list.New(), forgotten: forgotten}
}

// get returns what a key holds, or nil.
func (m *memory) get(key string) *remembered {
	if e := m.keys[key]; e != nil {
		return value(e)
	}
	return nil
}

// put remembers what a key holds from now on.
func (m *memory) put(r *remembered) {
	m.drop(r.key)
	m.keys[r.key] = m.order.PushFront(r)
	m.bytes += r.size()
	for m.bytes > m.bytesMax && m.order.Len() > 0 {
		m.drop(value(m.order.Back()).key)
		m.forgotten()
	}
}

// drop forgets a key.
func (m *memory) drop(key string) {
	e := m.keys[key]
	if e == nil {
		return
	}
	m.bytes -= value(e).size()
	m.order.Remove(e)
	delete(m.keys, key)
}

// clear forgets all keys.
func (m *memory) clear() {
	clear(m.keys)
	m.order.Init()
	m.bytes = 0
}

func value(e *list.Element) *remembered {
	r, _ := e.Value.(*remembered)
	return r
}

// size returns about how many bytes it takes. Entries that keys share are counted for each of them.
func (r *remembered) size() int {
	const entry, fixed = 24, 250 // fixed: the struct, its place in the list and in the map
	n := fixed + 2*len(r.key) + entry*len(r.entries)
	for _, e := range r.entries {
		n += len(e.Item)
	}
	return n
}
