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

// retryMax bounds the wait after flushes that failed.
const retryMax = 10 * time.Second

// flushIfDue publishes what has changed, when it is time, when it is much, or when a pane
// has closed. Where too much is pending it waits, and so holds up reading, until there is less.
func (f *fold) flushIfDue(ctx context.Context) error {
	for {
		full, wait := f.flushOnce()
		if !full {
			return nil
		}
		if err := f.waitOrRetry(ctx, wait); err != nil {
			return err
		}
	}
}

// flushOnce begins a flush, if that is due. It reports whether too much is pending, and when the next flush is due.
func (f *fold) flushOnce() (full bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.guard(recover()) }()
	c := &f.intake.config
	pending, closed := f.part.Pending()
	now := c.Now()
	late := !now.Before(f.flushAt)
	if late || f.failures == 0 && (closed || pending >= c.FlushCells) {
		f.flush(now)
	}
	return pending >= c.PendingCells, f.flushAt.Sub(now)
}

// waitOrRetry waits until a flush has landed; where none is under way, until the next is due.
func (f *fold) waitOrRetry(ctx context.Context, retry time.Duration) error {
	f.mu.Lock()
	inFlight, landed := f.inFlight, f.landed
	f.mu.Unlock()
	var timeout <-chan time.Time
	if inFlight == 0 {
		timer := time.NewTimer(max(retry, time.Millisecond))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-landed:
		return nil
	case <-timeout:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flush begins a flush, to all shards that are free. mu is held.
func (f *fold) flush(now time.Time) {
	quiet, idle := f.idle.For()
	f.flushAt = now.Add(f.intake.config.FlushInterval)
	f.part.Flush(f.source, f.incarnation, idle, quiet, func(shard int, head event.Part, cells []event.Cell) {
		f.inFlight++
		messages, err := f.encode(shard, head, cells) // now: the cells are lent
		go f.publish(shard, messages, err)
	})
}

// encode makes the messages of one shard's flush.
func (f *fold) encode(shard int, head event.Part, cells []event.Cell) (messages []*message.Message, err error) {
	sizeMax := f.intake.config.UpdateBytesMax - 1024 // for the head
	operators.Split(head, cells, sizeMax, wire.CellSize, func(part event.Part, cells []event.Cell) {
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
func (f *fold) publish(shard int, messages []*message.Message, err error) {
	if err == nil {
		err = publish(f.intake.config.Updates, f.intake.config.UpdatesTopic, messages)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight--
	switch {
	case f.broken != nil:
	case err != nil:
		f.part.Failed(shard)
		f.failures++
		wait := min(f.intake.config.FlushInterval<<min(f.failures, 16), retryMax)
		f.flushAt = f.intake.config.Now().Add(wait)
		f.logger.Error("updates could not be published; they join the next flush", err, watermill.LogFields{"shard": shard, "after": wait.String()})
	default:
		f.part.Acked(shard)
		f.failures = 0
		f.commit()
	}
	close(f.landed)
	f.landed = make(chan struct{})
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
	if f.settle(ctx) != nil {
		return
	}
	f.flushAll()
	_ = f.settle(ctx) // there is nothing left to do if it isn't in time
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
		inFlight, landed := f.inFlight, f.landed
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
