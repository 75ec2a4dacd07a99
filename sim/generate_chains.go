package sim

import "slices"

// chainsMax bounds how many chains a producer keeps going at once.
const chainsMax = 256

// chain is an event that comes again each time the horizon of its last sighting is about
// to end, or has just ended. Engines that don't refresh on a duplicate lose such a chain.
type chain struct {
	event            Record
	links            int   // how often it still comes
	segment, records int64 // it is due once W or the offset is in this segment
}

// beginChain returns a fresh event that will come again.
func (p *producer) beginChain() []Record {
	first := p.fresh(p.recent())
	if len(p.chains) < chainsMax {
		p.chains = append(p.chains, p.link(first, 2+p.rng.IntN(4)))
	}
	return []Record{first}
}

// link returns the chain as it goes on from a sighting of its event now.
func (p *producer) link(r Record, links int) chain {
	s := p.o.Settings
	reach, reachRecords := int64(s.DedupSegments), int64(s.DedupRecordSegments)
	switch {
	case p.chance(.15): // one too far
		reach++
		reachRecords++
	case p.chance(.15): // not as far as it could
		reach = p.rng.Int64N(reach) + 1
	}
	w := max(p.w, r.At-s.OutOfOrderness.Milliseconds())
	return chain{
		event:   r,
		links:   links,
		segment: floorDiv(w, s.DedupSegment.Milliseconds()) + reach,
		records: p.offset/s.DedupRecords + reachRecords,
	}
}

// dueChain returns the event of a chain that is due, and plans its next coming.
func (p *producer) dueChain() (Record, bool) {
	segment, records := floorDiv(p.w, p.o.Settings.DedupSegment.Milliseconds()), p.offset/p.o.Settings.DedupRecords
	i := slices.IndexFunc(p.chains, func(c chain) bool { return segment >= c.segment || records >= c.records })
	if i < 0 {
		return Record{}, false
	}
	r, links := p.chains[i].event, p.chains[i].links-1
	if p.chance(.5) {
		r.At = p.recent()
	}
	p.chains = slices.Delete(p.chains, i, i+1)
	if links > 0 {
		p.chains = append(p.chains, p.link(r, links))
	}
	return p.repaint(r), true
}
