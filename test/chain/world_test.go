package chain_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// world is a broker with the topics of one run, what was produced, and what the oracle makes of it.
type world struct {
	t          *testing.T
	brokers    []string
	client     *kgo.Client
	admin      *kadm.Client
	topics     topics
	settings   operators.Settings
	partitions int
	shards     int

	programs []*process      // that startProgram has started
	burials  *sync.WaitGroup // of processes that were killed
	ended    chan struct{}   // closed when the test is over

	logs   [][]sim.Record // as produced, with Kafka's offsets
	values [][][]byte     // the records' bytes
}

var worlds atomic.Int64 // so that each has topics of its own on a shared broker

func newWorld(t *testing.T, brokers []string, s operators.Settings, partitions, shards int) *world {
	t.Helper()
	n := worlds.Add(1)
	client, err := kgo.NewClient(kgo.UnknownTopicRetries(100), kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(3<<20), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &world{
		t: t, brokers: brokers, client: client, admin: kadm.NewClient(client), settings: s, partitions: partitions, shards: shards,
		topics:  topics{fmt.Sprintf("events-%d", n), fmt.Sprintf("updates-%d", n), fmt.Sprintf("dead-letters-%d", n), fmt.Sprintf("rankings-%d", n), fmt.Sprintf("group-%d", n)},
		burials: &sync.WaitGroup{}, ended: make(chan struct{}),
		logs: make([][]sim.Record, partitions), values: make([][][]byte, partitions),
	}
	t.Cleanup(func() {
		close(w.ended)
		w.burials.Wait()
	})
	forever, large := "-1", "4194304" // some malformed records have more than Kafka's usual 1 MiB
	for topic, partitions := range map[string]int{w.topics.Events: partitions, w.topics.Updates: shards, w.topics.Letters: 2} {
		if _, err := w.admin.CreateTopic(t.Context(), int32(partitions), 1, map[string]*string{"retention.ms": &forever, "max.message.bytes": &large}, topic); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// member returns settings for a member in which everything happens soon.
func (w *world) member() memberConfig {
	return memberConfig{
		Brokers: w.brokers, Topics: w.topics, Shards: w.shards, Partitions: w.partitions, Settings: w.settings,
		Strategy: "cooperative-sticky", Generation: 1, SessionTimeout: 600 * time.Millisecond, HeartbeatInterval: 100 * time.Millisecond,
		FlushInterval: 20 * time.Millisecond, FlushCells: 50_000, PendingCells: 500_000, BatchRecords: 1000,
		CommitInterval: 20 * time.Millisecond, IdleTimeout: 300 * time.Millisecond, SilentInterval: 20 * time.Millisecond,
		ReleaseTimeout: 500 * time.Millisecond, DeliveryTime: 10 * time.Second,
	}
}

// produce appends records to each partition's log. Their offsets become those that Kafka gives them.
func (w *world) produce(logs [][]sim.Record) {
	w.t.Helper()
	var failed atomic.Pointer[error]
	for p, log := range logs {
		first := len(w.logs[p])
		w.logs[p] = append(w.logs[p], log...)
		for i, r := range log {
			record := &kgo.Record{Topic: w.topics.Events, Partition: int32(p), Value: r.JSON(), Timestamp: time.UnixMilli(r.Time), Key: []byte(r.Item)}
			if r.Kind == sim.Punctuation {
				record.Headers = []kgo.RecordHeader{{Key: "advance-watermark", Value: fmt.Append(nil, r.At)}}
			}
			w.values[p] = append(w.values[p], record.Value)
			w.client.Produce(w.t.Context(), record, func(got *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
					return
				}
				w.logs[p][first+i].Offset = got.Offset
			})
		}
	}
	if err := w.client.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		w.t.Fatal(*err)
	}
}

// lastOffset returns the offset of a partition's last record, or -1.
func (w *world) lastOffset(p int) int64 {
	if len(w.logs[p]) == 0 {
		return -1
	}
	return w.logs[p][len(w.logs[p])-1].Offset
}

// commit is what the group has committed for a partition.
type commit struct {
	offset  int64
	through int64 // processed-through, of the metadata
	text    string
}

// commits reads what the group has committed; for partitions without a commit, offset -1.
func (w *world) commits() []commit {
	w.t.Helper()
	list := make([]commit, w.partitions)
	for p := range list {
		list[p] = commit{offset: -1, through: -1}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := w.admin.FetchOffsets(ctx, w.topics.Group)
	if err != nil {
		return list
	}
	all.Each(func(o kadm.OffsetResponse) {
		if o.Topic == w.topics.Events && o.Err == nil && o.At >= 0 {
			list[o.Partition] = commit{o.At, through(w.t, o.Metadata), o.Metadata}
		}
	})
	return list
}

// awaitDone waits until all that was produced is processed through, and committed.
func (w *world) awaitDone() {
	w.t.Helper()
	w.eventually("everything is processed and committed", func() bool {
		for p, c := range w.commits() {
			if c.through < w.lastOffset(p) {
				return false
			}
		}
		return true
	})
}

// awaitProgress waits until so many records, of all partitions together, are processed through; or all, where there aren't more.
func (w *world) awaitProgress(records int64) {
	w.t.Helper()
	records = min(records, w.total())
	w.eventually(fmt.Sprintf("%d records are processed", records), func() bool { return w.processed() >= records })
}

func (w *world) processed() (n int64) {
	for _, c := range w.commits() {
		n += c.through + 1
	}
	return n
}

func (w *world) total() (n int64) {
	for p := range w.logs {
		n += w.lastOffset(p) + 1
	}
	return n
}

// eventually waits until a condition holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.t.Fatalf("it took more than %v until %s; commits %+v, last offsets of %d records", patience, what, w.commits(), w.total())
		}
	}
}
