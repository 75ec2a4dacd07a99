package handlers_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// moody is a decoder that misbehaves when a value says so.
type moody struct{ event.Decoder }

// nothing is an error type whose nil pointer, in an error, panics when it is asked what it is.
type nothing struct{ text string }

func (n *nothing) Error() string { return n.text }

func (m moody) Decode(value []byte, e *event.Event) error {
	switch string(value) {
	case "panic":
		panic("so it is")
	case "nil error":
		var none *nothing
		return none
	case "index":
		return errors.New(string(value[len(value)+1:]))
	}
	return m.Decoder.Decode(value, e)
}

// moodily wraps a codec's decoders.
func moodily(c handlers.Codec) handlers.Codec {
	return handlers.Codec{Name: c.Name, New: func() event.Decoder { return moody{c.New()} }}
}

// TestDecoderPanics: the record becomes a dead letter, and those around it are counted.
func TestDecoderPanics(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) { c.Codec = moodily(c.Codec) })
	r.send(counted(1), malformed("panic"), counted(2), malformed("nil error"), counted(3), malformed("index"), counted(4))
	letters := parse(t, r.letters.all())
	if len(letters) != 3 {
		t.Fatalf("dead letters %+v", letters)
	}
	for i, says := range []string{"so it is", "nil pointer", "out of range"} {
		if l := letters[i]; l.Reason != event.Malformed || !strings.Contains(l.Error, "the decoder panicked: ") || !strings.Contains(l.Error, says) {
			t.Errorf("dead letter %d: %v, %q", i, l.Reason, l.Error)
		}
	}
	if got, _ := r.Decided(); got[event.Counted] != 4 || got[event.Malformed] != 3 {
		t.Errorf("decided %v", got)
	}
}

// TestPublisherPanics: it is an error of that publish, and neither ends the process nor the partition.
func TestPublisherPanics(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) { c.FlushInterval = 5 * time.Millisecond })
	once := func(call int, _ []*message.Message) error {
		if call == 1 {
			panic("no publisher today")
		}
		return nil
	}
	r.updates.do(once)
	r.letters.do(once)
	if err := r.Deduplicate(malformed("{")); !errors.Is(err, handlers.ErrRefused) {
		t.Errorf("dead letters whose publisher panics: %v", err)
	}
	r.send(malformed("{"), counted(1))
	eventually(t, "the updates are published", func() bool { return len(receive(t, r.updates.all(), 1, 3).cells[0]) == 1 })
	if len(r.log.find("no publisher today")) == 0 {
		t.Errorf("the log says nothing of it: %v", r.log.find(""))
	}
}

// TestClockPanics: wherever in the handlers there is a panic, no lock is held after it, and the next message is counted, or told why not.
func TestClockPanics(t *testing.T) {
	for reading := range 12 {
		var left atomic.Int64
		r := newRig(t, func(c *handlers.IntakeConfig) {
			now := c.Now
			c.Now = func() time.Time {
				if left.Load() > 0 && left.Add(-1) == 0 {
					panic("no time")
				}
				return now()
			}
		})
		left.Store(int64(reading))
		said := make(chan any, 1)
		for i := range 2 {
			go func() {
				var err error
				defer func() {
					if p := recover(); p != nil {
						said <- p
						return
					}
					said <- err
				}()
				err = r.Deduplicate(counted(i))
			}()
			within(t, fmt.Sprintf("message %d is answered, reading %d of the clock panicking", i, reading), said)
		}
		left.Store(0)
		status := make(chan int, 1)
		go func() { status <- len(r.Status()) }()
		within(t, "Status returns", status)
	}
}
