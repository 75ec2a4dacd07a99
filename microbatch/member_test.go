package microbatch_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
)

// delivery is a message that a member was given.
type delivery struct {
	claim   *microbatch.Claim
	batch   microbatch.Batch // opened
	offsets []int64
	values  []string
	message *message.Message
	at      time.Time
}

// next is the offset after the last record.
func (d delivery) next() int64 {
	if len(d.offsets) == 0 {
		return d.batch.Position
	}
	return d.offsets[len(d.offsets)-1] + 1
}

// handler is what a member does with a message, in a goroutine for each, as Watermill's router does.
type handler func(delivery)

func ack(d delivery) { d.message.Ack() }

// committing acknowledges each message, and commits what it has taken in.
func committing(d delivery) {
	if len(d.offsets) > 0 {
		_ = d.claim.Commit(d.next(), "state")
	}
	d.message.Ack()
}

// member is one member of a group, which collects what it is given.
type member struct {
	*microbatch.Subscriber
	messages <-chan *message.Message
	cancel   context.CancelFunc // of the context that Subscribe was given
	done     chan struct{}      // closed when messages is, and all handlers have returned

	mu      sync.Mutex
	changed chan struct{}
	batches []delivery // with records
	beats   []delivery // without
	claims  []*microbatch.Claim
	revoked []*microbatch.Claim
}

// join makes a member, which handles what comes until the test ends.
func join(t *testing.T, k *kafka, config microbatch.SubscriberConfig, handle handler) *member {
	t.Helper()
	m, err := tryJoin(t, k, config, handle)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryJoin(t *testing.T, k *kafka, config microbatch.SubscriberConfig, handle handler) (*member, error) {
	t.Helper()
	m := &member{changed: make(chan struct{}), done: make(chan struct{})}
	assigned, revoked := config.Assigned, config.Revoked
	config.Assigned = func(c *microbatch.Claim) {
		if assigned != nil {
			assigned(c)
		}
		m.note(func() { m.claims = append(m.claims, c) })
	}
	config.Revoked = func(c *microbatch.Claim) {
		if revoked != nil {
			revoked(c)
		}
		m.note(func() { m.revoked = append(m.revoked, c) })
	}
	s, err := microbatch.NewSubscriber(config, logger())
	if err != nil {
		t.Fatal(err)
	}
	m.Subscriber = s
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(t.Context())) // the test's ends before its cleanup
	if m.messages, err = s.Subscribe(ctx, k.topic); err != nil {
		m.cancel()
		return nil, err
	}
	t.Cleanup(func() { m.leave(t) })
	go func() {
		defer close(m.done)
		var handlers sync.WaitGroup
		defer handlers.Wait()
		for msg := range m.messages {
			handlers.Go(func() { m.take(t, msg, handle) })
		}
	}()
	return m, nil
}

func (m *member) take(t *testing.T, msg *message.Message, handle handler) {
	d := delivery{message: msg, at: time.Now()}
	var ok bool
	if d.claim, ok = microbatch.ClaimOf(msg.Context()); !ok {
		t.Error("a message without a claim")
		return
	}
	batch, err := microbatch.Open(msg.Payload)
	if err != nil {
		t.Error(err)
		return
	}
	d.batch = batch
	var r microbatch.Record
	for batch.Next(&r) {
		d.offsets = append(d.offsets, r.Offset)
		d.values = append(d.values, string(r.Value))
	}
	if batch.Err() != nil {
		t.Error(batch.Err())
	}
	m.note(func() {
		if batch.Count == 0 {
			m.beats = append(m.beats, d)
		} else {
			m.batches = append(m.batches, d)
		}
	})
	handle(d)
}

func (m *member) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

// read calls f where what was collected doesn't change.
func (m *member) read(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// until waits until a condition holds of what the member has collected.
func (m *member) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		ok, changed := holds(), m.changed
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("it took too long until %s", what)
		}
	}
}

// leave closes the member and waits until its handlers have returned.
func (m *member) leave(t *testing.T) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	m.cancel()
	<-m.done
}

// values returns a partition's values in the order in which they came. Held: mu.
func (m *member) values(partition int32) []string {
	var all []string
	for _, d := range m.batches {
		if d.claim.Partition == partition {
			all = append(all, d.values...)
		}
	}
	return all
}

// count returns how many records came. Held: mu.
func (m *member) count() int {
	n := 0
	for _, d := range m.batches {
		n += len(d.values)
	}
	return n
}

// owned returns the claims that are not over, by partition. Held: mu.
func (m *member) owned() map[int32]*microbatch.Claim {
	owned := map[int32]*microbatch.Claim{}
	for _, c := range m.claims {
		if !slices.Contains(m.revoked, c) {
			owned[c.Partition] = c
		}
	}
	return owned
}

// untilOwns waits until the member owns so many partitions.
func (m *member) untilOwns(t *testing.T, partitions int) {
	t.Helper()
	m.until(t, "the partitions are assigned", func() bool { return len(m.owned()) == partitions })
}

// untilAll waits until n records have come.
func (m *member) untilAll(t *testing.T, n int) {
	t.Helper()
	m.until(t, "all records have come", func() bool { return m.count() >= n })
}
