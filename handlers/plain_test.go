package handlers_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sim"
)

// router runs an Intake in a router of its own, on plain messages of a gochannel.
func router(t *testing.T, in *handlers.Intake, log watermill.LoggerAdapter) *gochannel.GoChannel {
	t.Helper()
	return routerWith(t, in, log, func(*message.Router) {})
}

func routerWith(t *testing.T, in *handlers.Intake, log watermill.LoggerAdapter, with func(*message.Router)) *gochannel.GoChannel {
	t.Helper()
	events := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	r, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, log)
	if err != nil {
		t.Fatal(err)
	}
	with(r)
	in.AddTo(r, "events", events)
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	within(t, "the router runs", r.Running())
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), within(t, "the router has ended", done), in.Close(), events.Close()); err != nil {
			t.Error(err)
		}
	})
	return events
}

// TestPlain: messages from a gochannel, with no Kafka anywhere, come out as the oracle says.
func TestPlain(t *testing.T) {
	seed := rand.Uint64() % 1_000_000
	t.Logf("seed %d", seed)
	clock, updates, letters := newClock(start), &outlet{}, &outlet{}
	c := testConfig(t, updates, letters)
	c.Now, c.FlushInterval = clock.Now, 5*time.Millisecond
	in, err := handlers.NewIntake(c)
	if err != nil {
		t.Fatal(err)
	}
	events := router(t, in, watermill.NopLogger{})
	log := liveLogs(seed, 1, 3000)[0]
	for _, r := range log {
		clock.set(r.Time)
		if err := events.Publish("events", plain(r)); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := sim.Decide(c.Settings, log)
	first := time.UnixMilli(start).UnixMicro()
	last := first + int64(len(log)) - 1
	eventually(t, "everything is flushed", func() bool { return receive(t, updates.all(), 1, c.Shards).asOf[0] >= last })
	compareCells(t, receive(t, updates.all(), 1, c.Shards).cells[0], sim.CellsOf(c.Settings, log, outcomes))
	compareLetters(t, parse(t, letters.all()), log, outcomes, first)
	got, conflicts := in.Decided()
	want, wantConflicts := decisions(outcomes)
	if got != want || conflicts != wantConflicts {
		t.Errorf("decided %v with %d conflicts, want %v with %d", got, conflicts, want, wantConflicts)
	}
	eventually(t, "the last flush is acknowledged", func() bool { return in.Status()[0].ProcessedThrough == last })
	status := in.Status()
	if len(status) != 1 || status[0].Offset != last || status[0].Watermark != outcomes[len(outcomes)-1].W {
		t.Errorf("status %+v, want offset %d, watermark %d", status, last, outcomes[len(outcomes)-1].W)
	}
}

// TestPlainLettersFail: when dead letters can't be published, the message is refused; when it comes again, it is the
// same record, also a late one, which would else be taken for its own duplicate.
func TestPlainLettersFail(t *testing.T) {
	r := newRig(t, nil)
	r.send(counted(1), punctuation(start))
	r.letters.do(func(call int, _ []*message.Message) error {
		if call%3 > 0 {
			return errDown
		}
		return nil
	})
	messages := []*message.Message{late(1), malformed("{"), counted(2), late(2)}
	for _, m := range messages {
		var err error
		for range 4 {
			if err = r.Deduplicate(m.Copy()); err == nil {
				break
			}
			if !errors.Is(err, handlers.ErrRefused) {
				t.Errorf("message %q: %v", m.Payload, err)
			}
		}
		if err != nil {
			t.Errorf("message %q: %v", m.Payload, err)
		}
	}
	got := parse(t, r.letters.all())
	if len(got) != 3 || got[0].Reason != event.Late || got[1].Reason != event.Malformed || got[2].Reason != event.Late {
		t.Errorf("dead letters %+v", got)
	}
	r.flush()
	cells := receive(t, r.updates.all(), 1, 3).cells[0]
	if len(cells) != 2 {
		t.Errorf("cells %v", cells)
	}
	for key, totals := range cells {
		if totals.Count != 1 || totals.Duplicates != 0 {
			t.Errorf("cell %v: %+v", key, totals)
		}
	}
	if got, _ := r.Decided(); got[event.Late] != 2 || got[event.Malformed] != 1 || got[event.Counted] != 2 {
		t.Errorf("decided %v", got)
	}
}

// TestPlainOthersBetween: between a refused message and its coming again, others come. It doesn't pile up.
func TestPlainOthersBetween(t *testing.T) {
	r := newRig(t, nil)
	r.send(counted(1), punctuation(start))
	var down atomic.Bool
	down.Store(true)
	r.letters.do(func(int, []*message.Message) error {
		if down.Load() {
			return errDown
		}
		return nil
	})
	first, second := late(1), malformed("{")
	for range 50 {
		for _, m := range []*message.Message{first, second} {
			if err := r.Deduplicate(m.Copy()); !errors.Is(err, handlers.ErrRefused) {
				t.Fatalf("message %q: %v", m.Payload, err)
			}
		}
	}
	down.Store(false)
	r.send(counted(2))
	if got := parse(t, r.letters.all()); len(got) != 2 || got[0].Reason != event.Late || got[1].Reason != event.Malformed {
		t.Errorf("%d dead letters: %+v", len(got), got)
	}
	r.send(second.Copy(), first.Copy())
	if s := r.Status()[0]; s.Offset-time.UnixMilli(start).UnixMicro() > 10 {
		t.Errorf("the last of 5 messages has offset %d", s.Offset)
	}
}

// TestPlainConcurrent: messages that come side by side are each counted once, refused ones included.
func TestPlainConcurrent(t *testing.T) {
	r := newRig(t, nil)
	rng := newRand(t, rand.Uint64())
	r.send(counted(0), punctuation(start))
	var fail sync.Mutex
	r.letters.do(func(int, []*message.Message) error {
		fail.Lock()
		defer fail.Unlock()
		if rng.IntN(2) == 0 {
			return errDown
		}
		return nil
	})
	const each = 200
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range each {
				m := counted(1 + g*each + i)
				if i%10 == 0 {
					m = late(g*each + i)
				}
				for attempt := 0; r.Deduplicate(m.Copy()) != nil; attempt++ {
					if attempt > 100 {
						t.Error("refused 100 times")
						return
					}
				}
			}
		})
	}
	all.Wait()
	r.flush()
	var n int64
	for _, totals := range receive(t, r.updates.all(), 1, 3).cells[0] {
		n += totals.Count
	}
	if n != 8*each*9/10+1 {
		t.Errorf("%d events counted, want %d", n, 8*each*9/10+1)
	}
	of := map[string]bool{}
	for _, l := range parse(t, r.letters.all()) {
		of[string(l.Value)] = true
	}
	if len(of) != 8*each/10 {
		t.Errorf("dead letters of %d messages, want %d", len(of), 8*each/10)
	}
}

// TestPlainClose: what is left is published when an Intake is closed. After that it takes nothing more, and leaves nothing running.
func TestPlainClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	updates := &outlet{}
	in, err := handlers.NewIntake(testConfig(t, updates, &outlet{}))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	subscribe(t.Context(), t, in.Link(), handlers.Deduplicated, in.Window)
	for i := range 10 {
		m := plain(sim.Record{EventID: string(rune('a' + i)), Item: "item", Dims: []string{"eu"}, At: now.UnixMilli(), Value: 1})
		if err := in.Deduplicate(m); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	var n int64
	for _, totals := range receive(t, updates.all(), 1, 3).cells[0] {
		n += totals.Count
	}
	if n != 10 {
		t.Errorf("%d of 10 events were published", n)
	}
	if err := in.Deduplicate(malformed("{")); err == nil {
		t.Error("it takes messages after Close")
	}
	if status := in.Status(); len(status) > 0 {
		t.Errorf("after Close it has %+v", status)
	}
}

// TestPlainPunctuation: a punctuation is a message without a payload, with metadata.
func TestPlainPunctuation(t *testing.T) {
	r := newRig(t, nil)
	r.send(counted(1))
	for _, text := range []string{"1709043540000", "2024-02-27T14:19:00Z", "2024-02-27T15:19:00.000+01:00"} {
		m := message.NewMessage("", nil)
		m.Metadata.Set(handlers.AdvanceWatermark, text)
		r.send(m)
	}
	if w := r.Status()[0].Watermark; w != 1709043540000 {
		t.Errorf("the watermark is %d", w)
	}
	for _, text := range []string{"", "soon", "1e9", "99999999999999999999"} {
		m := message.NewMessage("", nil)
		m.Metadata.Set(handlers.AdvanceWatermark, text)
		r.send(m)
	}
	future := message.NewMessage("", nil)
	future.Metadata.Set(handlers.AdvanceWatermark, "2099-01-01T00:00:00Z")
	event := counted(2)
	event.Metadata.Set(handlers.AdvanceWatermark, "2099-01-01T00:00:00Z") // it has a payload: it is an event
	r.send(future, event)
	letters := parse(t, r.letters.all())
	if len(letters) != 5 {
		t.Fatalf("dead letters %+v", letters)
	}
	for i, l := range letters {
		want := "neither RFC 3339 nor Unix milliseconds"
		if i == 4 {
			want = "ahead of the Kafka record's"
		}
		if !strings.Contains(l.Error, want) || l.Value != nil {
			t.Errorf("dead letter %d: %q with %q", i, l.Error, l.Value)
		}
	}
}

// TestPlainIdle: a source that sends nothing is idle; one whose message waits for its dead letter is not, however long that takes.
func TestPlainIdle(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) {
		c.Now, c.FlushInterval, c.IdleTimeout = time.Now, 2*time.Millisecond, 40*time.Millisecond
	})
	idle := func() bool { return r.Status()[0].Idle }
	r.send(counted(1))
	eventually(t, "it is idle", idle)
	for name, fault := range map[string]func(<-chan struct{}) error{
		"blocked": func(release <-chan struct{}) error { <-release; return nil },
		"refused": func(release <-chan struct{}) error {
			select {
			case <-release:
				return nil
			default:
				return errDown
			}
		},
	} {
		release := make(chan struct{})
		r.letters.do(func(int, []*message.Message) error { return fault(release) })
		done := make(chan error, 1)
		m := malformed("{")
		go func() {
			err := r.Deduplicate(m.Copy())
			for ; errors.Is(err, handlers.ErrRefused); err = r.Deduplicate(m.Copy()) {
				<-time.After(20 * time.Millisecond) // as a broker would
			}
			done <- err
		}()
		eventually(t, "it is active", func() bool { return !idle() })
		for began := time.Now(); time.Since(began) < 150*time.Millisecond; <-time.After(time.Millisecond) {
			if idle() {
				t.Errorf("%s: it is idle while a message waits", name)
				break
			}
		}
		close(release)
		if err := within(t, "the message is handled", done); err != nil {
			t.Error(err)
		}
		eventually(t, "it is idle again", idle)
	}
}
