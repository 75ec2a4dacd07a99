package operators

import (
	"math"
	"math/bits"
)

// table holds numbers per (item, group, source), flat: entries stand in the order of
// their hashes with gaps between (linear probing, kept sorted), so that a search ends early and
// growing reads and writes in order. That is cheap enough to grow by an eighth where the table is large, and to
// fill seven eighths: 32 to 36 bytes an entry, in a large one.
type table struct {
	slots []entry // slots that homes fall in, then some for what is pushed over the end
	homes int
	used  int
	sized bool // was made large enough for what is expected
}

// entry is 28 bytes; 64-bit numbers stand in halves, since they would align it to 32.
type entry struct {
	item, group uint32 // item is one more than its number: an entry of zeros is empty
	counted     halves // upper 16 bits: source; the rest: count, which at a million a second lasts nine years
	sum         halves
	extra       uint32 // a cell's duplicates; of a total three marks, and above them the upper 29 bits of its sum, of 93
}

type halves [2]uint32

func (h halves) get() uint64   { return uint64(h[0]) | uint64(h[1])<<32 }
func (h *halves) set(x uint64) { h[0], h[1] = uint32(x), uint32(x>>32) }

const (
	entrySize  = 28
	sourcesMax = 1 << 16
	countMask  = 1<<48 - 1
	marked     = 1 // has changed, and its lists have to look at it
	listed     = 2 // is among the leaders of a list, or was
	lossy      = 4 // cells of it have been let go, or may have been
	sumShift   = 3
)

// itemOf returns the item's number.
func (e *entry) itemOf() uint32 { return e.item - 1 }

// source returns the source partition of a cell.
func (e *entry) source() uint16 { return uint16(e.counted[1] >> 16) }

func (e *entry) count() int64 { return int64(e.counted.get() & countMask) }

func (e *entry) addCount(n int64) {
	e.counted.set(e.counted.get()&^countMask | uint64(e.count()+n)&countMask)
}

// replaceSum takes was off a total's sum and adds is, exactly.
func (e *entry) replaceSum(was, is int64) {
	low, borrow := bits.Sub64(e.sum.get(), uint64(was), 0)
	low, carry := bits.Add64(low, uint64(is), 0)
	e.sum.set(low)
	e.extra += uint32(is>>63-was>>63+int64(carry)-int64(borrow)) << sumShift
}

// total returns a total's sum, and false where it is beyond int64: then the nearest that is not.
func (e *entry) total() (int64, bool) {
	low, high := int64(e.sum.get()), int64(int32(e.extra)>>sumShift)
	switch {
	case high == low>>63:
		return low, true
	case high < 0:
		return math.MinInt64, false
	}
	return math.MaxInt64, false
}

func hashEntry(item, group uint32, source uint16) uint64 {
	return mix(uint64(item)|uint64(group)<<32) ^ uint64(source)*0x9e3779b97f4a7c15
}

func (e *entry) hash() uint64 { return hashEntry(e.item, e.group, e.source()) }

// home is the slot at which the search for a hash begins.
func (t *table) home(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(t.homes))
	return int(hi)
}

// size makes an empty table large enough for n entries.
func (t *table) size(n int) {
	if n > 0 {
		t.sized = true
		t.lay(n*5/4 + 1)
	}
}

// slot returns the slots at which the search for an entry begins, without reading them.
func (t *table) slot(item, group uint32, source uint16) []entry {
	if len(t.slots) == 0 {
		return nil
	}
	i := t.home(hashEntry(item+1, group, source))
	return t.slots[i:min(i+3, len(t.slots))]
}

// find returns the entry, or nil. It holds until the next put.
func (t *table) find(item, group uint32, source uint16) *entry {
	i, ok := t.seek(item+1, group, source)
	if !ok {
		return nil
	}
	return &t.slots[i]
}

// put returns the entry, made with zeros where there was none. It holds until the next put.
func (t *table) put(item, group uint32, source uint16) (e *entry, isNew bool) {
	if 8*(t.used+1) > 7*t.homes {
		t.grow()
	}
	for {
		i, ok := t.seek(item+1, group, source)
		if ok {
			return &t.slots[i], false
		}
		if t.shift(i) {
			t.used++
			t.slots[i] = entry{item: item + 1, group: group, counted: halves{0, uint32(source) << 16}}
			return &t.slots[i], true
		}
		t.grow()
	}
}

// seek returns where the entry stands, or where it belongs. (To order by homes alone
// would not do: entries of one home can have different ones in a larger table.)
func (t *table) seek(item, group uint32, source uint16) (int, bool) {
	hash := hashEntry(item, group, source)
	for i := t.home(hash); i < len(t.slots); i++ {
		e := &t.slots[i]
		if e.item == item && e.group == group && e.source() == source {
			return i, true
		}
		if e.item == 0 || e.hash() > hash {
			return i, false
		}
	}
	return len(t.slots), false
}

// shift moves the entries from i on by one, up to the next gap; false where there is none.
func (t *table) shift(i int) bool {
	gap := i
	for gap < len(t.slots) && t.slots[gap].item != 0 {
		gap++
	}
	if gap == len(t.slots) {
		return false
	}
	copy(t.slots[i+1:gap+1], t.slots[i:gap])
	return true
}

// tableDoubles is up to where a table of which nothing was known doubles when it is full: that costs less time than memory. Others grow by an eighth.
const tableDoubles = 32 << 10

func (t *table) grow() {
	more := t.homes / 8
	if !t.sized && t.homes < tableDoubles {
		more = t.homes
	}
	t.relay(max(16, t.homes+more))
}

// relay lays the entries out anew, with so many homes.
func (t *table) relay(homes int) {
	old := t.slots
	t.lay(homes)
	for next, i := 0, 0; i < len(old); i++ {
		e := &old[i]
		if e.item == 0 {
			continue
		}
		at := max(next, t.home(e.hash()))
		if at == len(t.slots) { // pushed over the end, once in a very long while
			t.slots = append(t.slots, make([]entry, 64)...)
		}
		t.slots[at] = *e
		next = at + 1
	}
}

// lay replaces the slots by empty ones.
func (t *table) lay(homes int) {
	t.homes = homes
	t.slots = make([]entry, homes+homes/64+16)
}

// remove takes out the entries for which f says so. It moves the others up in place, which
// keeps their order: none stands before its home, and so none moves up beyond it. A table that is
// mostly empty then is laid out anew.
func (t *table) remove(f func(e *entry) bool) {
	next := 0
	for i := range t.slots {
		e := t.slots[i]
		if e.item == 0 {
			continue
		}
		t.slots[i] = entry{}
		if f(&e) {
			t.used--
			continue
		}
		next = max(next, t.home(e.hash()))
		t.slots[next] = e
		next++
	}
	if 2*t.used < t.homes {
		t.relay(t.used*5/4 + 1)
	}
}

// spread calls f for every entry, in an order in which they can be put into another table.
// In the order of their hashes, the first ones would all belong at the front of a table that is small yet, and
// each would have to move most of the others: its cost would be the square of their number.
func (t *table) spread(f func(e *entry)) {
	const sweeps = 64
	for first := range sweeps {
		for i := first; i < len(t.slots); i += sweeps {
			if t.slots[i].item != 0 {
				f(&t.slots[i])
			}
		}
	}
}

// each calls f for every entry, in the order of their hashes.
func (t *table) each(f func(e *entry)) {
	for i := range t.slots {
		if t.slots[i].item != 0 {
			f(&t.slots[i])
		}
	}
}
