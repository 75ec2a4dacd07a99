// Package feed sends events from files or a pipe to a topic, for `millrank produce` and the demo: at a pace, moved to
// today, out of order, with duplicates and records that must not count, as they are wanted.
package feed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// progressEvery is how often progress is told.
const progressEvery = 200 * time.Millisecond

// Run sends the sources' events, and returns when all are acknowledged or have failed. When ctx is done it stops: what was read is
// still sent, for up to ten seconds, and the report says how to go on; that is no error. Progress, which may be nil, is told several times a
// second, by one goroutine. The report is good with an error, too.
//
// The topic should have no other events of these partitions under way: what is counted as late, ahead and behind goes by this run alone.
func Run(ctx context.Context, t *Target, c Config, progress func(Progress)) (Report, error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	f, err := newFeed(t, c)
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	s, release := newSender(ctx, t)
	defer release()
	f.sender = s
	quit := make(chan struct{})
	in := &input{numeric: numericColumns(c.Mapping), skip: c.Skip, out: make(chan []line, 8), quit: quit, batch: make([]line, 0, batchLines)}
	readErr := make(chan error, 1) // a read from a pipe can't be broken off: the goroutine may outlive us until it returns
	go func() { readErr <- in.run(c.Sources) }()
	told := tell(progress, func() Progress { return f.progress(in, began) })

	err = f.all(ctx, in.out)
	close(quit)
	if err == nil && ctx.Err() == nil {
		if err = <-readErr; err == nil {
			f.report.Complete = true
			f.end()
		}
	}
	s.wait()
	told()
	f.finish(began)
	if broken := s.broken(); broken != nil {
		f.report.Complete = false
		switch {
		case ctx.Err() != nil && errors.Is(broken, context.Canceled):
			err = fmt.Errorf("topic %s: %d records were not acknowledged within %v of the stop", t.topic, f.report.Failed, drainTime)
		case err == nil || errors.Is(err, broken):
			err = fmt.Errorf("topic %s: %w", t.topic, broken)
		}
	}
	return f.report, err
}

// tell calls progress now and then; the function that it returns does so a last time and ends that.
func tell(progress func(Progress), now func() Progress) func() {
	if progress == nil {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				progress(now())
			case <-stop:
				progress(now())
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// feed is a run.
type feed struct {
	Config
	target  *Target
	sender  *sender
	decoder *event.JSON
	event   event.Event
	rewrite *rewriter
	keys    *keys
	parts   []part
	queue   queue
	report  Report

	shift   int64 // seconds
	shifted bool  // shift is known
	newest  int64 // the newest event time that was read; event.NoTime before there is one
	first   int64 // the oldest and the newest event time that was sent
	last    int64
	closes  int64 // the newest event time that was sent and isn't too far ahead
	told    int64 // the newest punctuation's time
	pace    pace

	pcg    rand.PCG // seeded anew for each line, so that a line's fate doesn't depend on where a run began
	random *rand.Rand

	lines     atomic.Int64
	eventTime atomic.Int64
}

func newFeed(t *Target, c Config) (*feed, error) {
	decoder, err := event.NewJSON(c.Mapping)
	if err != nil {
		return nil, err
	}
	f := &feed{
		Config: c, target: t, decoder: decoder, rewrite: newRewriter(c.Mapping), parts: make([]part, t.partitions),
		newest: event.NoTime, first: math.MaxInt64, last: event.NoTime, closes: event.NoTime, told: event.NoTime, pace: pace{rate: c.Rate, speed: c.Speed},
		shift: int64(c.Shift / time.Second), shifted: !c.ShiftToNow,
	}
	f.keys = newKeys(c.Key, f.rewrite, t.partitions)
	f.random = rand.New(&f.pcg)
	for i := range f.parts {
		f.parts[i].w, f.parts[i].newest = event.NoTime, event.NoTime
	}
	f.report = Report{Topic: t.topic, Partitions: t.partitions}
	if f.EventTime && t.logAppendTime {
		f.EventTime = false
		f.notef("--timestamps event has no effect: the topic has message.timestamp.type=LogAppendTime")
	}
	f.lines.Store(c.Skip)
	f.eventTime.Store(event.NoTime)
	return f, nil
}

// What random choices are for; each has its own sequence for each line.
const (
	forArrival = iota
	forAdditions
)

func (f *feed) draw(line int64, what uint64) *rand.Rand {
	f.pcg.Seed(f.Seed, uint64(line)<<1|what)
	return f.random
}

// all sends what comes in, until there is no more or ctx is done, and then what waits in between.
func (f *feed) all(ctx context.Context, in <-chan []line) error {
	for stopping := false; !stopping; {
		select {
		case <-ctx.Done():
			stopping = true
		case batch, ok := <-in:
			if !ok {
				stopping = true
				break
			}
			for _, l := range batch {
				if ctx.Err() != nil {
					break
				}
				if err := f.line(ctx, l); err != nil {
					return err
				}
			}
		}
	}
	if err := f.due(ctx, math.MaxInt64); err != nil {
		return err
	}
	for i := range f.parts {
		f.repeat(int32(i), math.MaxInt64, math.MaxInt64)
	}
	return nil
}

// line reads a line, and sends what is due by it.
func (f *feed) line(ctx context.Context, l line) error {
	f.report.Lines++
	f.lines.Store(l.number)
	if l.blank {
		f.report.Blank++
		return nil
	}
	i := item{line: l.number, value: l.value, arrival: f.newest}
	err := f.decoder.Decode(l.value, &f.event)
	if err == nil {
		if !f.shifted {
			f.shift, f.shifted = (time.Now().UnixMilli()-f.event.Time)/1000, true
		}
		if f.shift != 0 {
			moved, ok := f.rewrite.shift(l.value, f.shift)
			if ok {
				ok = f.decoder.Decode(moved, &f.event) == nil
			}
			if !ok {
				return fmt.Errorf("%s, line %d: its time, moved by %v, is not between source.time_min and source.time_max; choose another --shift", l.source, l.number, time.Duration(f.shift)*time.Second)
			}
			i.value = moved
		}
		i.readable, i.at = true, f.event.Time
		i.key, i.partition = f.keys.of(i.value, &f.event)
		i.arrival = i.at
		if f.Disorder > 0 {
			i.arrival += delay(f.draw(l.number, forArrival), f.Disorder)
		}
		f.report.Events++
		f.newest = max(f.newest, i.at)
	} else {
		i.partition = f.keys.ofBytes(l.value)
		f.report.Unreadable++
		if len(f.report.Examples) < 3 {
			f.report.Examples = append(f.report.Examples, fmt.Sprintf("%s, line %d: %v", l.source, l.number, err))
		}
	}
	f.queue.add(i)
	return f.due(ctx, f.newest)
}

// delay draws by how much an event comes late: most by little, none by more than most.
func delay(random *rand.Rand, most time.Duration) int64 {
	return min(most.Milliseconds(), int64(random.ExpFloat64()*float64(most.Milliseconds())/5))
}

// due sends what has arrived at an event time.
func (f *feed) due(ctx context.Context, now int64) error {
	for {
		i, ok := f.queue.take(now)
		if !ok {
			break
		}
		if i.readable {
			f.pace.await(ctx, i.arrival)
		}
		f.emit(i)
		if err := f.sender.broken(); err != nil {
			for rest, ok := f.queue.take(math.MaxInt64); ok; rest, ok = f.queue.take(math.MaxInt64) {
				f.sender.lose(rest.line)
			}
			return err
		}
	}
	f.punctuate()
	return nil
}

func (f *feed) progress(in *input, began time.Time) Progress {
	p := Progress{
		Lines: f.lines.Load(), Sent: f.sender.sent.Load(), Acknowledged: f.sender.acknowledged.Load(), Failed: f.sender.failed.Load(),
		BytesRead: in.bytes.Load(), Took: time.Since(began),
	}
	if at := f.eventTime.Load(); at != event.NoTime {
		p.EventTime = time.UnixMilli(at).UTC()
	}
	for _, s := range f.Sources {
		if s.Bytes == 0 {
			p.BytesTotal = 0
			break
		}
		p.BytesTotal += s.Bytes
	}
	return p
}

// finish fills in what is known at the end.
func (f *feed) finish(began time.Time) {
	r, s := &f.report, f.sender
	r.Sent, r.Acknowledged, r.Failed, r.Bytes = s.sent.Load(), s.acknowledged.Load(), s.failed.Load(), s.bytes.Load()
	s.mu.Lock()
	r.Failures = s.failures
	r.Next = min(f.lines.Load(), s.lost-1)
	s.mu.Unlock()
	r.ShiftSecond = f.shift
	if f.last != event.NoTime {
		r.FirstTime, r.LastTime = instant(f.first), instant(f.last)
	}
	r.TookSecs = time.Since(began).Seconds()
	f.notes()
}

// record returns what to send of an item.
func (i item) record(timestamp time.Time) *kgo.Record {
	return &kgo.Record{Key: i.key, Value: i.value, Partition: i.partition, Timestamp: timestamp}
}
