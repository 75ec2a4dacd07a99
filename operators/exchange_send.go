package operators

import (
	"math"
	"slices"

	"github.com/millrank/millrank/event"
)

// Sender is the sending side of a hop between two stages (an exchange, as the field
// calls a repartitioning operator). It keeps, for each partition of the next topic
// (a lane), which entries T changed since that lane was last given them, and it
// knows how far everything has arrived.
//
// Whoever carries a lane's messages keeps their order, and never repeats or overtakes
// one: a receiver takes parts out of order for a flush that is void. What may not have
// arrived is Failed, and sent anew as a whole, by the next flush.
//
// A flush gives each free lane what changed, in absolute values as of the input's
// last offset, and goes to every lane, even with nothing in it, since each receiver
// needs the sender's progress. A lane is not given a flush before the previous one
// was acknowledged there; what failed joins the next one. With each flush the
// checkpoint C is kept that holds as of its offset: it can be committed when all
// lanes have acknowledged that flush or a later one.
type Sender[T, C any] struct {
	lanes []lane[T]
	begun []begun[C] // flushes begun and of use yet, oldest first

	committed int64 // as-of of the checkpoint that Commit returned last

	// again is asked for an entry of a failed flush: it marks the entry as changed and
	// reports true, or false if it has changed since and is in the lane's list already.
	again func(T) bool
	// acked is told of an entry that one list of the lane no longer refers to.
	acked func(T)
}

type lane[T any] struct {
	changed []T
	flying  []T
	busy    bool  // flying has been given and not been acknowledged
	given   int64 // as-of of the flush last given
	arrived int64 // as-of of the flush last acknowledged
}

type begun[C any] struct {
	asOf       int64
	checkpoint C
}

// NewSender returns a sender to this many lanes, restored as of an offset: all that
// changed up to it has arrived.
func NewSender[T, C any](lanes int, asOf int64, again func(T) bool, acked func(T)) *Sender[T, C] {
	s := &Sender[T, C]{lanes: make([]lane[T], lanes), committed: math.MinInt64, again: again, acked: acked}
	for i := range s.lanes {
		s.lanes[i].given, s.lanes[i].arrived = asOf, asOf
	}
	return s
}

// Changed notes that an entry has changed. Its owner calls this once until the entry has been given.
func (s *Sender[T, C]) Changed(lane int, entry T) {
	s.lanes[lane].changed = append(s.lanes[lane].changed, entry)
}

// Pending returns how many entries wait to be given or acknowledged, over all lanes.
func (s *Sender[T, C]) Pending() int {
	n := 0
	for i := range s.lanes {
		n += len(s.lanes[i].changed) + len(s.lanes[i].flying)
	}
	return n
}

// Begin begins a flush as of an offset, with the checkpoint as of that offset, and
// calls give for each free lane with what changed. The entries are give's until it
// returns; it clears their marks. Begin reports false, and does nothing, when no lane is free.
func (s *Sender[T, C]) Begin(asOf int64, checkpoint C, give func(lane int, changed []T)) bool {
	free := 0
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.busy {
			continue
		}
		free++
		l.changed, l.flying = l.flying[:0], l.changed
		l.busy, l.given = true, asOf
		give(i, l.flying)
	}
	if free > 0 {
		s.remember(asOf, checkpoint)
	}
	return free > 0
}

// Acked notes that a lane has acknowledged the flush it was given.
func (s *Sender[T, C]) Acked(lane int) {
	l := &s.lanes[lane]
	if !l.busy {
		panic("operators: a lane acknowledged a flush that it was not given")
	}
	l.busy, l.arrived = false, l.given
	for _, entry := range l.flying {
		s.acked(entry)
	}
	clear(l.flying)
	l.flying = l.flying[:0]
}

// Failed notes that the flush a lane was given may not have arrived: its entries join the next one.
func (s *Sender[T, C]) Failed(lane int) {
	l := &s.lanes[lane]
	if !l.busy {
		panic("operators: a flush failed that its lane was not given")
	}
	l.busy = false
	for _, entry := range l.flying {
		if s.again(entry) {
			l.changed = append(l.changed, entry)
		} else {
			s.acked(entry)
		}
	}
	clear(l.flying)
	l.flying = l.flying[:0]
}

// Commit returns the checkpoint of the newest flush that has arrived everywhere and is
// as of limit or less, once: false when there is none newer than it returned before.
func (s *Sender[T, C]) Commit(limit int64) (checkpoint C, ok bool) {
	for i := range s.lanes {
		limit = min(limit, s.lanes[i].arrived)
	}
	for len(s.begun) > 0 && s.begun[0].asOf <= limit {
		checkpoint, ok = s.begun[0].checkpoint, true
		s.committed = s.begun[0].asOf
		s.begun = s.begun[1:]
	}
	return checkpoint, ok
}

// remember keeps a flush's checkpoint until it or a newer one is committed. When there
// are many, it forgets every other one that no lane waits for: only an as-of that some
// lane has been given can become the least of them, but a limit to Commit can stand anywhere.
func (s *Sender[T, C]) remember(asOf int64, checkpoint C) {
	if n := len(s.begun); asOf <= s.committed || n > 0 && s.begun[n-1].asOf == asOf {
		return
	}
	if len(s.begun) >= begunMax {
		odd := false
		s.begun = slices.DeleteFunc(s.begun, func(b begun[C]) bool {
			odd = !odd
			return odd && !s.waitsFor(b.asOf)
		})
	}
	s.begun = append(s.begun, begun[C]{asOf, checkpoint})
}

// begunMax is how many checkpoints are kept, but for two per lane: 17 minutes of flushes
// every 250 ms, in some 200 kB.
const begunMax = 4096

func (s *Sender[T, C]) waitsFor(asOf int64) bool {
	for i := range s.lanes {
		if l := &s.lanes[i]; l.given == asOf || l.arrived == asOf {
			return true
		}
	}
	return false
}

// Split cuts the entries of a flush into parts of at most sizeMax each by size, and of
// at least one entry; there is always one part, even of nothing. It calls part for
// each, with its head's Number and Last set.
func Split[T any](head event.Part, entries []T, sizeMax int, size func(*T) int, part func(event.Part, []T)) {
	head.Number, head.Last = 0, false
	from, sum := 0, 0
	for i := range entries {
		n := size(&entries[i])
		if i > from && sum+n > sizeMax {
			part(head, entries[from:i])
			head.Number++
			from, sum = i, 0
		}
		sum += n
	}
	head.Last = true
	part(head, entries[from:])
}
