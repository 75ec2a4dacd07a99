package handlers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// TestPause: when most records of a partition are no events, it is read no further, until a probe is fine. Late events don't count, and nothing is lost.
func TestPause(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) {
		c.DeadLetterShare, c.DeadLetterMin, c.DeadLetterPause = 0.5, 4, time.Minute
	})
	decided := func(d event.Decision) int64 {
		all, _ := r.Decided()
		return all[d]
	}
	refused := func(m *message.Message) {
		t.Helper()
		if err := r.Deduplicate(m); err == nil {
			t.Fatalf("message %q was taken, though reading pauses", m.Payload)
		}
	}
	// Half of them is not more than half; and late ones are fine, however many.
	r.send(counted(1), malformed("1"), counted(2), malformed("2"))
	r.send(punctuation(start), late(1), late(2), late(3), late(4), late(5), late(6), late(7))
	r.send(malformed("3"), malformed("4"), malformed("5"), counted(3))
	if got := decided(event.Malformed); got != 5 {
		t.Fatalf("%d malformed, want 5", got)
	}
	refused(malformed("6"))
	refused(counted(4))
	if s := r.Status()[0]; s.PausedUntil.IsZero() {
		t.Error("the status doesn't say that reading pauses")
	}
	// The pause is over: one goes through, and is bad.
	r.clock.add(time.Minute)
	r.send(malformed("6"))
	refused(counted(4))
	// The next probe is fine.
	r.clock.add(time.Minute)
	r.send(counted(4), counted(5), counted(6))
	if s := r.Status()[0]; !s.PausedUntil.IsZero() {
		t.Error("the status still says that reading pauses")
	}
	if got, letters := decided(event.Counted), len(parse(t, r.letters.all())); got != 6 || letters != 13 {
		t.Errorf("%d counted and %d dead letters, want 6 and 13", got, letters)
	}
	if n := len(r.log.find("pauses: too many records")); n != 2 {
		t.Errorf("%d lines in the log say that reading pauses, want 2", n)
	}
}

// TestNoPause: without the setting, whatever comes is read.
func TestNoPause(t *testing.T) {
	r := newRig(t, nil)
	for i := range 5000 {
		r.send(malformed(fmt.Sprint(i)))
	}
	if all, _ := r.Decided(); all[event.Malformed] != 5000 {
		t.Errorf("%d malformed, want 5000", all[event.Malformed])
	}
}
