package microbatch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // one for the process, which sarama's metrics start
}

// logger logs what Subscribers say when the tests run with -v.
func logger() watermill.LoggerAdapter {
	if !testing.Verbose() {
		return watermill.NopLogger{}
	}
	return watermill.NewSlogLogger(nil)
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// startKafka starts an embedded Kafka with one topic, "events".
func startKafka(t *testing.T, partitions int32) *embedded.Kafka {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"events": partitions}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

// client returns a client for what the tests do to Kafka.
func client(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produce writes n records to a partition of "events", with values "<partition>/<number>" from the first number on.
func produce(t *testing.T, c *kgo.Client, partition int32, first, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: "events", Partition: partition, Value: fmt.Appendf(nil, "%d/%d", partition, first+i)})
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// quick are settings for tests, where things should happen soon.
func quick(brokers []string) microbatch.SubscriberConfig {
	c := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: brokers}, "group")
	c.SessionTimeout, c.HeartbeatInterval = 6*time.Second, 100*time.Millisecond
	c.SilentInterval = 20 * time.Millisecond
	c.CommitInterval = 20 * time.Millisecond
	c.FetchMaxWait = 50 * time.Millisecond
	c.RetryMin = 10 * time.Millisecond
	return c
}

// member is one member of the group, which collects what it is given.
type member struct {
	*microbatch.Subscriber
	messages <-chan *message.Message
	stop     context.CancelFunc

	mu      sync.Mutex
	changed chan struct{}
	values  map[int32][]string // by partition, in the order in which they came
	offsets map[int32][]int64
	claims  []*microbatch.Claim // assigned
	revoked []*microbatch.Claim
	batches int
	beats   []microbatch.Batch
	err     error
	done    chan struct{}
}

// join makes a member and lets it handle what comes; handle nil acknowledges everything.
func join(t *testing.T, config microbatch.SubscriberConfig, handle func(*member, *microbatch.Claim, microbatch.Batch, *message.Message)) *member {
	t.Helper()
	m := &member{changed: make(chan struct{}), values: map[int32][]string{}, offsets: map[int32][]int64{}, done: make(chan struct{})}
	config.Assigned = func(c *microbatch.Claim) { m.note(func() { m.claims = append(m.claims, c) }) }
	config.Revoked = func(c *microbatch.Claim) { m.note(func() { m.revoked = append(m.revoked, c) }) }
	s, err := microbatch.NewSubscriber(config, logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.Subscriber, m.stop = s, stop
	if m.messages, err = s.Subscribe(ctx, "events"); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = s.Close(); <-m.done })
	if handle == nil {
		handle = func(_ *member, _ *microbatch.Claim, _ microbatch.Batch, msg *message.Message) { msg.Ack() }
	}
	go func() {
		defer close(m.done)
		var handlers sync.WaitGroup
		defer handlers.Wait()
		for msg := range m.messages {
			handlers.Go(func() { m.take(t, msg, handle) }) // as Watermill's router does
		}
	}()
	return m
}

func (m *member) take(t *testing.T, msg *message.Message, handle func(*member, *microbatch.Claim, microbatch.Batch, *message.Message)) {
	claim, ok := microbatch.ClaimOf(msg.Context())
	if !ok {
		t.Error("a message without a claim")
		return
	}
	batch, err := microbatch.Open(msg.Payload)
	if err != nil {
		t.Error(err)
		return
	}
	handle(m, claim, batch, msg)
	m.note(func() {
		if batch.Count == 0 {
			m.beats = append(m.beats, batch)
			return
		}
		m.batches++
		var r microbatch.Record
		for batch.Next(&r) {
			m.values[claim.Partition] = append(m.values[claim.Partition], string(r.Value))
			m.offsets[claim.Partition] = append(m.offsets[claim.Partition], r.Offset)
		}
		if batch.Err() != nil {
			t.Error(batch.Err())
		}
	})
}

func (m *member) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
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

// eventually waits until a condition holds of something else.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it took too long until %s", what)
		}
	}
}

// committed returns what the group has committed for a partition of "events".
func committed(t *testing.T, c *kgo.Client, partition int32) (offset int64, metadata string) {
	t.Helper()
	all, err := kadm.NewClient(c).FetchOffsets(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	o, ok := all.Lookup("events", partition)
	if !ok {
		return -1, ""
	}
	return o.At, o.Metadata
}
