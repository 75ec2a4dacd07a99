package handlers_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// moods has an outlet delay or refuse messages at random.
func moods(rng *rand.Rand, o *outlet, delayMax time.Duration) {
	var mu sync.Mutex
	o.do(func(int, []*message.Message) error {
		mu.Lock()
		delay, fails := time.Duration(rng.Int64N(int64(delayMax))), rng.IntN(4) == 0
		mu.Unlock()
		<-time.After(delay)
		if fails {
			return errDown
		}
		return nil
	})
}

// TestCommit (invariant M): while publishers delay and refuse at random, and members come and go, nothing is committed as processed before
// its updates and dead letters have arrived; in the end, all is.
func TestCommit(t *testing.T) {
	for range 2 {
		rng := newRand(t, rand.Uint64()%1_000_000)
		w := newWorld(t, 2)
		moods(rand.New(rand.NewPCG(rng.Uint64(), 1)), w.updates, 20*time.Millisecond)
		moods(rand.New(rand.NewPCG(rng.Uint64(), 2)), w.letters, 10*time.Millisecond)
		few := options{intake: func(c *handlers.IntakeConfig) {
			c.FlushCells = 1 + rng.IntN(100)
			c.PendingCells = c.FlushCells + rng.IntN(100)
		}}
		m := w.start(few)
		w.produceInSteps(liveLogs(rng.Uint64(), 2, 1000), 8, func(int) {
			before := w.through()
			eventually(t, "some more is processed, or all", func() bool {
				w.checkDurable()
				now := w.through()
				return now[0] > before[0] || now[1] > before[1] || w.done()
			})
			if rng.IntN(4) == 0 {
				if err := m.stop(t); err != nil {
					t.Error(err)
				}
				w.checkDurable()
				m = w.start(few)
			}
		})
		w.awaitDone()
		w.checkDurable()
		t.Logf("%d dead letters came again", w.check())
	}
}

// TestReplay: after a restart, nothing is published before what was processed is folded again, and nothing
// of that; the log says how much it was.
func TestReplay(t *testing.T) {
	seed := newRand(t, rand.Uint64()%1_000_000).Uint64()
	w := newWorld(t, 1)
	m := w.start(options{})
	logs := liveLogs(seed, 1, 2000)
	w.produce([][]sim.Record{logs[0][:1000]})
	w.awaitDone()
	if err := m.stop(t); err != nil {
		t.Error(err)
	}
	before, _ := w.updates.count()
	through := w.through()[0]
	if n := len(w.log.find("replay")); n > 0 {
		t.Errorf("the first start logs %d lines on replays", n)
	}

	m = w.start(options{})
	w.produce([][]sim.Record{logs[0][1000:]})
	w.awaitDone()
	for _, u := range w.updates.all()[before:] {
		_, _, update, err := wire.DecodeUpdate(u.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if update.AsOf < through || update.AsOf == through && len(update.Cells) > 0 {
			t.Errorf("%d cells are published as of %d, after a replay through %d", len(update.Cells), update.AsOf, through)
		}
	}
	if repeats := w.check(); repeats > 0 {
		t.Errorf("%d dead letters came again", repeats)
	}
	var from, records int64
	lines := w.log.find("replay")
	if len(lines) != 2 || !strings.Contains(lines[0], "replaying: open panes and the seen event IDs are built up again") || !strings.HasPrefix(lines[1], "replayed ") {
		t.Fatalf("the log says %q", lines)
	}
	for field := range strings.FieldsSeq(strings.NewReplacer("map[", "", "]", "").Replace(lines[1])) {
		_, _ = fmt.Sscanf(field, "from:%d", &from)
		_, _ = fmt.Sscanf(field, "records:%d", &records)
	}
	if records == 0 || records != through-from+1 {
		t.Errorf("a replay from %d through %d: the log says %q", from, through, lines)
	}
	if got, _ := m.Decided(); got[1] != records {
		t.Errorf("decided %v, with a replay of %d records", got, records)
	}
}

// TestReplaySeen: what is replayed shows in Status; a member that leaves while it replays has published nothing, and changed no commit.
func TestReplaySeen(t *testing.T) {
	seed := newRand(t, rand.Uint64()%1_000_000).Uint64()
	w := newWorld(t, 1)
	m := w.start(options{})
	w.produce(liveLogs(seed, 1, 1000))
	w.awaitDone()
	if err := m.stop(t); err != nil {
		t.Error(err)
	}
	before, _ := w.updates.count()
	hold := make(chan struct{})
	once := sync.OnceFunc(func() { close(hold) })
	defer once()
	smallBatches := func(c *microbatch.SubscriberConfig) { c.BatchRecords = 10 } // so that there is a second one, however little is replayed
	m = w.start(options{subscriber: smallBatches, middleware: []message.HandlerMiddleware{func(h message.HandlerFunc) message.HandlerFunc {
		n := 0
		return func(msg *message.Message) ([]*message.Message, error) {
			if batch, err := microbatch.Open(msg.Payload); err != nil {
				t.Error(err)
			} else if batch.Count > 0 {
				if n++; n == 2 {
					<-hold
				}
			}
			return h(msg)
		}
	}}})
	eventually(t, "it replays", func() bool { s := m.Status(); return len(s) == 1 && s[0].Offset > 0 })
	if s := m.Status()[0]; !s.Replaying || s.ReplayThrough != 999 || s.ProcessedThrough != 999 || s.Offset >= 999 {
		t.Errorf("status %+v", s)
	}
	m.cancel()
	once()
	if err := m.stop(t); err != nil {
		t.Error(err)
	}
	if after, _ := w.updates.count(); after != before {
		t.Errorf("%d updates were published in a replay", after-before)
	}
	if through := w.through()[0]; through != 999 {
		t.Errorf("the commit says processed through %d", through)
	}
	w.start(options{})
	w.check()
}

// TestLeaving: what is left is published and committed when a member leaves, though it would not be time for that.
func TestLeaving(t *testing.T) {
	seed := newRand(t, rand.Uint64()%1_000_000).Uint64()
	w := newWorld(t, 2)
	m := w.start(options{intake: func(c *handlers.IntakeConfig) { c.FlushInterval = time.Hour }})
	w.produce(liveLogs(seed, 2, 500))
	eventually(t, "everything is counted", func() bool {
		s := m.Status()
		return len(s) == 2 && s[0].Offset == 499 && s[1].Offset == 499
	})
	if err := m.stop(t); err != nil {
		t.Error(err)
	}
	if through := w.through(); through[0] != 499 || through[1] != 499 {
		t.Errorf("committed as processed through %v", through)
	}
	if repeats := w.check(); repeats > 0 {
		t.Errorf("%d dead letters came again", repeats)
	}
}

// TestLeavingBlocked: a flush that is under way, or that a shard has refused, when a claim ends holds up nobody, and nothing
// comes of it later.
func TestLeavingBlocked(t *testing.T) {
	for name, fault := range map[string]func(release <-chan struct{}) error{
		"blocked": func(release <-chan struct{}) error { <-release; return nil },
		"refused": func(<-chan struct{}) error { return errDown },
	} {
		t.Run(name, func(t *testing.T) {
			seed := newRand(t, rand.Uint64()%1_000_000).Uint64()
			w := newWorld(t, 1)
			release := make(chan struct{})
			w.updates.do(func(_ int, messages []*message.Message) error {
				if toShard(messages) == "1" {
					return fault(release)
				}
				return nil
			})
			m := w.start(options{intake: func(c *handlers.IntakeConfig) { c.FlushInterval = time.Second }})
			w.produce(liveLogs(seed, 1, 500))
			eventually(t, "everything is counted, and flushed", func() bool {
				s := m.Status()
				return len(s) == 1 && s[0].Offset == 499 && receive(t, w.updates.all(), 1, 3).flushes[0] != nil
			})
			began := time.Now()
			if err := m.stop(t); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v to leave", took)
			}
			if through := w.through()[0]; through >= 0 {
				t.Errorf("committed as processed through %d", through)
			}
			close(release)
			w.updates.do(nil)
			w.start(options{})
			w.awaitDone()
			w.checkDurable()
			w.check()
		})
	}
}
