package chain

import (
	"math"

	"github.com/millrank/millrank/event"
)

// hearing is what one partition of a topic between two stages says to whoever hears all of it once, in order: docs/spec/rank.py, Rule 2 and the closing of
// Rule 4. A receiver that was restarted any number of times must have come to the same.
type hearing[C any] struct {
	reviseFor int64 // -1: what has closed is kept until all sources have dropped it
	sources   []heard
	flying    map[flyer]*flight[C]

	closed, dropped []int64 // the closing watermark, and dropped-through, after each message
}

// heard is what is known of a source.
type heard struct {
	asOf            int64 // math.MinInt64 before anything came
	first           int64 // offset of the flush that says all that is known
	closed, dropped int64
	idle            bool
	idleFor         int64
}

type flyer struct {
	source      int
	incarnation uint64
}

type flight[C any] struct {
	asOf, first int64
	parts       int
	content     []C
}

func newHearing[C any](sources int, reviseFor int64) *hearing[C] {
	h := &hearing[C]{reviseFor: reviseFor, sources: make([]heard, sources), flying: map[flyer]*flight[C]{}}
	for i := range h.sources {
		h.sources[i].asOf = math.MinInt64
	}
	return h
}

// hear takes the message at offset x, and returns the flush that it makes whole, if that is newer than what came before.
// Advance must follow, when that has been applied.
func (h *hearing[C]) hear(x int64, part event.Part, content []C) (whole *flight[C], fresh bool) {
	key := flyer{part.Source, part.Incarnation}
	if part.Number == 0 {
		h.flying[key] = &flight[C]{asOf: part.AsOf, first: x}
	}
	f := h.flying[key]
	if f == nil || f.asOf != part.AsOf || f.parts != part.Number {
		return nil, false
	}
	f.parts++
	f.content = append(f.content, content...)
	if !part.Last {
		return nil, false
	}
	delete(h.flying, key)
	s := &h.sources[part.Source]
	switch {
	case part.AsOf > s.asOf:
		*s = heard{part.AsOf, f.first, part.ClosedThrough, part.DroppedThrough, part.Idle, part.IdleFor}
		h.void(part.Source)
		return f, true
	case part.AsOf == s.asOf:
		if part.IdleFor >= s.idleFor {
			s.first = f.first
			h.void(part.Source)
		}
		s.idle, s.idleFor = part.Idle, max(s.idleFor, part.IdleFor)
		return f, false
	}
	return nil, false
}

// void forgets what flies and has been overtaken.
func (h *hearing[C]) void(source int) {
	for key, f := range h.flying {
		if key.source == source && f.asOf <= h.sources[source].asOf {
			delete(h.flying, key)
		}
	}
}

// now returns the closing watermark and dropped-through.
func (h *hearing[C]) now() (closed, dropped int64) {
	if n := len(h.closed); n > 0 {
		return h.closed[n-1], h.dropped[n-1]
	}
	return event.NoTime, event.NoTime
}

// advance notes how far time has come after a message. Only a whole flush moves it.
func (h *hearing[C]) advance(whole bool) {
	closed, dropped := h.now()
	if whole {
		live, quiet, drop := int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64)
		heardAll := true
		for _, s := range h.sources {
			switch {
			case s.asOf == math.MinInt64:
				heardAll = false
			case !s.idle:
				live = min(live, s.closed)
			case s.closed != event.NoTime:
				quiet = min(quiet, s.closed+s.idleFor)
			}
			drop = min(drop, s.dropped)
		}
		if heardAll {
			if live == math.MaxInt64 {
				live = quiet
			}
			if live != math.MaxInt64 {
				closed = max(closed, live)
			}
			dropped = max(dropped, drop)
			if h.reviseFor >= 0 && closed != event.NoTime {
				dropped = max(dropped, closed-h.reviseFor)
			}
		}
	}
	h.closed, h.dropped = append(h.closed, closed), append(h.dropped, dropped)
}

// low returns where a restart must begin as of message x, the last one, as far as sources and flushes go.
func (h *hearing[C]) low(x int64) int64 {
	low := x + 1
	for _, s := range h.sources {
		if s.asOf != math.MinInt64 {
			low = min(low, s.first)
		}
	}
	for _, f := range h.flying {
		low = min(low, f.first)
	}
	return low
}
