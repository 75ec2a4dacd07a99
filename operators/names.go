package operators

import (
	"bytes"

	"github.com/zeebo/xxh3"
)

// names holds byte strings once and gives each a small number, for as long as somebody
// refers to it. Numbers of strings that nobody refers to any more are given again.
type names struct {
	entries []name
	bytes   []byte
	index   index
	free    []uint32 // numbers to be given again
	dead    int      // bytes of strings that are gone
}

type name struct {
	at, len uint32 // in bytes; together they hold 4 GB
	refs    uint32
}

// number returns the number of a string, which it adds where it is new. It lasts
// until refs go back to zero: call retain before anything else is released.
func (n *names) number(b []byte) uint32 {
	hash := uint32(xxh3.Hash(b))
	probe := n.index.probe(hash)
	for i, ok := probe.next(); ok; i, ok = probe.next() {
		if bytes.Equal(n.get(i), b) {
			return i
		}
	}
	if len(n.bytes)+len(b) > 1<<32-1 {
		panic("operators: more than 4 GB of item names in one shard; use more shards")
	}
	e := name{at: uint32(len(n.bytes)), len: uint32(len(b))}
	n.bytes = append(n.bytes, b...)
	var i uint32
	if last := len(n.free) - 1; last >= 0 {
		i, n.free = n.free[last], n.free[:last]
		n.entries[i] = e
	} else {
		i = uint32(len(n.entries))
		n.entries = append(n.entries, e)
	}
	n.index.add(hash, i)
	return i
}

// get returns the string: a view that holds until the next call of number or release.
func (n *names) get(i uint32) []byte {
	e := n.entries[i]
	return n.bytes[e.at : e.at+e.len : e.at+e.len]
}

func (n *names) retain(i uint32) { n.entries[i].refs++ }

// release lets go of one reference, and of the string with the last one.
func (n *names) release(i uint32) {
	e := &n.entries[i]
	if e.refs--; e.refs > 0 {
		return
	}
	n.index.remove(uint32(xxh3.Hash(n.get(i))), i)
	n.dead += int(e.len)
	e.len = 0
	n.free = append(n.free, i)
	if n.dead > 1<<16 && n.dead > len(n.bytes)/2 {
		n.compact()
	}
}

// compact moves the strings that are left together.
func (n *names) compact() {
	kept := make([]byte, 0, len(n.bytes)-n.dead+len(n.bytes)/8)
	for i := range n.entries {
		e := &n.entries[i]
		at := uint32(len(kept))
		kept = append(kept, n.bytes[e.at:e.at+e.len]...)
		e.at = at
	}
	n.bytes, n.dead = kept, 0
}

func (n *names) size() int {
	return 12*cap(n.entries) + cap(n.bytes) + 8*cap(n.index.slots) + 4*cap(n.free)
}
