package operators

import (
	"bytes"
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// names holds byte strings once and gives each a number, for as long as somebody
// refers to it. A number is where the string stands: at 4 × number in blocks, as its
// length and its count of references, 4 bytes each, then its bytes, padded to a multiple
// of 4. So a look-up is one cache miss in the index and one here. The place of a string that is
// gone is given to the next one that needs as much.
type names struct {
	blocks []byte
	index  index
	free   map[int][]uint32 // by size, numbers to be given again
}

const nameHead = 8

// nameSize is the size of a string's place.
func nameSize(length int) int { return nameHead + (length+3)&^3 }

// number returns the number of a string, which it adds where it is new. It lasts
// until refs go back to zero: call retain before anything else is released.
func (n *names) number(b []byte) uint32 { return n.numberHashed(b, uint32(xxh3.Hash(b))) }

func (n *names) numberHashed(b []byte, hash uint32) uint32 {
	probe := n.index.probe(hash)
	for i, ok := probe.next(); ok; i, ok = probe.next() {
		if bytes.Equal(n.get(i), b) {
			return i
		}
	}
	i := n.place(nameSize(len(b)))
	head := n.blocks[4*int(i):]
	binary.LittleEndian.PutUint32(head, uint32(len(b)))
	binary.LittleEndian.PutUint32(head[4:], 0)
	copy(head[nameHead:], b)
	n.index.add(hash, i)
	return i
}

// place returns the number of a free place of a size.
func (n *names) place(size int) uint32 {
	if free := n.free[size]; len(free) > 0 {
		n.free[size] = free[:len(free)-1]
		return free[len(free)-1]
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

// get returns the string: a view that holds until the next call of number or release.
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

func (n *names) retain(i uint32) { n.refer(i, 1) }

// release lets go of one reference, and of the string with the last one.
func (n *names) release(i uint32) {
	if n.refer(i, ^uint32(0)) > 0 {
		return
	}
	b := n.get(i)
	n.index.remove(uint32(xxh3.Hash(b)), i)
	if n.free == nil {
		n.free = map[int][]uint32{}
	}
	n.free[nameSize(len(b))] = append(n.free[nameSize(len(b))], i)
}

// refer adds to a string's count of references, and returns it.
func (n *names) refer(i, by uint32) uint32 {
	refs := n.blocks[4*int(i)+4:]
	count := binary.LittleEndian.Uint32(refs) + by
	binary.LittleEndian.PutUint32(refs, count)
	return count
}
