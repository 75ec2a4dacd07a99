package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// saramaConfig is what the tests' consumers and producers have in common.
func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V4_0_0_0
	c.Metadata.AllowAutoTopicCreation = false
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.ResetInvalidOffsets = false
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 50 * time.Millisecond
	// A member whose rebalance is overtaken by the next one, as when several join at once,
	// waits before it tries again (default: 2 s) and gives up in the end (default: 4 times).
	c.Consumer.Group.Rebalance.Retry.Backoff, c.Consumer.Group.Rebalance.Retry.Max = 100*time.Millisecond, 100
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	return c
}

func saramaClient(t *testing.T, brokers []string, config *sarama.Config) sarama.Client {
	t.Helper()
	client, err := sarama.NewClient(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
			t.Error(err)
		}
	})
	return client
}

// owners watches a group: no partition may have two members at once, and every message is
// counted.
type owners struct {
	t       *testing.T
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	by      map[int32]*member
	seen    map[string]int
	claims  int
}

func newOwners(t *testing.T) *owners {
	return &owners{t: t, changed: make(chan struct{}), by: map[int32]*member{}, seen: map[string]int{}}
}

func (o *owners) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	close(o.changed)
	o.changed = make(chan struct{})
}

// waitFor waits until the condition holds, which is asked with o.mu held.
func (o *owners) waitFor(what string, holds func() bool) {
	o.t.Helper()
	ctx := patiently(o.t)
	for {
		o.mu.Lock()
		held, changed := holds(), o.changed
		o.mu.Unlock()
		if held {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			o.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// distinct returns how many different messages were seen, and how many more in all.
func (o *owners) distinct() (n, again int) {
	for _, times := range o.seen {
		n++
		again += times - 1
	}
	return n, again
}

// member is a sarama consumer group's member that commits what it has seen before it lets
// go of a partition. The group is named after the topic.
type member struct {
	*owners
	t     *testing.T
	group sarama.ConsumerGroup
	stop  context.CancelFunc
	done  chan struct{}
	once  sync.Once

	session  sarama.ConsumerGroupSession // with owners.mu
	sessions int
	errs     []error
	lost     bool // it can't reach the brokers any more
}

// join adds a member to the group, until leave or the test's end.
func join(t *testing.T, brokers []string, config *sarama.Config, topic string, o *owners) *member {
	t.Helper()
	group, err := sarama.NewConsumerGroup(brokers, topic, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	m := &member{owners: o, t: t, group: group, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				o.change(func() { m.errs = append(m.errs, err) })
				select { // it comes back at once while no broker can be reached
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	}()
	go func() {
		for err := range group.Errors() {
			o.change(func() { m.errs = append(m.errs, err) })
		}
	}()
	t.Cleanup(m.leave)
	return m
}

// leave ends the member in order.
func (m *member) leave() {
	m.once.Do(func() {
		m.stop()
		<-m.done
		if err := m.group.Close(); err != nil && !m.lost {
			m.t.Errorf("closing: %v", err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, err := range m.errs[:min(len(m.errs), 5)] {
			m.t.Logf("a member has met: %v", err)
		}
	})
}

// owned returns how many partitions the member has; owners.mu is held.
func (m *member) owned() int {
	n := 0
	for _, owner := range m.by {
		if owner == m {
			n++
		}
	}
	return n
}

// count returns how many different messages all members have seen; owners.mu is held.
func (m *member) count() int { n, _ := m.distinct(); return n }

func (m *member) currentSession() sarama.ConsumerGroupSession {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// Setup is sarama's.
func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.change(func() { m.session = s; m.sessions++ })
	return nil
}

// Cleanup is sarama's.
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim is sarama's.
func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	p := claim.Partition()
	m.change(func() {
		if other := m.by[p]; other != nil {
			m.t.Errorf("partition %d has two members at once", p)
		}
		m.by[p] = m
		m.claims++
	})
	defer m.change(func() { delete(m.by, p) })
	defer s.Commit()
	for message := range claim.Messages() {
		m.change(func() { m.seen[fmt.Sprintf("%d/%d", p, message.Offset)]++ })
		s.MarkMessage(message, fmt.Sprintf("next is %d", message.Offset+1))
		if message.Offset+1 == claim.HighWaterMarkOffset() {
			s.Commit()
		}
	}
	return nil
}
