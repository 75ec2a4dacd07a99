package watermark_test

import (
	"testing"

	"github.com/millrank/millrank/watermark"
)

func TestIdle(t *testing.T) {
	const timeout = 10
	idle := watermark.NewIdle(timeout, 100)
	for i, step := range []struct {
		name   string
		active bool
		now    int64
		logEnd int64
		quiet  int64
		idle   bool
	}{
		{name: "the first log end is news", now: 104, logEnd: 7},
		{name: "quiet, but not for long enough", now: 113, logEnd: 7},
		{name: "quiet for the timeout", now: 114, logEnd: 7, quiet: 10, idle: true},
		{name: "quiet for longer", now: 150, logEnd: 7, quiet: 46, idle: true},
		{name: "the log end moved, though nothing was delivered: a transaction's marker", now: 151, logEnd: 8},
		{name: "not yet again", now: 160, logEnd: 8},
		{name: "idle again", now: 161, logEnd: 8, quiet: 10, idle: true},
		{name: "records came, or a fetch failed", active: true, now: 162},
		{name: "not yet again", now: 171, logEnd: 8},
		{name: "idle again", now: 172, logEnd: 8, quiet: 10, idle: true},
		{name: "the clock went back: the wait starts again", now: 50, logEnd: 8},
		{name: "not yet again", now: 59, logEnd: 8},
		{name: "idle by the clock as it is now", now: 60, logEnd: 8, quiet: 10, idle: true},
		{name: "the log end went back: the topic was made anew", now: 61, logEnd: 0},
		{name: "idle again", now: 71, logEnd: 0, quiet: 10, idle: true},
	} {
		if step.active {
			idle.Active(step.now)
		} else {
			idle.Quiet(step.now, step.logEnd)
		}
		if quiet, is := idle.For(); quiet != step.quiet || is != step.idle {
			t.Errorf("step %d, %s: quiet for %d, idle %v; want %d, %v", i, step.name, quiet, is, step.quiet, step.idle)
		}
	}
}

// TestIdleNeverHadARecord is about a partition with an empty log.
func TestIdleNeverHadARecord(t *testing.T) {
	idle := watermark.NewIdle(10, 0)
	if _, is := idle.For(); is {
		t.Error("idle when it was assigned")
	}
	idle.Quiet(1, 0)
	idle.Quiet(11, 0)
	if quiet, is := idle.For(); quiet != 10 || !is {
		t.Errorf("quiet for %d, idle %v; want 10, true", quiet, is)
	}
}

// TestIdleAsOfTheLastNote: For says how it was as of the last note.
func TestIdleAsOfTheLastNote(t *testing.T) {
	idle := watermark.NewIdle(10, 0)
	idle.Quiet(0, 3)
	idle.Quiet(30, 3)
	for range 2 {
		if quiet, is := idle.For(); quiet != 30 || !is {
			t.Errorf("quiet for %d, idle %v; want 30, true", quiet, is)
		}
	}
}
