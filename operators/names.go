package operators

import (
	"bytes"
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/event"
)

// names holds byte strings once and gives each a number, until its time is over. A
// number is where the string stands: at 4 × number in blocks, as its length (4 bytes), until
// when it is needed (8 bytes), then its bytes, padded to a multiple of 4. So a look-up is one
// cache miss in the index and one here. The place of a string that is gone is given
// to the next one that needs as much. (Counts of references were slower: letting go
// of a pane was a cache miss per cell, where forget reads the blocks in order.)
type names struct {
	blocks []byte
	index  index
	free   map[int][]uint32 // by size, numbers to be given again
	runs   []run            // longer free places, to be cut up
	whole  bitset           // names that have been held since before anything was let go, and have lost nothing; see Rank.unmark
	empty  bitset           // see scratch
}

const (
	nameUntil = 4
	nameHead  = 12
)

// nameSize is the size of a string's place.
func nameSize(length int) int { return nameHead + (length+3)&^3 }

// number returns the number of a string, which it adds where it is new. It lasts at
// least until the time given is forgotten.
func (n *names) number(b []byte, hash uint32, until int64) uint32 {
	probe := n.index.probe(hash)
	for i, ok := probe.next(); ok; i, ok = probe.next() {
		if bytes.Equal(n.get(i), b) {
			if n.until(i) < until {
				n.setUntil(i, until)
			}
			return i
		}
	}
	i := n.place(nameSize(len(b)))
	head := n.blocks[4*int(i):]
	putLength(head, len(b))
	copy(head[nameHead:], b)
	n.setUntil(i, until)
	n.index.add(hash, i)
	return i
}

// place returns the number of a free place of a size.
func (n *names) place(size int) uint32 {
	if free := n.free[size]; len(free) > 0 {
		n.free[size] = free[:len(free)-1]
		return free[len(free)-1]
	}
	if i, ok := n.cut(size); ok {
		return i
	}
	at := len(n.blocks)
	if at+size > namesMax {
		panic("operators: more than 16 GB of item names in one shard; use more shards")
	}
	n.blocks = append(n.blocks, make([]byte, size)...)
	return uint32(at / 4)
}

// namesMax keeps numbers below 2³² - 1.
const namesMax = 4 * (1<<32 - 2)

// get returns the string: a view that holds until the next call of number or forget.
func (n *names) get(i uint32) []byte {
	head := n.blocks[4*int(i):]
	return head[nameHead : nameHead+int(binary.LittleEndian.Uint32(head))]
}

// touch reads the strings that look-ups of these hashes will compare first.
func (n *names) touch(block []incoming) uint32 {
	if len(n.index.slots) == 0 {
		return 0
	}
	var at [blockLen]int
	for i := range block {
		at[i] = home(tag(block[i].hash), len(n.index.slots))
	}
	for i := range block {
		at[i] = 4 * int(uint32(n.index.slots[at[i]]))
	}
	var touched uint32
	for i := range block {
		if at[i] < len(n.blocks) {
			touched += uint32(n.blocks[at[i]])
		}
	}
	return touched
}

// forget lets go of the strings that are needed until a time or less.
func (n *names) forget(through int64) {
	if n.free == nil {
		n.free = map[int][]uint32{}
	}
	for at := 0; at < len(n.blocks); {
		i := uint32(at / 4)
		b := n.get(i)
		size := nameSize(len(b))
		if until := n.until(i); until <= through && until != gone {
			n.index.remove(hashName(b), i)
			n.setUntil(i, gone)
			n.whole.clear(i)
			n.free[size] = append(n.free[size], i)
		}
		at += size
	}
}

// gone marks a place that is free.
const gone = event.NoTime

func (n *names) until(i uint32) int64 {
	return int64(binary.LittleEndian.Uint64(n.blocks[4*int(i)+nameUntil:]))
}

func (n *names) setUntil(i uint32, t int64) {
	binary.LittleEndian.PutUint64(n.blocks[4*int(i)+nameUntil:], uint64(t))
}

func hashName(b []byte) uint32 { return uint32(xxh3.Hash(b)) }

func putLength(head []byte, length int) { binary.LittleEndian.PutUint32(head, uint32(length)) }
