package handlers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// manual is an Intake whose windower is the test.
type manual struct {
	*rig
	windower <-chan *message.Message
	answers  chan error
}

func newManual(t *testing.T) *manual {
	t.Helper()
	r := &rig{t: t, clock: newClock(start), updates: &outlet{}, letters: &outlet{}, log: newLogbook()}
	r.config = testConfig(t, r.updates, r.letters)
	r.config.Now, r.config.Logger = r.clock.Now, r.log
	var err error
	if r.Intake, err = handlers.NewIntake(r.config); err != nil {
		t.Fatal(err)
	}
	m := &manual{rig: r, answers: make(chan error, 1)}
	if m.windower, err = r.Link().Subscribe(t.Context(), handlers.Deduplicated); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// begin has a message deduplicated, and returns what the windower gets.
func (m *manual) begin(ctx context.Context, msg *message.Message) *message.Message {
	m.t.Helper()
	msg = msg.Copy()
	msg.SetContext(ctx)
	go func() { m.answers <- m.Deduplicate(msg) }()
	return within(m.t, "the windower gets a message", m.windower)
}

// end has it counted, acknowledges it, and returns what Deduplicate returns.
func (m *manual) end(next *message.Message) error {
	m.t.Helper()
	if err := m.Window(next); err != nil {
		next.Nack()
		return errors.Join(err, within(m.t, "Deduplicate returns", m.answers))
	}
	next.Ack()
	return within(m.t, "Deduplicate returns", m.answers)
}

// TestWindowBehind: the windower comes to a message when that has been given up, has come again, and the
// one after it is on its way (a middleware held it up, and another one limits the time). It must not take the one for the other.
func TestWindowBehind(t *testing.T) {
	m := newManual(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := counted(1)
	behind := m.begin(ctx, first)
	cancel()
	if err := within(t, "Deduplicate gives up", m.answers); !errors.Is(err, context.Canceled) {
		t.Errorf("the message that was given up: %v", err)
	}
	if err := m.end(m.begin(t.Context(), first)); err != nil {
		t.Fatal(err)
	}
	next := m.begin(t.Context(), malformed("{"))
	if err := m.Window(behind); err == nil {
		t.Error("a message that was given up is counted")
	}
	if err := m.end(next); err != nil {
		t.Fatal(err)
	}
	if letters := parse(t, m.letters.all()); len(letters) != 1 || letters[0].Reason != event.Malformed {
		t.Errorf("dead letters %+v", letters)
	}
	if got, _ := m.Decided(); got[event.Counted] != 1 || got[event.Malformed] != 1 {
		t.Errorf("decided %v", got)
	}
}

// TestWindowAgain: Window is tried again by a middleware of its own.
func TestWindowAgain(t *testing.T) {
	m := newManual(t)
	m.letters.do(func(call int, _ []*message.Message) error {
		if call == 1 {
			return errDown
		}
		return nil
	})
	next := m.begin(t.Context(), malformed("{"))
	if err := m.Window(next); !errors.Is(err, errDown) {
		t.Errorf("dead letters that can't be published: %v", err)
	}
	if err := m.end(next); err != nil {
		t.Error(err)
	}
	if letters, calls := m.letters.count(); letters != 1 || calls != 2 {
		t.Errorf("%d dead letters in %d calls", letters, calls)
	}
}

// TestWindowForeign: a message that did not come through the link is refused.
func TestWindowForeign(t *testing.T) {
	m := newManual(t)
	if err := m.Window(counted(1)); err == nil {
		t.Error("it is counted")
	}
}

// TestMetadataApart: middleware of the two handlers may run side by side, when a message is given up. Each
// writes into metadata of its own.
func TestMetadataApart(t *testing.T) {
	m := newManual(t)
	msg := counted(1)
	msg.Metadata.Set("trace", "7")
	ctx, cancel := context.WithCancel(t.Context())
	msg.SetContext(ctx)
	go func() { m.answers <- m.Deduplicate(msg) }()
	next := within(t, "the windower gets it", m.windower)
	cancel()
	if err := within(t, "Deduplicate gives up", m.answers); err == nil {
		t.Error("it did not give up")
	}
	if next.Metadata.Get("trace") != "7" {
		t.Errorf("the windower sees %v", next.Metadata)
	}
	next.Metadata.Set("windower", "1")
	if msg.Metadata.Get("windower") != "" {
		t.Error("what the windower's middleware sets is set in deduplicate's message")
	}
}
