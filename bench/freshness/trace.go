package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// border is where something passes from one part of the engine to the next, in the order of the way.
type border int

const (
	eventsTaken border = iota // the intake has the event
	updatesSent
	updatesArrived // acknowledged
	updatesTaken   // rank has them
	rankingsSent
	rankingsArrived
	rankingsTaken // leaderboard has them
	listsSent     // to Redis
	listsWritten  // it has answered
	borders
)

// trace notes when each probe came to each border first. What is sent to all lanes, or taken from them, is in several places at once:
// the first one counts, which in the rankings topic may be that of another list than the one that is looked for. It is safe for concurrent use.
type trace struct {
	watches watches

	mu     sync.Mutex
	passed [borders]map[int]time.Time
}

func newTrace(c config) *trace {
	t := &trace{watches: newWatches(c.Regions)}
	for b := range t.passed {
		t.passed[b] = map[int]time.Time{}
	}
	return t
}

// note notes the probes in a payload.
func (t *trace) note(b border, payload []byte, now time.Time) {
	probesIn(payload, func(number int) { t.pass(b, number, now) })
}

func (t *trace) pass(b border, number int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.passed[b][number]; !ok {
		t.passed[b][number] = now
	}
}

// middleware notes what a handler is given.
func (t *trace) middleware(b border) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			t.note(b, msg.Payload, time.Now())
			return next(msg)
		}
	}
}

// lists notes the probes that stand in the lists in which they are looked for.
func (t *trace) lists(b border, lists []event.Ranking, now time.Time) {
	for i := range lists {
		list := &lists[i]
		if list.By == "" {
			continue
		}
		for _, entry := range list.Entries {
			if number, ok := probeNumber(entry.Item); ok && t.watches.of(number).shows(list) {
				t.pass(b, number, now)
			}
		}
	}
}

// traffic counts what is published to a topic.
type traffic struct{ messages, bytes atomic.Int64 }

// counting is a publisher that counts.
type counting struct {
	message.Publisher
	traffic       *traffic
	trace         *trace
	before, after border
}

// Publish is message.Publisher's.
func (c *counting) Publish(topic string, messages ...*message.Message) error {
	now := time.Now()
	for _, m := range messages {
		c.traffic.messages.Add(1)
		c.traffic.bytes.Add(int64(len(m.Payload)))
		c.trace.note(c.before, m.Payload, now)
	}
	if err := c.Publisher.Publish(topic, messages...); err != nil {
		return err
	}
	now = time.Now()
	for _, m := range messages {
		c.trace.note(c.after, m.Payload, now)
	}
	return nil
}

// writes counts flushes to Redis.
type writes struct {
	flushes atomic.Int64 // with lists in them
	took    atomic.Int64 // ns, of those
	longest atomic.Int64 // ns
}

// timedWriter is a ListWriter that counts.
type timedWriter struct {
	handlers.ListWriter
	writes *writes
	trace  *trace
}

// Write is handlers.ListWriter's.
func (w *timedWriter) Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (behind bool, err error) {
	if len(lists) == 0 {
		return w.ListWriter.Write(ctx, asOf, watermark, lists)
	}
	begin := time.Now()
	w.trace.lists(listsSent, lists, begin)
	behind, err = w.ListWriter.Write(ctx, asOf, watermark, lists)
	now := time.Now()
	took := now.Sub(begin)
	w.writes.flushes.Add(1)
	w.writes.took.Add(int64(took))
	for {
		longest := w.writes.longest.Load()
		if int64(took) <= longest || w.writes.longest.CompareAndSwap(longest, int64(took)) {
			break
		}
	}
	if err == nil {
		w.trace.lists(listsWritten, lists, now)
	}
	return behind, err
}
