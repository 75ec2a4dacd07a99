package handlers_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	sarama := goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick") // one for the process
	goleak.VerifyTestMain(m, sarama, routerLeak())
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it took more than %v until %s", patience, what)
		}
	}
}

// within returns what comes out of a channel; the test fails when nothing comes.
func within[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("it took more than %v until %s", patience, what)
		panic("not reached")
	}
}

// newRand returns a source of randomness, and prints its seed.
func newRand(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// clock is a wall clock that stands still unless it is told to go on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(ms int64) *clock { return &clock{now: time.UnixMilli(ms)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = time.UnixMilli(ms)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var errDown = errors.New("the broker is down")

// outlet is a Publisher that keeps what it is given, and can fail or block before.
type outlet struct {
	mu       sync.Mutex
	messages []*message.Message
	calls    int
	before   func(call int, messages []*message.Message) error
}

func (o *outlet) Publish(_ string, messages ...*message.Message) error {
	o.mu.Lock()
	o.calls++
	call, before := o.calls, o.before
	o.mu.Unlock()
	if before != nil {
		if err := before(call, messages); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, messages...)
	return nil
}

func (o *outlet) Close() error { return nil }

// do sets what happens before messages are taken in.
func (o *outlet) do(before func(call int, messages []*message.Message) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.before = before
}

func (o *outlet) count() (messages, calls int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.messages), o.calls
}

func (o *outlet) all() []*message.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*message.Message(nil), o.messages...)
}

// logbook is a Watermill logger that keeps what is logged above Debug, one line each.
type logbook struct {
	*pages
	fields watermill.LogFields
}

type pages struct {
	mu    sync.Mutex
	lines []string
}

func newLogbook() logbook { return logbook{&pages{}, nil} }

func (l logbook) write(msg string, err error, fields watermill.LogFields) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%s %v", msg, map[string]any(l.fields.Add(fields)))
	if err != nil {
		line += ": " + err.Error()
	}
	l.lines = append(l.lines, line)
}

func (l logbook) Error(msg string, err error, fields watermill.LogFields) { l.write(msg, err, fields) }
func (l logbook) Info(msg string, fields watermill.LogFields)             { l.write(msg, nil, fields) }
func (logbook) Debug(string, watermill.LogFields)                         {}
func (logbook) Trace(string, watermill.LogFields)                         {}
func (l logbook) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return logbook{l.pages, l.fields.Add(fields)}
}

// find returns the lines that hold a text.
func (l logbook) find(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
