package operators

// bitset is a set of numbers.
type bitset []uint64

// none returns an empty set for numbers of these names.
func (n *names) none() bitset { return make(bitset, len(n.blocks)/4/64+1) }

// scratch returns an empty set for numbers of these names, which whoever takes it leaves empty.
func (n *names) scratch() bitset {
	if need := len(n.blocks)/4/64 + 1; need > len(n.empty) {
		n.empty = append(n.empty, make(bitset, need-len(n.empty))...)
	}
	return n.empty
}

func (b bitset) set(i uint32) { b[i/64] |= 1 << (i % 64) }

// clear and has take any number; those beyond the end are not in the set.
func (b bitset) clear(i uint32) {
	if int(i/64) < len(b) {
		b[i/64] &^= 1 << (i % 64)
	}
}

func (b bitset) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0 }

// run is a free place that stands where several stood before.
type run struct {
	number uint32
	size   int
}

// sweep lets go of all strings but those in use, and joins free places that are
// neighbours: a flood of names whose lengths change would else leave places that fit no other.
func (n *names) sweep(used bitset) {
	n.free, n.runs = map[int][]uint32{}, nil
	var open run // the free places up to here, as one
	join := func() {
		if open.size > 0 {
			n.setFree(open)
			n.runs = append(n.runs, open)
		}
		open = run{}
	}
	for at := 0; at < len(n.blocks); {
		i := uint32(at / 4)
		b := n.get(i)
		size := nameSize(len(b))
		if n.until(i) != gone && !used.has(i) {
			n.index.remove(hashName(b), i)
			n.setUntil(i, gone)
		}
		switch {
		case n.until(i) != gone:
			join()
		case open.size == 0:
			open = run{i, size}
		default:
			open.size += size
		}
		at += size
	}
	join()
}

// setFree writes down that a place is free, for whoever goes through the blocks.
func (n *names) setFree(r run) {
	putLength(n.blocks[4*int(r.number):], r.size-nameHead)
	n.setUntil(r.number, gone)
}

// cut takes a place of a size from the front of a run.
func (n *names) cut(size int) (uint32, bool) {
	for len(n.runs) > 0 {
		last := &n.runs[len(n.runs)-1]
		rest := run{last.number + uint32(size/4), last.size - size}
		if rest.size == 0 || rest.size >= nameHead {
			i := last.number
			if *last = rest; rest.size == 0 {
				n.runs = n.runs[:len(n.runs)-1]
			} else {
				n.setFree(rest)
			}
			return i, true
		}
		n.free[last.size] = append(n.free[last.size], last.number)
		n.runs = n.runs[:len(n.runs)-1]
	}
	return 0, false
}
