package microbatch_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/millrank/millrank/microbatch"
)

// inFlight counts the messages of each claim that were not acknowledged yet.
type inFlight struct {
	mu   sync.Mutex
	of   map[*microbatch.Claim]int
	most int
}

func (f *inFlight) add(c *microbatch.Claim, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[*microbatch.Claim]int{}
	}
	f.of[c] += n
	f.most = max(f.most, f.of[c])
}

// TestOneInFlight: a partition's next message comes after the ack of the one before, and in order.
func TestOneInFlight(t *testing.T) {
	t.Parallel()
	k := fake(t, 2, 1)
	for p := range int32(2) {
		k.produce(t, p, 0, 500)
	}
	config := k.settings("cooperative-sticky")
	config.BatchRecords = 7
	var flight inFlight
	m := join(t, k, config, func(d delivery) {
		flight.add(d.claim, 1)
		if len(d.offsets)%2 == 0 {
			<-time.After(time.Millisecond)
		}
		flight.add(d.claim, -1)
		d.message.Ack()
	})
	m.untilAll(t, 1000)
	m.leave(t)
	if flight.most != 1 {
		t.Errorf("%d messages of one claim at a time", flight.most)
	}
	for p := range int32(2) {
		if err := same(m.values(p), values(p, 0, 500)); err != nil {
			t.Errorf("partition %d: %v", p, err)
		}
	}
}

// TestNack: a message that was refused comes again, the same, after a wait that doubles; then
// the next one.
func TestNack(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 100)
	config := k.settings("cooperative-sticky")
	config.BatchRecords = 30
	config.RetryMin, config.RetryMax = 20*time.Millisecond, 40*time.Millisecond
	refusals := 0
	m := join(t, k, config, func(d delivery) {
		if d.batch.Position == 30 && refusals < 4 {
			refusals++
			d.message.Nack()
			return
		}
		d.message.Ack()
	})
	m.until(t, "all records have come", func() bool { n := len(m.batches); return n > 0 && m.batches[n-1].next() == 100 })
	m.leave(t)
	var tries []delivery
	next := int64(0)
	for _, d := range m.batches {
		if d.batch.Position == 30 {
			tries = append(tries, d)
			next = 30
		}
		if d.batch.Position != next {
			t.Errorf("a batch begins at %d, want %d", d.batch.Position, next)
		}
		next = d.next()
	}
	if len(tries) != 5 {
		t.Fatalf("the batch came %d times, want 5", len(tries))
	}
	for i := 1; i < len(tries); i++ {
		if !bytes.Equal(tries[i].message.Payload, tries[0].message.Payload) || tries[i].message.UUID != tries[0].message.UUID || tries[i].message == tries[0].message {
			t.Error("it is not the same batch in another message")
		}
		waited, want := tries[i].at.Sub(tries[i-1].at), []time.Duration{0, 20, 40, 40, 40}[i]*time.Millisecond
		if waited < want {
			t.Errorf("try %d came after %v, want %v", i, waited, want)
		}
	}
}

// TestPanic: with Watermill's Recoverer a handler that panics is one that refuses.
func TestPanic(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	s, err := microbatch.NewSubscriber(k.settings("cooperative-sticky"), logger())
	if err != nil {
		t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger())
	if err != nil {
		t.Fatal(err)
	}
	router.AddMiddleware(middleware.Recoverer)
	calls, done := 0, make(chan struct{})
	router.AddConsumerHandler("test", k.topic, s, func(msg *message.Message) error {
		if b, err := microbatch.Open(msg.Payload); err != nil || b.Count == 0 {
			return err
		}
		switch calls++; calls {
		case 1:
			panic("on purpose")
		case 2:
			return errors.New("on purpose")
		case 3:
			close(done)
		}
		return nil
	})
	stopped := make(chan error, 1)
	go func() { stopped <- router.Run(t.Context()) }()
	<-done
	if err := router.Close(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
}

// TestBlockedClose: Close waits for handlers no longer than the release timeout. What they had
// asked for is committed; their contexts are done; and nothing more is given to them.
func TestBlockedClose(t *testing.T) {
	eachFake(t, 8, 1, func(t *testing.T, k *kafka, strategy string) {
		for p := range int32(8) {
			k.produce(t, p, 0, 100)
		}
		config := k.settings(strategy)
		config.BatchRecords = 10
		config.CommitInterval = time.Hour // only the last commit
		config.ReleaseTimeout = 300 * time.Millisecond
		var flight inFlight
		unblock := make(chan struct{})
		m := join(t, k, config, func(d delivery) {
			flight.add(d.claim, 1)
			defer flight.add(d.claim, -1)
			if d.batch.Position == 10 {
				_ = d.claim.Commit(10, "blocked")
				<-unblock
			}
			d.message.Ack()
		})
		m.until(t, "all partitions are blocked", func() bool { return m.count() == 160 })
		took := within(t, 2*time.Second, "Close", func() { _ = m.Close() })
		if took < config.ReleaseTimeout {
			t.Errorf("Close took %v, less than the release timeout", took)
		}
		m.read(func() {
			if len(m.revoked) != 8 || m.count() != 160 {
				t.Errorf("%d claims are over and %d records have come, want 8 and 160", len(m.revoked), m.count())
			}
			for _, d := range m.batches {
				if d.message.Context().Err() == nil {
					t.Error("the context of a message is not done")
				}
			}
		})
		close(unblock)
		<-m.done
		if flight.most != 1 {
			t.Errorf("%d messages of one claim at a time", flight.most)
		}
		for p := range int32(8) {
			if offset, metadata := k.committed(t, p); offset != 10 {
				t.Errorf("partition %d: committed %d, %s", p, offset, metadata)
			}
		}
	})
}

// TestLeaving: the last message of a claim says so. It comes when no other is in flight, and its
// handler may commit.
func TestLeaving(t *testing.T) {
	eachFake(t, 3, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 10)
		config := k.settings(strategy)
		config.CommitInterval = time.Hour
		m := join(t, k, config, func(d delivery) {
			if d.message.Context().Err() != nil {
				t.Error("a message comes with a context that is done")
			}
			if d.batch.Leaving {
				_ = d.claim.Commit(d.batch.Position, "last")
			}
			d.message.Ack()
		})
		m.untilAll(t, 10)
		m.untilOwns(t, 3)
		m.leave(t)
		leaving := map[int32]int64{}
		for i, d := range m.beats {
			if d.batch.Leaving {
				leaving[d.claim.Partition] = d.batch.Position
			} else if _, after := leaving[d.claim.Partition]; after {
				t.Errorf("message %d of partition %d comes after its last one", i, d.claim.Partition)
			}
		}
		for p, want := range []int64{10, 0, 0} {
			if got, ok := leaving[int32(p)]; !ok || got != want {
				t.Errorf("partition %d: the last message is at %d, want %d", p, got, want)
			}
			if offset, _ := k.committed(t, int32(p)); offset != want {
				t.Errorf("partition %d: %d is committed, want %d", p, offset, want)
			}
		}
	})
}

// TestLeavingEarly: the last message of a claim is at where the handler really is, not behind batches
// that it has refused, or that were still to come.
func TestLeavingEarly(t *testing.T) {
	eachFake(t, 1, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 100)
		config := k.settings(strategy)
		config.BatchRecords = 10
		config.RetryMin, config.RetryMax = time.Hour, time.Hour
		m := join(t, k, config, func(d delivery) {
			if d.batch.Position == 30 && !d.batch.Leaving {
				d.message.Nack()
				return
			}
			d.message.Ack()
		})
		m.untilAll(t, 40)
		m.leave(t)
		if last := m.beats[len(m.beats)-1].batch; !last.Leaving || last.Position != 30 {
			t.Errorf("the last message is at %d, want 30", last.Position)
		}
	})
}
