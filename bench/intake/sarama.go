package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// saramaConfig is sarama's defaults, from the oldest record on, in today's protocol.
func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V4_0_0_0
	c.ClientID = "intake"
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	return c
}

// newGroup returns the name of a group that nobody has used.
func newGroup(way string) string { return way + "-" + rand.Text() }

// counter counts records up to a number.
type counter struct {
	n     int64
	count atomic.Int64
	first atomic.Pointer[time.Time]
	last  atomic.Pointer[time.Time]
	done  chan struct{} // closed at n
}

func newCounter(n int64) *counter { return &counter{n: n, done: make(chan struct{})} }

// begin notes the time of the first record.
func (c *counter) begin() {
	if c.first.Load() == nil {
		now := time.Now()
		c.first.CompareAndSwap(nil, &now)
	}
}

// add counts records, and notes the time of the last one wanted.
func (c *counter) add(records int64) {
	if after := c.count.Add(records); after >= c.n && after-records < c.n {
		now := time.Now()
		c.last.Store(&now)
		close(c.done)
	}
}

// result returns how it went, after done.
func (c *counter) result() result {
	return result{records: c.count.Load(), first: *c.first.Load(), done: *c.last.Load()}
}

// sarama reads by sarama's consumer group. It counts and marks once for many records: this
// is the most that can be had from this client.
func (c clients) sarama(ctx context.Context, topic string, n int64) (result, error) {
	group, err := sarama.NewConsumerGroup(c.brokers, newGroup("sarama"), saramaConfig())
	if err != nil {
		return result{}, fmt.Errorf("sarama: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handler := counting{newCounter(n)}
	ended := make(chan error, 1)
	go func() { ended <- group.Consume(ctx, []string{topic}, handler) }()
	select {
	case <-handler.done:
		cancel()
		err = <-ended
	case err = <-ended:
		err = errors.Join(errors.New("sarama ended early"), err, ctx.Err())
	}
	if err := errors.Join(err, group.Close()); err != nil {
		return result{}, err
	}
	return handler.result(), nil
}

// counting is a sarama.ConsumerGroupHandler that counts.
type counting struct{ *counter }

// Setup is sarama's.
func (counting) Setup(sarama.ConsumerGroupSession) error { return nil }

// Cleanup is sarama's.
func (counting) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim is sarama's.
func (c counting) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	const atOnce = 256
	var pending int64
	for message := range claim.Messages() {
		if pending == 0 {
			c.begin()
		}
		pending++
		if pending == atOnce || message.Offset+1 == claim.HighWaterMarkOffset() {
			session.MarkMessage(message, "")
			c.add(pending)
			pending = 0
		}
	}
	return nil
}
