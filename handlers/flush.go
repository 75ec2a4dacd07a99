package handlers

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// retryMax bounds how long a shard that has refused its flush is left alone.
const retryMax = 10 * time.Second

// lanes is what is under way to the shards. A shard has one flush at a time, and the others don't wait for it.
type lanes struct {
	flushes  int64         // how many have been begun
	inFlight int           // shards whose flush is under way, or has failed and rests
	flying   int           // cells in those
	left     int           // cells that the last flush could not take along, since their shards were not free
	failures []int         // of each shard, in a row
	landed   chan struct{} // closed when a shard is free again, and made anew
	hurry    chan struct{} // closed when the fold comes to its end: nothing rests any more
}

func newLanes(shards int) lanes {
	return lanes{failures: make([]int, shards), landed: make(chan struct{}), hurry: make(chan struct{})}
}

// flushIfDue publishes what has changed, when it is time, when it is much, or when a pane
// has closed. Where too much is pending it waits, and so holds up reading, until there is less.
func (f *fold) flushIfDue(ctx context.Context) error {
	for {
		landed, wait := f.flushOnce()
		if landed == nil {
			return nil
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-landed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// flushOnce begins a flush, if that is due. Where too much is pending, it returns what will be closed when
// a shard is free again, and how long it is until the next flush is due.
func (f *fold) flushOnce() (landed <-chan struct{}, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.guard(recover()) }()
	c := &f.intake.config
	pending, closed := f.part.Pending()
	now := c.Now()
	// What waits for a shard that isn't free is no reason: the others would get one empty flush after the other.
	if !now.Before(f.flushAt) || closed || pending-f.lanes.flying-f.lanes.left >= c.FlushCells {
		f.flush(now)
	}
	if pending < c.PendingCells {
		return nil, 0
	}
	return f.lanes.landed, f.flushAt.Sub(now)
}

// flush begins a flush, to all shards that are free. mu is held.
func (f *fold) flush(now time.Time) {
	quiet, idle := f.idle.For()
	f.flushAt = now.Add(f.intake.config.FlushInterval)
	f.lanes.flushes++
	f.part.Flush(f.source, f.incarnation, idle, quiet, func(shard int, head event.Part, cells []event.Cell) {
		messages, err := f.encode(shard, head, cells) // now: the cells are lent
		f.lanes.inFlight++
		f.lanes.flying += len(cells)
		go f.publish(shard, f.lanes.flushes, len(cells), messages, err)
	})
	pending, _ := f.part.Pending()
	f.lanes.left = pending - f.lanes.flying
}

// encode makes the messages of one shard's flush.
func (f *fold) encode(shard int, head event.Part, cells []event.Cell) (messages []*message.Message, err error) {
	operators.Split(head, cells, f.cellsMax, wire.CellSize, func(part event.Part, cells []event.Cell) {
		payload, e := f.encoder.Append(nil, shard, part, cells)
		if e != nil {
			err = e
			return
		}
		m := message.NewMessage(fmt.Sprintf("%s/%d/%d/%d/%d", f.topic, f.source, head.AsOf, shard, part.Number), payload)
		m.Metadata.Set("kafka.partition", strconv.Itoa(shard))
		messages = append(messages, m)
	})
	return messages, err
}

// publish sends one shard's flush, and notes whether it has arrived. Shards go side by side.
func (f *fold) publish(shard int, flush int64, cells int, messages []*message.Message, err error) {
	if err == nil {
		err = publish(f.intake.config.Updates, f.intake.config.UpdatesTopic, messages)
	}
	if err != nil {
		f.rest(shard, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &f.lanes
	l.inFlight--
	l.flying -= cells
	if flush < l.flushes {
		l.left = 0 // others have been given a flush in the meantime; this shard can be now
	}
	switch {
	case f.broken != nil:
	case err != nil:
		f.part.Failed(shard)
	default:
		l.failures[shard] = 0
		f.part.Acked(shard)
		f.commit()
	}
	close(l.landed)
	l.landed = make(chan struct{})
}

// rest waits after a failure, the longer the more there were in a row. The shard isn't free as long.
func (f *fold) rest(shard int, err error) {
	f.mu.Lock()
	f.lanes.failures[shard]++
	wait := min(f.intake.config.FlushInterval<<min(f.lanes.failures[shard]-1, 16), retryMax)
	f.mu.Unlock()
	f.logger.Error("updates could not be published; they join the next flush", err, watermill.LogFields{"shard": shard, "after": wait.String()})
	var over <-chan struct{}
	if f.claim != nil {
		over = f.claim.Context().Done()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.lanes.hurry:
	case <-over:
	}
}

// publish makes a publisher's panic an error: here nothing else would recover from it, and the process would end.
func publish(to message.Publisher, topic string, messages []*message.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the publisher panicked: %v", p)
		}
	}()
	return to.Publish(topic, messages...)
}

// drain publishes what is left, and waits until it has arrived, or ctx is done. It is for
// the end of a claim: what arrives now needs not be published again by the next owner.
func (f *fold) drain(ctx context.Context) {
	f.hurry()
	if f.settle(ctx) != nil {
		return
	}
	f.flushAll()
	_ = f.settle(ctx) // there is nothing left to do if it isn't in time
}

// hurry ends the rest of shards that have refused a flush, also later ones'.
func (f *fold) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.lanes.hurry:
	default:
		close(f.lanes.hurry)
	}
}

func (f *fold) flushAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return
	}
	defer func() { f.guard(recover()) }()
	f.flush(f.intake.config.Now())
}

// settle waits until no flush is under way.
func (f *fold) settle(ctx context.Context) error {
	for {
		f.mu.Lock()
		inFlight, landed := f.lanes.inFlight, f.lanes.landed
		f.mu.Unlock()
		if inFlight == 0 {
			return nil
		}
		select {
		case <-landed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
