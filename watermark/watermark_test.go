package watermark_test

import (
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/watermark"
)

const none = event.NoTime

func TestPartition(t *testing.T) {
	p := watermark.NewPartition(5, none)
	if p.Time() != none {
		t.Errorf("W is %d before the first record, want none", p.Time())
	}
	for i, step := range []struct {
		name    string
		advance bool // a punctuation
		at      int64
		w       int64
		moved   bool
	}{
		{name: "an event moves it to its time minus the bound", at: 0, w: -5, moved: true},
		{name: "a newer one moves it on", at: 100, w: 95, moved: true},
		{name: "the same time again moves nothing", at: 100, w: 95},
		{name: "an older one moves nothing back", at: 3, w: 95},
		{name: "a punctuation counts as it is, without the bound", advance: true, at: 96, w: 96, moved: true},
		{name: "an older punctuation moves nothing back", advance: true, at: 50, w: 96},
		{name: "an event must pass the punctuation by the bound", at: 101, w: 96},
		{name: "and then moves it", at: 102, w: 97, moved: true},
	} {
		move := p.Observe
		if step.advance {
			move = p.Advance
		}
		if moved := move(step.at); moved != step.moved || p.Time() != step.w {
			t.Errorf("step %d, %s: W is %d, moved %v; want %d, %v", i, step.name, p.Time(), moved, step.w, step.moved)
		}
	}
}

func TestPartitionGoesOnFromWhereItStood(t *testing.T) {
	p := watermark.NewPartition(5, 40)
	if p.Observe(45) || p.Time() != 40 {
		t.Errorf("W is %d after an event at its own edge, want 40 as it was stored", p.Time())
	}
}

func TestFuture(t *testing.T) {
	for _, c := range []struct {
		name                string
		at, record, aheadBy int64
		want                bool
	}{
		{"as far ahead as is allowed", 160, 100, 60, false},
		{"a millisecond further", 161, 100, 60, true},
		{"long past", -1 << 50, 100, 60, false},
		{"no lead allowed, and none taken", 100, 100, 0, false},
		{"no lead allowed", 101, 100, 0, true},
	} {
		if got := watermark.Future(c.at, c.record, c.aheadBy); got != c.want {
			t.Errorf("%s: Future(%d, %d, %d) = %v, want %v", c.name, c.at, c.record, c.aheadBy, got, c.want)
		}
	}
}
