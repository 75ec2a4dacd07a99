package operators

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/watermark"
)

// Receiver is the receiving side of a hop between two stages, for one partition of
// the topic between them. Messages come as they stand in its log: flushes of several
// senders mixed, split into parts, repeated, and mixed part by part with what a
// zombie of the same sender still writes. The receiver gathers the parts of each
// (source, incarnation) and hands out a flush in whole, when its last part is there and
// its as-of is newer than what it has of that source. Cells of a flush at the same as-of
// are ignored: it is a heartbeat, or the same again.
//
// It also keeps time: the closing watermark and dropped-through over its sources. And
// it knows its part of the low-water: where the log must be read again from, so that
// all of this comes out the same.
type Receiver[C any] struct {
	sources  []receiving[C]
	progress []watermark.Source // one per source, in the same order
	closing  watermark.Closing
	at       int64 // offset of the last message
	replayTo int64 // up to here, a restart replays: the closing watermark stands as stored
}

// receiving is what a receiver keeps of one source.
type receiving[C any] struct {
	asOf   int64          // greatest as-of taken in
	first  int64          // log offset of the first part of the last flush that told all there is to know of it
	flying []gathering[C] // flushes not yet whole: one per incarnation, seldom more than one
}

type gathering[C any] struct {
	incarnation uint64
	asOf        int64
	first       int64 // log offset of its first part
	parts       []C
}

// Flush is a flush taken in whole.
type Flush[C any] struct {
	Source int
	AsOf   int64
	First  int64 // log offset of its first part
	Parts  []C
}

// Resume is what a receiving stage commits with its low-water, and is restored from.
type Resume struct {
	LowWater         int64 // first offset of the log to read again
	PublishedThrough int64 // offset through which everything was published and acknowledged
	ClosedThrough    int64 // the closing watermark as of PublishedThrough, or event.NoTime
	DroppedThrough   int64 // as of PublishedThrough, or event.NoTime
}

// ResumeAt returns the start of a log whose first offset is the given one.
func ResumeAt(offset int64) Resume {
	return Resume{LowWater: offset, PublishedThrough: offset - 1, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime}
}

// NewReceiver returns a receiver from this many sources. reviseFor is in milliseconds,
// or watermark.KeepFinal.
func NewReceiver[C any](sources int, reviseFor int64, from Resume) *Receiver[C] {
	r := &Receiver[C]{
		sources: make([]receiving[C], sources), progress: make([]watermark.Source, sources),
		closing: watermark.NewClosing(reviseFor, from.ClosedThrough, from.DroppedThrough),
		at:      from.LowWater - 1, replayTo: from.PublishedThrough,
	}
	for i := range r.sources {
		r.sources[i].asOf, r.sources[i].first = math.MinInt64, math.MaxInt64
	}
	return r
}

// Took is what came of a message.
type Took uint8

const (
	// Partial: the flush isn't whole yet, or what came is void.
	Partial Took = iota
	// Same: a whole flush at the as-of that the receiver has already. It can have moved time.
	Same
	// Fresh: a whole flush with newer values.
	Fresh
)

// Take takes in the message at an offset of the log. Offsets only grow; one that was
// taken before is ignored. With Fresh it returns the flush, which the caller applies before it
// calls Advance; with Same it calls Advance alone. An error means that the message
// isn't from the exchange this receiver was made for.
func (r *Receiver[C]) Take(at int64, part event.Part, content C) (Flush[C], Took, error) {
	if part.Source < 0 || part.Source >= len(r.sources) {
		return Flush[C]{}, Partial, fmt.Errorf("offset %d: a part from source %d, but there are %d sources: the number of partitions has changed; start a new generation", at, part.Source, len(r.sources))
	}
	if at <= r.at {
		return Flush[C]{}, Partial, nil
	}
	r.at = at
	s := &r.sources[part.Source]
	whole, ok := s.gather(at, part, content)
	if !ok || part.AsOf < s.asOf {
		return Flush[C]{}, Partial, nil
	}
	progress := &r.progress[part.Source]
	if part.AsOf == s.asOf {
		// It says all there is to know of the source, so it will do for a restart: else a
		// source that stays idle would hold the low-water back for good.
		if part.IdleFor >= progress.IdleFor {
			s.settle(part.AsOf, whole.first)
		}
		progress.Idle, progress.IdleFor = part.Idle, max(progress.IdleFor, part.IdleFor)
		return Flush[C]{}, Same, nil
	}
	s.settle(part.AsOf, whole.first)
	*progress = watermark.Source{
		Heard: true, ClosedThrough: part.ClosedThrough, DroppedThrough: part.DroppedThrough,
		Idle: part.Idle, IdleFor: part.IdleFor,
	}
	return Flush[C]{Source: part.Source, AsOf: part.AsOf, First: whole.first, Parts: whole.parts}, Fresh, nil
}

// settle notes the flush, whole, that says what the receiver knows of the source, and
// voids what is still being gathered as of then or before.
func (s *receiving[C]) settle(asOf, first int64) {
	s.asOf, s.first = asOf, first
	s.flying = slices.DeleteFunc(s.flying, func(g gathering[C]) bool { return g.asOf <= asOf })
}

// gather adds a part to its flush, and returns the flush when it is whole. A first
// part begins its incarnation's flush anew; any other that doesn't follow the last one
// belongs to a flush that is void.
func (s *receiving[C]) gather(at int64, part event.Part, content C) (gathering[C], bool) {
	i := slices.IndexFunc(s.flying, func(g gathering[C]) bool { return g.incarnation == part.Incarnation })
	if part.Number == 0 {
		if i < 0 {
			i = len(s.flying)
			s.flying = append(s.flying, gathering[C]{})
		}
		s.flying[i] = gathering[C]{incarnation: part.Incarnation, asOf: part.AsOf, first: at}
	}
	if i < 0 || s.flying[i].asOf != part.AsOf || len(s.flying[i].parts) != part.Number {
		return gathering[C]{}, false
	}
	s.flying[i].parts = append(s.flying[i].parts, content)
	if !part.Last {
		return gathering[C]{}, false
	}
	whole := s.flying[i]
	s.flying = slices.Delete(s.flying, i, i+1)
	return whole, true
}

// Advance moves the closing watermark, and reports whether anything moved. In a replay
// it stands as stored, since a stale message may be met there before the newer one that voided it.
func (r *Receiver[C]) Advance() bool { return !r.Replaying() && r.closing.Advance(r.progress) }

// Replaying reports whether the last message lies at or below what was published before the restart.
func (r *Receiver[C]) Replaying() bool { return r.at <= r.replayTo }

// At returns the offset of the last message taken.
func (r *Receiver[C]) At() int64 { return r.at }

// ClosedThrough returns the closing watermark, or event.NoTime.
func (r *Receiver[C]) ClosedThrough() int64 { return r.closing.ClosedThrough() }

// DroppedThrough returns how far what has closed is dropped, or event.NoTime.
func (r *Receiver[C]) DroppedThrough() int64 { return r.closing.DroppedThrough() }

// Front returns the greatest watermark of any source, or event.NoTime: how far event
// time has come somewhere.
func (r *Receiver[C]) Front() int64 {
	front := event.NoTime
	for i := range r.progress {
		if r.progress[i].Heard {
			front = max(front, r.progress[i].ClosedThrough)
		}
	}
	return front
}

// Resume returns the checkpoint as of the last message, where kept is the least first
// offset of what the caller keeps (math.MaxInt64 where it keeps nothing). The low-water is the
// least of: the next offset, kept, the first part of each source's newest flush, and
// the first part of each flush still being gathered.
func (r *Receiver[C]) Resume(kept int64) Resume {
	low := min(r.at+1, kept)
	for i := range r.sources {
		low = min(low, r.sources[i].first)
		for _, g := range r.sources[i].flying {
			low = min(low, g.first)
		}
	}
	return Resume{LowWater: low, PublishedThrough: r.at, ClosedThrough: r.ClosedThrough(), DroppedThrough: r.DroppedThrough()}
}
