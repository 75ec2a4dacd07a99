package wire

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// dictionary gives each byte string of a message a position, from 0, in the order in
// which they come, and holds them end to end.
//
// It is a flat open-addressing table with linear probing, at most half full. The
// seed is random, so that nobody can choose items that collide. Strings that two words
// hold, as most are, are hashed and compared as such.
type dictionary struct {
	seed    maphash.Seed
	random  uint64   // of the seed
	bytes   []byte   // of all strings, end to end
	lengths []uint32 // by position
	keys    []key    // by position
	slots   []uint64 // hash << 32 | position + 1, or 0; as many as a power of two
}

// key is what the table knows of a string.
type key struct {
	head, tail uint64 // see words
	start      int    // in bytes
	hash       uint32
}

const (
	slotsMin = 64
	wordsMax = 16 // bytes that two words hold
)

func newDictionary() dictionary {
	seed := maphash.MakeSeed()
	return dictionary{seed: seed, random: maphash.Bytes(seed, nil)}
}

// reset empties the dictionary and keeps its memory, as that of at most this many strings:
// after a large message, clearing the table for a small one is not to take long.
func (d *dictionary) reset(stringsMax int) {
	d.bytes, d.lengths, d.keys = d.bytes[:0], d.lengths[:0], d.keys[:0]
	n := max(slotsMin, 1<<bits.Len(uint(2*stringsMax)))
	if n < len(d.slots) {
		d.slots = d.slots[:n]
	}
	clear(d.slots)
}

// position returns a string's position, and adds it where it is new.
func (d *dictionary) position(b []byte) uint32 {
	head, tail := words(b)
	var hash uint32
	if len(b) <= wordsMax {
		hi, lo := bits.Mul64(head^d.random, tail^uint64(len(b))^bits.RotateLeft64(d.random, 32))
		hash = uint32(hi ^ lo)
	} else {
		hash = uint32(maphash.Bytes(d.seed, b))
	}
	if 2*(len(d.keys)+1) > len(d.slots) {
		d.grow()
	}
	slots := d.slots
	mask := uint32(len(slots) - 1)
	at := hash & mask
	for ; slots[at] != 0; at = (at + 1) & mask {
		if slots[at]>>32 != uint64(hash) {
			continue
		}
		i := uint32(slots[at]) - 1
		k := &d.keys[i]
		if k.head == head && k.tail == tail && int(d.lengths[i]) == len(b) &&
			(len(b) <= wordsMax || bytes.Equal(d.bytes[k.start:k.start+len(b)], b)) {
			return i
		}
	}
	i := uint32(len(d.keys))
	slots[at] = uint64(hash)<<32 | uint64(i+1)
	d.keys = append(d.keys, key{head: head, tail: tail, start: len(d.bytes), hash: hash})
	d.lengths = append(d.lengths, uint32(len(b)))
	d.bytes = append(d.bytes, b...)
	return i
}

// words returns the first and the last bytes of a string. With the length they are all
// of it, where it has at most wordsMax bytes.
func words(b []byte) (head, tail uint64) {
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		return uint64(b[0]) | uint64(b[n/2])<<8, uint64(b[n-1])
	}
	return 0, 0
}

// grow doubles the table, in place where it was as large before.
func (d *dictionary) grow() {
	n := max(slotsMin, 2*len(d.slots))
	if n <= cap(d.slots) {
		d.slots = d.slots[:n]
		clear(d.slots)
	} else {
		d.slots = make([]uint64, n)
	}
	mask := uint32(n - 1)
	for i, k := range d.keys {
		at := k.hash & mask
		for d.slots[at] != 0 {
			at = (at + 1) & mask
		}
		d.slots[at] = uint64(k.hash)<<32 | uint64(i+1)
	}
}
