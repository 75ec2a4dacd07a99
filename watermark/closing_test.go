package watermark_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrank/millrank/watermark"
)

// A source partition's closed-through and dropped-through are both its W.

func live(w int64) watermark.Source {
	return watermark.Source{Heard: true, ClosedThrough: w, DroppedThrough: w}
}

func idle(w, quiet int64) watermark.Source {
	return watermark.Source{Heard: true, ClosedThrough: w, DroppedThrough: w, Idle: true, IdleFor: quiet}
}

// unheard is what a receiver has of a source before the first flush.
var unheard = watermark.Source{}

func TestClosing(t *testing.T) {
	type step struct {
		sources         []watermark.Source
		closed, dropped int64
	}
	of := func(sources ...watermark.Source) []watermark.Source { return sources }
	const keep = watermark.KeepFinal
	for _, c := range []struct {
		name      string
		reviseFor int64
		steps     []step
	}{
		{"one source", keep, []step{{of(live(10)), 10, 10}}},
		{"the least of several", keep, []step{{of(live(10), live(7), live(9)), 7, 7}}},
		{"one not heard from holds closing back, and dropping", 2, []step{
			{of(live(10), unheard), none, none},
			{of(live(20), unheard), none, none},
			{of(idle(20, 500), unheard), none, none},
			{of(idle(20, 500), live(15)), 15, 15},
		}},
		{"a live one without a watermark holds closing back", keep, []step{{of(live(10), live(none)), none, none}}},
		{"an idle one doesn't hold closing back, but dropping", keep, []step{{of(live(10), idle(3, 5)), 10, 3}}},
		{"an idle one's quiet doesn't count beside a live one", keep, []step{{of(live(10), idle(3, 5000)), 10, 3}}},
		{"an idle one without a watermark", keep, []step{{of(live(10), idle(none, 5)), 10, none}}},
		{"all idle: the clock's speed, from where each stands", keep, []step{{of(idle(10, 5), idle(3, 20)), 15, 3}}},
		{"all idle: one without a watermark has no say", keep, []step{{of(idle(10, 5), idle(none, 1)), 15, none}}},
		{"all idle: none has a watermark", 2, []step{{of(idle(none, 5), idle(none, 900)), none, none}}},
		{"one that wakes doesn't take it back", keep, []step{
			{of(live(10), idle(3, 5)), 10, 3},
			{of(live(12), live(4)), 10, 4},
			{of(live(12), live(11)), 11, 11},
		}},
		{"all idle, then live: it waits until they have caught up", keep, []step{
			{of(idle(10, 50)), 60, 10},
			{of(live(11)), 60, 11},
			{of(live(61)), 61, 61},
		}},
		{"what has closed is dropped after reviseFor", 100, []step{
			{of(live(10), idle(3, 5)), 10, 3},
			{of(live(102), idle(3, 5)), 102, 3},
			{of(live(104), idle(3, 5)), 104, 4},
			{of(live(104), idle(none, 5)), 104, 4},
		}},
		{"or at once, when reviseFor is 0", 0, []step{{of(live(10), idle(3, 5)), 10, 10}}},
		{"shards: what they have closed, and what they have dropped", keep, []step{{of(
			watermark.Source{Heard: true, ClosedThrough: 10, DroppedThrough: 2},
			watermark.Source{Heard: true, ClosedThrough: 8, DroppedThrough: 3},
		), 8, 2}}},
	} {
		closing := watermark.NewClosing(c.reviseFor, none, none)
		for i, s := range c.steps {
			closed, dropped := closing.ClosedThrough(), closing.DroppedThrough()
			moved := closing.Advance(s.sources)
			if closing.ClosedThrough() != s.closed || closing.DroppedThrough() != s.dropped {
				t.Errorf("%s, step %d: closed through %d, dropped through %d; want %d, %d", c.name, i, closing.ClosedThrough(), closing.DroppedThrough(), s.closed, s.dropped)
			}
			if want := closed != s.closed || dropped != s.dropped; moved != want {
				t.Errorf("%s, step %d: moved %v, want %v", c.name, i, moved, want)
			}
		}
	}
}

func TestClosingGoesOnFromWhereItStood(t *testing.T) {
	closing := watermark.NewClosing(watermark.KeepFinal, 50, 40)
	if closing.Advance([]watermark.Source{live(10)}) || closing.ClosedThrough() != 50 || closing.DroppedThrough() != 40 {
		t.Errorf("closed through %d, dropped through %d; want 50, 40 as stored", closing.ClosedThrough(), closing.DroppedThrough())
	}
}

// TestClosingNeverGoesBack gives it any progress, in any order. What is dropped has closed before.
func TestClosingNeverGoesBack(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		closing := watermark.NewClosing(rng.Int64N(30)-1, none, none)
		sources := make([]watermark.Source, 1+rng.IntN(3))
		for range 100 {
			w := rng.Int64N(100)
			switch i := rng.IntN(len(sources)); rng.IntN(4) {
			case 0:
				sources[i] = idle(w, rng.Int64N(50))
			case 1:
				sources[i] = live(none)
			default:
				sources[i] = live(w)
			}
			closed, dropped := closing.ClosedThrough(), closing.DroppedThrough()
			moved := closing.Advance(sources)
			nowClosed, nowDropped := closing.ClosedThrough(), closing.DroppedThrough()
			if nowClosed < closed || nowDropped < dropped || nowDropped > nowClosed || moved != (nowClosed > closed || nowDropped > dropped) {
				t.Fatalf("seed %d: from (%d, %d) to (%d, %d), moved %v, by %+v", seed, closed, dropped, nowClosed, nowDropped, moved, sources)
			}
		}
	}
}
