package operators

import "github.com/zeebo/xxh3"

// warm is what Warm has found out about records to come.
type warm struct {
	hashes  []warmHash // in the order of their offsets
	next    int
	slots   []uint32 // scratch
	touched uint32   // what was read, so that it is read
}

type warmHash struct {
	offset int64
	hash   uint64 // of (group, item)
}

// Warm touches the memory that folding these records will need, so that their cache
// misses overlap instead of adding up. It changes no outcome. Call it with some tens
// of decoded records, then fold them in the same order.
func (p *Partition) Warm(records []Record) {
	w := &p.warm
	w.hashes, w.next = w.hashes[:0], 0
	w.slots = w.slots[:0]
	for i := range records {
		if r := &records[i]; r.Kind == KindEvent {
			w.hashes = append(w.hashes, warmHash{r.Offset, p.hashKey(r)})
			w.slots = append(w.slots, hashOf(r.Event.ID))
		}
	}
	// Addresses first, then a tight loop that reads them: the processor runs far ahead in it.
	w.touched = p.dedup.index.touch(w.slots)
	if pane := p.panes.current; pane != nil {
		for i := range w.hashes {
			w.slots[i] = uint32(w.hashes[i].hash)
		}
		w.touched += pane.touch(w.slots)
	}
}

// hash returns the hash of a record's (group, item).
func (p *Partition) hash(r *Record) uint64 {
	for w := &p.warm; w.next < len(w.hashes) && w.hashes[w.next].offset <= r.Offset; {
		known := w.hashes[w.next]
		if w.next++; known.offset == r.Offset {
			return known.hash
		}
	}
	return p.hashKey(r)
}

func (p *Partition) hashKey(r *Record) uint64 {
	p.key = append(append(p.key[:0], r.Event.Group...), r.Event.Item...)
	return xxh3.Hash(p.key)
}
