package operators

import "math/bits"

// index is a flat open-addressing table from a 32-bit hash to a position in a dense
// array that its owner keeps; the owner compares what stands there:
//
//	probe := ix.probe(hash)
//	for i, ok := probe.next(); ok; i, ok = probe.next() {
//		if entries[i] is the one { ... }
//	}
//
// A slot is (hash, position) in one word, so probing touches one cache line or two,
// and growing needs nothing but the slots: a home is hash × slots / 2³², monotone in
// the hash, so that a table is read and written in order when it is laid out anew.
// Linear probing, at most three quarters full, grown by half and not doubled, to hold
// memory near what is live. Hashes may collide; a position stands in one slot.
type index struct {
	slots []uint64
	used  int // slots that are not empty
}

const indexSlotsMin = 16

// tag is the hash as a slot holds it in its upper half: odd, since a slot of zero is empty.
func tag(hash uint32) uint64 { return uint64(hash | 1) }

// home is the slot at which the search for a hash begins.
func home(tag uint64, slots int) int {
	hi, _ := bits.Mul64(tag<<32, uint64(slots))
	return int(hi)
}

// probe walks the slots that can hold a hash.
type probe struct {
	slots []uint64
	tag   uint64
	at    int
}

func (ix *index) probe(hash uint32) probe {
	t := tag(hash)
	return probe{slots: ix.slots, tag: t, at: home(t, len(ix.slots))}
}

// next returns the position in the next slot with the hash, and false when there is none.
func (p *probe) next() (position uint32, ok bool) {
	for len(p.slots) > 0 {
		s := p.slots[p.at]
		if s == 0 {
			break
		}
		if p.at++; p.at == len(p.slots) {
			p.at = 0
		}
		if s>>32 == p.tag {
			return uint32(s), true
		}
	}
	return 0, false
}

// touch reads the slots at which the searches for these hashes begin, and leaves the
// positions that stand there in place of the hashes.
func (ix *index) touch(hashes []uint32) (touched uint32) {
	if len(ix.slots) == 0 {
		return 0
	}
	for i, hash := range hashes {
		hashes[i] = uint32(home(tag(hash), len(ix.slots)))
	}
	for i, slot := range hashes {
		hashes[i] = uint32(ix.slots[slot])
		touched += hashes[i]
	}
	return touched
}

// add puts a position under a hash, and grows the table by half first where it is full.
func (ix *index) add(hash, position uint32) {
	if ix.full() {
		ix.rebuild(len(ix.slots)+len(ix.slots)/2, func(uint32) bool { return true })
	}
	ix.insert(tag(hash), position)
}

// full reports whether room must be made before the next position is added.
func (ix *index) full() bool { return 4*(ix.used+1) > 3*len(ix.slots) }

// rebuild lays the slots whose position is kept out anew, in a table of n slots.
func (ix *index) rebuild(n int, keep func(position uint32) bool) {
	old := ix.slots
	ix.slots, ix.used = make([]uint64, max(n, indexSlotsMin)), 0
	for _, s := range old {
		if s != 0 && keep(uint32(s)) {
			ix.insert(s>>32, uint32(s))
		}
	}
}

func (ix *index) insert(tag uint64, position uint32) {
	i := home(tag, len(ix.slots))
	for ix.slots[i] != 0 {
		if i++; i == len(ix.slots) {
			i = 0
		}
	}
	ix.slots[i] = tag<<32 | uint64(position)
	ix.used++
}

// remove takes a position out, moving up what follows it, so that no search ends too early.
func (ix *index) remove(hash, position uint32) {
	n := len(ix.slots)
	t := tag(hash)
	i := home(t, n)
	for ix.slots[i] != t<<32|uint64(position) {
		if i++; i == n {
			i = 0
		}
	}
	for hole := i; ; {
		if i++; i == n {
			i = 0
		}
		s := ix.slots[i]
		if s == 0 {
			ix.slots[hole] = 0
			break
		}
		// A slot may move to the hole unless its home lies between the two (cyclically).
		if h := home(s>>32, n); (i-h+n)%n >= (i-hole+n)%n {
			ix.slots[hole], hole = s, i
		}
	}
	ix.used--
}

// reset empties the table and keeps its memory.
func (ix *index) reset() {
	clear(ix.slots)
	ix.used = 0
}
