package microbatch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/microbatch"
)

// produceSizes writes records of these sizes to partition 0, each in a batch of its own.
func (k *kafka) produceSizes(t *testing.T, sizes ...int) {
	t.Helper()
	for _, n := range sizes {
		if err := k.client.ProduceSync(t.Context(), &kgo.Record{Value: bytes.Repeat([]byte{'x'}, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBatchRecords: a message holds no more records than it may, and is full where there are enough.
func TestBatchRecords(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 1000)
	config := k.settings("sticky")
	config.BatchRecords = 64
	config.BatchLinger = time.Second
	m := join(t, k, config, ack)
	m.untilAll(t, 960)
	m.read(func() {
		for i, d := range m.batches {
			if len(d.values) != 64 {
				t.Errorf("batch %d has %d records, want 64", i, len(d.values))
			}
		}
	})
}

// TestBatchBytes: a message that has reached its size gets no more records; one record that is larger comes, too.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produceSizes(t, 300, 300, 300, 300, 300, 900_000, 2000, 10)
	config := k.settings("sticky")
	config.BatchBytes = 1000
	config.BatchLinger = 500 * time.Millisecond
	m := join(t, k, config, ack)
	m.untilAll(t, 8)
	var got []int
	m.read(func() {
		for _, d := range m.batches {
			got = append(got, len(d.values))
			if less := len(d.message.Payload) - len(d.values[len(d.values)-1]) - 50; less > 1000 {
				t.Errorf("%d bytes before the last record", less)
			}
		}
	})
	if want := "[4 2 1 1]"; fmt.Sprint(got) != want {
		t.Errorf("batches have %v records, want %s", got, want)
	}
}

// TestBatchLinger: a message that isn't full waits for more, and no longer than it may.
func TestBatchLinger(t *testing.T) {
	k := fake(t, 1, 1)
	config := k.settings("sticky")
	config.BatchLinger = 2 * time.Second
	m := join(t, k, config, ack)
	m.untilQuiet(t, 0, 0, 0)
	began := time.Now()
	for i := range 5 {
		k.produce(t, 0, i, 1)
		<-time.After(20 * time.Millisecond)
	}
	m.untilAll(t, 5)
	m.read(func() {
		if len(m.batches) != 1 {
			t.Errorf("%d batches, want 1", len(m.batches))
		}
		if waited := m.batches[0].at.Sub(began); waited < config.BatchLinger || waited > 2*config.BatchLinger {
			t.Errorf("it came after %v", waited)
		}
	})
}

// TestLargeRecords: records that are larger than what is fetched at a time come all the same, in order.
func TestLargeRecords(t *testing.T) {
	eachKafka(t, 1, func(t *testing.T, k *kafka) {
		sizes := []int{10, 900_000, 10, 10, 50_000, 900_000, 900_000, 10}
		k.produceSizes(t, sizes...)
		config := k.settings("sticky")
		config.FetchBytes = 10_000
		m := join(t, k, config, ack)
		m.untilAll(t, len(sizes))
		m.read(func() {
			i := 0
			for _, d := range m.batches {
				for j, v := range d.values {
					if len(v) != sizes[i] || d.offsets[j] != int64(i) {
						t.Errorf("record %d at offset %d has %d bytes, want %d", i, d.offsets[j], len(v), sizes[i])
					}
					i++
				}
			}
		})
	})
}

// TestReadAhead: behind a blocked handler one more batch is filled, and the claim's own client reads ahead
// a few fetches: nothing else is taken from the broker for long.
func TestReadAhead(t *testing.T) {
	k := fake(t, 1, 1)
	const total = 30_000
	for i := range 10 {
		k.produce(t, 0, i*total/10, total/10)
	}
	fetched := k.fetches()
	config := k.settings("sticky")
	config.FetchBytes = 1000 // more than a batch of produce's: that is the least
	config.BatchRecords = 10
	unblock := make(chan struct{})
	m := join(t, k, config, func(d delivery) {
		if len(d.values) > 0 {
			<-unblock
		}
		d.message.Ack()
	})
	m.untilAll(t, 10)
	<-time.After(500 * time.Millisecond)
	before := fetched()
	<-time.After(500 * time.Millisecond)
	if n := fetched() - before; n > 0 {
		t.Errorf("%d fetches of records while the handler is blocked", n)
	}
	close(unblock)
	m.untilAll(t, total)
	m.read(func() {
		if err := same(m.values(0), values(0, 0, total)); err != nil {
			t.Error(err)
		}
	})
}

// TestReusePayloads: payloads that are acknowledged are used again, those that are refused are not.
func TestReusePayloads(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 5000)
	config := k.settings("sticky")
	config.BatchRecords = 50
	config.ReusePayloads = true
	payloads := map[*byte]bool{}
	n, refused := 0, int64(-1)
	m := join(t, k, config, func(d delivery) {
		if len(d.values) > 0 {
			n++
			payloads[&d.message.Payload[0]] = true
			if n%10 == 0 && d.batch.Position != refused {
				refused = d.batch.Position
				d.message.Nack()
				return
			}
		}
		d.message.Ack()
	})
	m.until(t, "all records have come", func() bool { n := len(m.batches); return n > 0 && m.batches[n-1].next() == 5000 })
	m.leave(t)
	var got []string
	for i, d := range m.batches {
		if i == 0 || d.batch.Position != m.batches[i-1].batch.Position {
			got = append(got, d.values...)
		}
	}
	if err := same(got, values(0, 0, 5000)); err != nil {
		t.Error(err)
	}
	if len(payloads) > 20 {
		t.Errorf("%d payloads for %d messages", len(payloads), n)
	}
}

// TestSubscriberConfig: what is wrong is said, all of it at once, by Kafka's names; the defaults are right.
func TestSubscriberConfig(t *testing.T) {
	t.Parallel()
	c := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: []string{"a:1"}}, "group")
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	wrong := microbatch.SubscriberConfig{AssignmentStrategy: "random", IsolationLevel: "none", FetchBytes: 1 << 31, SilentInterval: -1, ReleaseTimeout: -1, RebalanceTimeout: -2, BatchLinger: -1}
	err := wrong.Validate()
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, name := range []string{
		"bootstrap.servers", "group.id", "partition.assignment.strategy", "isolation.level", "session.timeout.ms", "max.poll.interval.ms",
		"fetch.max.wait.ms", "fetch.min.bytes", "max.partition.fetch.bytes", "auto.commit.interval.ms", "batch records", "batch bytes", "batch linger",
		"silent interval", "release timeout", "retry",
	} {
		if !strings.Contains(err.Error(), name+": ") {
			t.Errorf("nothing is said of %s: %v", name, err)
		}
	}
	if _, err := microbatch.NewSubscriber(wrong, nil); err == nil {
		t.Error("a Subscriber is made of it")
	}
}
