package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// inShard returns n items of a shard.
func inShard(shard, shards, n int) []string {
	var items []string
	for i := 0; len(items) < n; i++ {
		if item := fmt.Sprint("item-", i); operators.Shard([]byte(item), shards) == shard {
			items = append(items, item)
		}
	}
	return items
}

// ofItem returns an event of an item, that is on time.
func ofItem(id int, item string) *message.Message {
	return plain(sim.Record{EventID: fmt.Sprint("e", id), Item: item, Dims: []string{"eu"}, At: start, Value: 1})
}

func toShard(messages []*message.Message) string { return messages[0].Metadata.Get("kafka.partition") }

// pending returns how many cells are.
func (r *rig) pending() int {
	for _, s := range r.Status() {
		return s.PendingCells
	}
	return 0
}

// whileWaiting counts how often updates are published in a while in which nothing happens.
func (r *rig) whileWaiting(d time.Duration) int {
	_, before := r.updates.count()
	<-time.After(d)
	_, after := r.updates.count()
	return after - before
}

// TestFlushInterval: what has changed is published when the interval has passed, not before, to all shards, also those for which there is nothing.
func TestFlushInterval(t *testing.T) {
	r := newRig(t, nil)
	for i := range 50 {
		r.send(ofItem(i, inShard(1, 3, 1)[0]))
		r.clock.add(time.Hour / 51)
	}
	if _, calls := r.updates.count(); calls > 0 {
		t.Fatalf("%d flushes before it was time", calls)
	}
	r.clock.add(time.Hour / 50)
	r.send(counted(99))
	eventually(t, "all shards have taken the flush", func() bool { s := r.Status()[0]; return s.ProcessedThrough == s.Offset })
	if n, _ := r.updates.count(); n != 3 {
		t.Errorf("%d updates, want 3", n)
	}
	times := r.flush()
	if n, _ := r.updates.count(); n < 6 || n > 3+3*times {
		t.Errorf("%d updates, want 6, after %d more flushes", n, times)
	}
}

// TestFlushCells: much is published at once.
func TestFlushCells(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) { c.FlushCells = 20 })
	for i := range 19 {
		r.send(counted(i), counted(i))
	}
	if _, calls := r.updates.count(); calls > 0 {
		t.Fatalf("%d flushes before there were 20 cells", calls)
	}
	r.send(counted(19))
	eventually(t, "it is flushed", func() bool { return len(receive(t, r.updates.all(), 1, 3).cells[0]) == 20 })
}

// TestFlushPaneClosed: what is final doesn't wait.
func TestFlushPaneClosed(t *testing.T) {
	r := newRig(t, nil)
	r.send(counted(1), punctuation(start+3000))
	if _, calls := r.updates.count(); calls > 0 {
		t.Fatalf("%d flushes while the pane is open", calls)
	}
	r.clock.add(time.Second)
	r.send(punctuation(start + 5300))
	closed := r.Status()[0].Offset
	eventually(t, "it is flushed", func() bool { return receive(t, r.updates.all(), 1, 3).asOf[0] >= closed })
}

// TestFlushSlowShard: a shard that takes nothing holds the others up in nothing, and then gets all that it has missed, once.
func TestFlushSlowShard(t *testing.T) {
	r := newRig(t, nil)
	release := make(chan struct{})
	r.updates.do(func(_ int, messages []*message.Message) error {
		if toShard(messages) == "0" {
			<-release
		}
		return nil
	})
	for round := range 5 {
		for shard := range 3 {
			for i, item := range inShard(shard, 3, 4) {
				r.send(ofItem(1000*round+100*shard+i, item))
			}
		}
		r.clock.add(time.Hour)
		r.send(punctuation(start - 3_600_000))
		pending := 4 // on their way to shard 0
		if round > 0 {
			pending = 8 // and the same four, changed since
		}
		eventually(t, "shards 1 and 2 have taken the flush", func() bool {
			got := receive(t, r.updates.all(), 1, 3).flushes
			return len(got[1]) == round+1 && len(got[2]) == round+1 && r.pending() == pending
		})
	}
	close(release)
	eventually(t, "the slow shard has taken its flush", func() bool { return r.Status()[0].PendingCells == 4 })
	times := r.flush()
	got := receive(t, r.updates.all(), 1, 3)
	if n := len(got.flushes[0]); n < 2 || n > 1+times {
		t.Errorf("shard 0 has had flushes as of %v, want 2, after %d more flushes", got.flushes[0], times)
	}
	for key, totals := range got.cells[0] {
		if totals.Count != 5 {
			t.Errorf("cell %v: %+v", key, totals)
		}
	}
}

// TestFlushPending: where too much waits to be acknowledged, reading stops, and goes on. While it stands, nothing spins.
func TestFlushPending(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) { c.FlushCells, c.PendingCells = 10, 20 })
	release := make(chan struct{})
	r.updates.do(func(_ int, messages []*message.Message) error {
		if toShard(messages) == "0" {
			<-release
		}
		return nil
	})
	var taken atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, item := range inShard(0, 3, 60) {
			if err := r.Deduplicate(ofItem(i, item)); err != nil {
				t.Error(err)
			}
			taken.Add(1)
		}
	}()
	eventually(t, "20 cells are pending", func() bool { return r.pending() >= 20 })
	if n := r.whileWaiting(200 * time.Millisecond); n > 2 {
		t.Errorf("updates were published %d times while nothing had changed", n)
	}
	if n := taken.Load(); n >= 20 {
		t.Errorf("%d messages were taken in", n)
	}
	close(release)
	within(t, "all are taken in", done)
	r.flush()
	if n := len(receive(t, r.updates.all(), 1, 3).cells[0]); n != 60 {
		t.Errorf("%d cells, want 60", n)
	}
}

// TestFlushPendingTime: while reading stops for a slow shard, the others still hear how far time has come.
func TestFlushPendingTime(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) {
		c.FlushCells, c.PendingCells, c.FlushInterval, c.Now = 10, 10, 10*time.Millisecond, time.Now
	})
	release := make(chan struct{})
	r.updates.do(func(_ int, messages []*message.Message) error {
		if toShard(messages) == "0" {
			<-release
		}
		return nil
	})
	now := time.Now().UnixMilli()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for i, item := range inShard(0, 3, 30) {
			m := plain(sim.Record{EventID: fmt.Sprint(i), Item: item, Dims: []string{"eu"}, At: now, Value: 1})
			m.SetContext(ctx)
			if err := r.Deduplicate(m); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	eventually(t, "reading stops", func() bool { return r.pending() >= 10 })
	_, before := r.updates.count()
	eventually(t, "the others are told", func() bool { _, n := r.updates.count(); return n >= before+6 })
	cancel()
	if err := within(t, "it gives up", done); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	close(release)
}

// TestFlushFailingShard: a shard that refuses everything, and at once, is asked less and less often. The others don't feel it.
func TestFlushFailingShard(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) {
		c.FlushCells, c.PendingCells, c.FlushInterval, c.Now = 5, 10, 5*time.Millisecond, time.Now
	})
	var down atomic.Bool
	down.Store(true)
	var refused, taken atomic.Int64
	r.updates.do(func(_ int, messages []*message.Message) error {
		if toShard(messages) != "0" {
			taken.Add(1)
			return nil
		}
		if down.Load() {
			refused.Add(1)
			return errDown
		}
		return nil
	})
	now := time.Now().UnixMilli()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, item := range inShard(0, 3, 40) {
			if err := r.Deduplicate(plain(sim.Record{EventID: fmt.Sprint(i), Item: item, Dims: []string{"eu"}, At: now, Value: 1})); err != nil {
				t.Error(err)
			}
		}
	}()
	eventually(t, "it was refused often enough", func() bool { return refused.Load() > 3 })
	eventually(t, "the others have had many flushes", func() bool { return taken.Load() > 100 })
	if n := refused.Load(); n > 10 {
		t.Errorf("the shard was asked %d times, while the other two were in %d flushes", n, taken.Load())
	}
	down.Store(false)
	within(t, "all are taken in", done)
	eventually(t, "all are published", func() bool { return len(receive(t, r.updates.all(), 1, 3).cells[0]) == 40 })
}

// TestFlushFailed: the cells of a flush that failed join the next one, which is as of a later offset.
func TestFlushFailed(t *testing.T) {
	r := newRig(t, func(c *handlers.IntakeConfig) { c.FlushInterval = 10 * time.Millisecond })
	r.updates.do(func(call int, messages []*message.Message) error {
		if call <= 9 && toShard(messages) == "0" {
			return errDown
		}
		return nil
	})
	for i, item := range inShard(0, 3, 10) {
		r.send(ofItem(i, item))
	}
	first := r.Status()[0].Offset
	eventually(t, "a flush has failed", func() bool { return len(r.log.find("could not be published")) > 0 })
	for i, item := range inShard(0, 3, 20)[5:] {
		r.send(ofItem(100+i, item))
	}
	last := r.Status()[0].Offset
	eventually(t, "everything has arrived", func() bool { return receive(t, r.updates.all(), 1, 3).asOf[0] == last })
	got := receive(t, r.updates.all(), 1, 3)
	if got.flushes[0][0] < first || len(got.cells[0]) != 20 {
		t.Errorf("flushes as of %v, want %d or later; %d cells", got.flushes[0], first, len(got.cells[0]))
	}
	if line := r.log.find("could not be published")[0]; !strings.Contains(line, "shard:0") || !strings.Contains(line, errDown.Error()) {
		t.Errorf("the log says %q", line)
	}
	eventually(t, "it is all processed through", func() bool { return r.Status()[0].ProcessedThrough == last })
}

// TestFlushParts: a flush is cut into messages below the limit, whatever its cells, and is whole on receipt.
func TestFlushParts(t *testing.T) {
	for _, source := range []string{"s", strings.Repeat("a long name/", 83)} {
		r := newRig(t, func(c *handlers.IntakeConfig) { c.UpdateBytesMax, c.Source = 10_000, source })
		for i := range 3000 {
			r.send(ofItem(i, fmt.Sprintf("%d-%s", i, strings.Repeat("x", i%900))))
		}
		times := r.flush()
		got := receive(t, r.updates.all(), 1, 3)
		if n := len(got.flushes[0]); len(got.cells[0]) != 3000 || n < 1 || n > times {
			t.Errorf("%d cells in flushes as of %v, after %d", len(got.cells[0]), got.flushes, times)
		}
		sizes := make([]int, 0)
		for _, m := range r.updates.all() {
			sizes = append(sizes, len(m.Payload))
		}
		if largest := slices.Max(sizes); largest > 10_000 || largest < 8_000 {
			t.Errorf("the largest of %d messages has %d bytes", len(sizes), largest)
		}
	}
}

// TestFlushBehind: in a partition that catches up, closed panes wait for the interval; once it has, they don't.
func TestFlushBehind(t *testing.T) {
	w := newWorld(t, 1)
	events := func(from, to int) (log []sim.Record) { // a pane each
		for id := from; id < to; id++ {
			at := start + int64(id)*liveSettings().Pane.Milliseconds()
			log = append(log, sim.Record{EventID: fmt.Sprint("e", id), Item: "i", Dims: []string{"eu"}, At: at, Time: at, Value: 1})
		}
		return log
	}
	w.produce([][]sim.Record{events(0, 550)}) // six batches
	m := w.start(options{intake: func(c *handlers.IntakeConfig) { c.FlushInterval, c.IdleTimeout = time.Hour, time.Hour }})
	flushed := func(last int64) func() bool {
		return func() bool {
			list := m.Status()
			return len(list) == 1 && list[0].Offset == last && list[0].PendingCells == 0 && receive(t, w.updates.all(), 1, 3).asOf[0] == last
		}
	}
	eventually(t, "all of it is flushed", flushed(549))
	_, before := w.updates.count()
	w.produce([][]sim.Record{events(550, 551)})
	eventually(t, "the next pane that closes is flushed", flushed(550))
	if _, after := w.updates.count(); before != 3 || after != 6 {
		t.Errorf("%d publishes, and then %d; want one for each of 3 shards and flush", before, after)
	}
}
