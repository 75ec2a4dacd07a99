package operators

// Held returns how many panes are open, and how many sightings of event IDs are remembered, of which the newest of each ID counts.
func (p *Partition) Held() (panes, sightings int) {
	return len(p.panes.open), int(p.dedup.sightings.len())
}

// HeldBackBy returns which source partition holds the closing watermark back: one that was never heard from, else the one with the least
// watermark of those that are not idle. -1: all are idle.
func (r *Rank) HeldBackBy() int { return r.in.heldBackBy() }

func (r *Receiver[C]) heldBackBy() int {
	least := -1
	for i := range r.progress {
		s := &r.progress[i]
		switch {
		case !s.Heard:
			return i
		case !s.Idle && (least < 0 || s.ClosedThrough < r.progress[least].ClosedThrough):
			least = i
		}
	}
	return least
}
