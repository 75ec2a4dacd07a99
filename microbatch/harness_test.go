package microbatch_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

// apacheKafka is one for all tests here.
var apacheKafka = apachekafka.NewShared(apachekafka.Options{})

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // unless it is given: tests wait more than they work
	goleak.VerifyTestMain(settled{apacheKafka.Main(m)}, libraries()...)
}

// libraries are goroutines that libraries leave, besides what goleak is told further.
func libraries(further ...goleak.Option) []goleak.Option {
	return append(further,
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"), // one for the process, which sarama's metrics start
		// Very rarely franz-go 1.22.3 leaves this one of a client that was closed. One that wasn't has others, too.
		goleak.IgnoreTopFunction("github.com/twmb/franz-go/pkg/kgo.(*fetchManager).manageFetchConcurrency"),
	)
}

// settled waits after the tests until goroutines that end by themselves have ended: watermill-kafka doesn't wait for
// sarama's client to close, which may be looking for a broker.
type settled struct{ tests interface{ Run() int } }

// Run runs the tests.
func (s settled) Run() int {
	code := s.tests.Run()
	for began := time.Now(); goleak.Find(libraries()...) != nil && time.Since(began) < 5*time.Second; {
	}
	return code
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

// strategies are the ways of assigning partitions that are tested: the one that stops only
// partitions that move, and one that stops all.
func strategies() []string { return []string{"cooperative-sticky", "sticky"} }

// kafka is a Kafka with a topic and a group for one test.
type kafka struct {
	brokers []string
	topic   string
	group   string
	cluster *kfake.Cluster // nil: a real one
	client  *kgo.Client    // for what the test does to it
	admin   *kadm.Client
}

// fake starts an embedded Kafka with one topic.
func fake(t *testing.T, partitions int32, brokers int) *kafka {
	t.Helper()
	k, err := embedded.StartKafka(embedded.KafkaOptions{Brokers: brokers, Topics: map[string]int32{"events": partitions}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return newKafka(t, k.Brokers(), "events", k.Cluster())
}

// apache makes a topic in the real Kafka that the tests share.
func apache(t *testing.T, partitions int32) *kafka {
	t.Helper()
	if testing.Short() {
		t.Skip("a real Kafka takes long to start")
	}
	broker := apacheKafka.Broker(t)
	name := strings.NewReplacer("/", ".", " ", "_").Replace(t.Name())
	k := newKafka(t, broker.Brokers(), fmt.Sprintf("%s.%d", name, time.Now().UnixNano()), nil)
	k.create(t, partitions)
	return k
}

func newKafka(t *testing.T, brokers []string, topic string, cluster *kfake.Cluster) *kafka {
	t.Helper()
	k := &kafka{brokers: brokers, topic: topic, group: topic + "-group", cluster: cluster}
	k.client = k.connect(t)
	k.admin = kadm.NewClient(k.client)
	return k
}

// each runs a test against the embedded Kafka, and against a real one, by each strategy, all at the same time.
func each(t *testing.T, partitions int32, test func(t *testing.T, k *kafka, strategy string)) {
	t.Helper()
	t.Parallel()
	for _, strategy := range strategies() {
		t.Run("kfake/"+strategy, func(t *testing.T) {
			t.Parallel()
			test(t, fake(t, partitions, 1), strategy)
		})
		t.Run("apache/"+strategy, func(t *testing.T) {
			t.Parallel()
			test(t, apache(t, partitions), strategy)
		})
	}
}

// alone is each for tests that measure time, or change what all tests share: one after the other.
func alone(t *testing.T, partitions int32, test func(t *testing.T, k *kafka, strategy string)) {
	t.Helper()
	for _, strategy := range strategies() {
		t.Run("kfake/"+strategy, func(t *testing.T) { test(t, fake(t, partitions, 1), strategy) })
		t.Run("apache/"+strategy, func(t *testing.T) { test(t, apache(t, partitions), strategy) })
	}
}

// eachKafka runs a test against the embedded Kafka, and against a real one, where the strategy doesn't matter.
func eachKafka(t *testing.T, partitions int32, test func(t *testing.T, k *kafka)) {
	t.Helper()
	t.Parallel()
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		test(t, fake(t, partitions, 1))
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		test(t, apache(t, partitions))
	})
}

// eachFake runs a test against the embedded Kafka, by each strategy.
func eachFake(t *testing.T, partitions int32, brokers int, test func(t *testing.T, k *kafka, strategy string)) {
	t.Helper()
	t.Parallel()
	for _, strategy := range strategies() {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			test(t, fake(t, partitions, brokers), strategy)
		})
	}
}

// connect returns another client, for instance one with transactions.
func (k *kafka) connect(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return client(t, k.brokers, append([]kgo.Opt{kgo.DefaultProduceTopic(k.topic), kgo.ProducerLinger(0)}, opts...)...)
}

// client returns a client for what the tests do to Kafka.
func client(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.UnknownTopicRetries(100), kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(20 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (k *kafka) create(t *testing.T, partitions int32) {
	t.Helper()
	eventually(t, "the topic is created", func() bool {
		r, err := k.admin.CreateTopic(t.Context(), partitions, 1, nil, k.topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			t.Fatal(err)
		}
		return err == nil && r.Err == nil // one that was just deleted may still be there
	})
}

// produce writes n records to a partition, with values "<partition>/<number>" from the first number on.
func (k *kafka) produce(t *testing.T, partition int32, first, n int) {
	t.Helper()
	produceWith(t, k.client, partition, first, n)
}

func produceWith(t *testing.T, c *kgo.Client, partition int32, first, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Partition: partition, Value: fmt.Appendf(nil, "%d/%d", partition, first+i)})
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// values are those of produce, from a number on.
func values(partition int32, first, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%d/%d", partition, first+i))
	}
	return all
}

// committed returns what the group has committed for a partition; -1 for nothing.
func (k *kafka) committed(t *testing.T, partition int32) (offset int64, metadata string) {
	t.Helper()
	all, err := k.admin.FetchOffsets(t.Context(), k.group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	o, ok := all.Lookup(k.topic, partition)
	if !ok {
		return -1, ""
	}
	return o.At, o.Metadata
}

// commit writes a commit as a tool would, while the group has no members.
func (k *kafka) commit(t *testing.T, partition int32, offset int64, metadata string) {
	t.Helper()
	all := kadm.Offsets{}
	all.Add(kadm.Offset{Topic: k.topic, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	eventually(t, "the group takes a commit from outside", func() bool {
		r, err := k.admin.CommitOffsets(t.Context(), k.group, all)
		return err == nil && r.Error() == nil
	})
}

// deleteRecords moves the start of a partition's log, as retention does.
func (k *kafka) deleteRecords(t *testing.T, partition int32, to int64) {
	t.Helper()
	all := kadm.Offsets{}
	all.AddOffset(k.topic, partition, to, -1)
	eventually(t, "records are deleted", func() bool {
		r, err := k.admin.DeleteRecords(t.Context(), all)
		return err == nil && r.Error() == nil
	})
}

// stable waits until the group has settled with so many members.
func (k *kafka) stable(t *testing.T, members int) {
	t.Helper()
	eventually(t, "the group has settled", func() bool {
		groups, err := k.admin.DescribeGroups(t.Context(), k.group)
		return err == nil && groups[k.group].State == "Stable" && len(groups[k.group].Members) == members
	})
}

// settings are those for tests, where things should happen soon.
func (k *kafka) settings(strategy string) microbatch.SubscriberConfig {
	c := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: k.brokers}, k.group)
	c.AssignmentStrategy = strategy
	c.SessionTimeout, c.HeartbeatInterval = 6*time.Second, 50*time.Millisecond
	c.SilentInterval = 20 * time.Millisecond
	c.CommitInterval = 20 * time.Millisecond
	c.FetchMaxWait = 50 * time.Millisecond
	c.RetryMin = 10 * time.Millisecond
	return c
}

// eventually waits until a condition holds.
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

// within fails the test if what f does takes longer.
func within(t *testing.T, limit time.Duration, what string, f func()) time.Duration {
	t.Helper()
	began := time.Now()
	f()
	took := time.Since(began)
	if took > limit {
		t.Errorf("%s took %v, at most %v", what, took, limit)
	}
	return took
}

// pace checks that something happens once in an interval. A machine that stands still for a moment makes one time late, and the next one
// close to it, but no more of them.
func pace(t *testing.T, what string, times []time.Time, interval time.Duration) {
	t.Helper()
	gaps := make([]time.Duration, 0, len(times))
	for i, at := range times[1:] {
		gaps = append(gaps, at.Sub(times[i]))
	}
	took := times[len(times)-1].Sub(times[0])
	if most := int(took/interval) + 2; len(gaps) > most {
		t.Errorf("%s: %d in %v, at most %d in intervals of %v", what, len(gaps), took, most, interval)
	}
	slices.Sort(gaps)
	if usual := gaps[len(gaps)/2]; usual < interval/2 || usual > 2*interval {
		t.Errorf("%s: usually one in %v, want one in %v", what, usual, interval)
	}
}

func same(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("number %d is %q, want %q (%d in all, want %d)", i, got[i], want[i], len(got), len(want))
		}
	}
	return fmt.Errorf("%d, want %d", len(got), len(want))
}

func (k *kafka) addPartitions(t *testing.T, total int) {
	t.Helper()
	r, err := k.admin.UpdatePartitions(t.Context(), total, k.topic)
	if err == nil {
		err = r.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fetches returns a count of the fetches by consumers that have brought something, of the embedded Kafka.
func (k *kafka) fetches() func() int64 {
	var n atomic.Int64
	last := map[int32]int64{}
	k.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.cluster.KeepControl()
		for _, topic := range r.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				if before, ok := last[p.Partition]; !ok || before != p.FetchOffset {
					n.Add(1)
					last[p.Partition] = p.FetchOffset
				}
			}
		}
		return nil, nil, false
	})
	return n.Load
}
