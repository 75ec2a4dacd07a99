package embedded_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/internal/embedded"
)

// idempotent returns a producer that doesn't write anything twice.
func idempotent(t *testing.T, brokers []string) sarama.SyncProducer {
	t.Helper()
	c := saramaConfig()
	c.Net.MaxOpenRequests = 1 // sarama's condition
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	// A real broker may say for a while that it isn't the leader of a topic that has just
	// been created.
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 100, 10*time.Millisecond
	producer, err := sarama.NewSyncProducerFromClient(saramaClient(t, brokers, c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := producer.Close(); err != nil {
			t.Error(err)
		}
	})
	return producer
}

// send writes the numbers from first on, one a partition in turn.
func send(t *testing.T, producer sarama.SyncProducer, topic string, first, n int) {
	t.Helper()
	var messages []*sarama.ProducerMessage
	for i := first; i < first+n; i++ {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: int32(i % partitions), Value: sarama.StringEncoder(fmt.Sprint(i))})
	}
	if err := producer.SendMessages(messages); err != nil {
		if failed, ok := errors.AsType[sarama.ProducerErrors](err); ok {
			err = fmt.Errorf("%w; the first of them: %w", err, failed[0])
		}
		t.Fatal(err)
	}
}

// written checks that the topic holds the first n numbers of send, each once and in order.
func written(t *testing.T, brokers []string, topic string, n int) {
	t.Helper()
	client := connect(t, brokers, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != int64(n) {
		t.Errorf("%d records, want %d", total, n)
	}
	next := map[int32]int{}
	ctx := patiently(t)
	for got := int64(0); got < total; {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got++
			if want := fmt.Sprint(int(r.Partition) + partitions*next[r.Partition]); string(r.Value) != want {
				t.Errorf("partition %d has %q at %d, want %q", r.Partition, r.Value, r.Offset, want)
			}
			next[r.Partition]++
		})
	}
}

// TestIdempotentProducer: sarama's idempotent producer works.
func TestIdempotentProducer(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		topic := topic(t, kadm.NewClient(connect(t, brokers)), partitions, nil)
		producer := idempotent(t, brokers)
		for i := range 10 {
			send(t, producer, topic, 300*i, 300)
		}
		written(t, brokers, topic, 3000)
	})
}

// TestIdempotentProducerRetries: neither lost answers nor moving leaders make it write
// twice or out of order.
func TestIdempotentProducerRetries(t *testing.T) {
	kafka := start(t, embedded.KafkaOptions{Brokers: 3, Topics: map[string]int32{"events": partitions}})
	producer := idempotent(t, kafka.Brokers())
	cluster := kafka.Cluster()
	send(t, producer, "events", 0, 300)
	// This error stands for a write that was done, and said to have failed.
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 5})
	send(t, producer, "events", 300, 300)
	if fault.Hits() != 5 {
		t.Errorf("%d answers were lost, want 5", fault.Hits())
	}
	for p := range int32(partitions) {
		leader := cluster.LeaderFor("events", p)
		if err := cluster.MoveTopicPartition("events", p, (leader+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	send(t, producer, "events", 600, 300)
	written(t, kafka.Brokers(), "events", 900)
}

// TestGroupSurvivesMoves: coordinators and leaders move under both kinds of rebalancing.
func TestGroupSurvivesMoves(t *testing.T) {
	for name, strategy := range strategies() {
		t.Run(name, func(t *testing.T) {
			kafka := start(t, embedded.KafkaOptions{Brokers: 3, Topics: map[string]int32{"events": partitions}})
			client := connect(t, kafka.Brokers())
			o := newOwners(t)
			config := saramaConfig()
			config.Metadata.Retry.Backoff = 20 * time.Millisecond
			config.Consumer.Retry.Backoff = 20 * time.Millisecond
			config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
			one := join(t, kafka.Brokers(), config, "events", o)
			o.waitFor("the member has all partitions", func() bool { return one.owned() == partitions })
			for round := range 5 {
				kafka.Cluster().RehashCoordinators()
				kafka.Cluster().ShufflePartitionLeaders()
				spread(t, client, "events", 10)
				o.waitFor("all records are seen", func() bool { n, _ := o.distinct(); return n == (round+1)*10*partitions })
			}
			eventually(t, "all are committed", func() bool {
				commits := committed(t, kadm.NewClient(client), "events")
				for p := range int32(partitions) {
					if commits[p] != 50 {
						return false
					}
				}
				return true
			})
			o.mu.Lock()
			defer o.mu.Unlock()
			_, again := o.distinct()
			t.Logf("%d sessions, %d claims, %d records seen again", one.sessions, o.claims, again)
		})
	}
}

// TestApplyRetention: kfake deletes batches of records that are older than the topic's
// retention.ms (a week unless it is set, as in Kafka) or beyond its retention.bytes, when
// it is told to; by itself only once an hour. A real broker deletes whole segments, and
// keeps the newest one that has not outlived retention.ms, however small retention.bytes.
func TestApplyRetention(t *testing.T) {
	kafka := start(t, embedded.KafkaOptions{Topics: map[string]int32{"default": 1}})
	client := connect(t, kafka.Brokers())
	admin := kadm.NewClient(client)
	for name, configs := range map[string]map[string]*string{
		"short":   {"retention.ms": new("60000")},
		"bytes":   {"retention.bytes": new("1")},
		"forever": {"retention.ms": new("-1")},
	} {
		if _, err := admin.CreateTopic(t.Context(), 1, 1, configs, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, age := range []time.Duration{10 * 24 * time.Hour, time.Hour, 0} {
		for _, name := range []string{"default", "short", "bytes", "forever"} {
			record := &kgo.Record{Topic: name, Timestamp: time.Now().Add(-age), Value: make([]byte, 50)}
			if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := func(name string) int64 { return kafka.Cluster().PartitionInfo(name, 0).LogStartOffset }
	if got := first("short"); got != 0 {
		t.Errorf("before, the first offset is %d, want 0", got)
	}
	kafka.Cluster().ApplyRetention()
	for name, want := range map[string]int64{"default": 1, "short": 2, "bytes": 3, "forever": 0} {
		if got := first(name); got != want {
			t.Errorf("%s: the first offset is %d, want %d", name, got, want)
		}
	}

	// A group that has committed what is gone doesn't start elsewhere in silence.
	offsets := kadm.Offsets{}
	offsets.AddOffset("short", 0, 1, -1)
	if err := admin.CommitAllOffsets(t.Context(), "short", offsets); err != nil {
		t.Fatal(err)
	}
	one := join(t, kafka.Brokers(), saramaConfig(), "short", newOwners(t))
	one.waitFor("it is told", func() bool {
		return slices.ContainsFunc(one.errs, func(err error) bool { return errors.Is(err, sarama.ErrOffsetOutOfRange) })
	})
	one.mu.Lock()
	defer one.mu.Unlock()
	if n, _ := one.distinct(); n != 0 {
		t.Errorf("it has read %d records", n)
	}
}

// TestControl: a test can answer in a broker's place, or close the connection instead.
func TestControl(t *testing.T) {
	kafka := start(t, embedded.KafkaOptions{Topics: map[string]int32{"events": 1}})
	client := saramaClient(t, kafka.Brokers(), saramaConfig())
	var dropped int
	kafka.Cluster().ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		dropped++
		return nil, errors.New("the connection is closed"), true
	})
	if err := client.RefreshMetadata("events"); err != nil {
		t.Fatalf("the client has not tried again: %v", err)
	}
	if dropped != 1 {
		t.Errorf("%d connections closed, want 1", dropped)
	}
}
