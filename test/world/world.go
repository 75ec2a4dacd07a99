package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// Patience bounds every wait for something that must happen.
const Patience = 60 * time.Second

// World is a broker with the topics of one run, what was produced, and what the oracle makes of it.
type World struct {
	T          testing.TB
	Brokers    []string
	Client     *kgo.Client
	Admin      *kadm.Client
	Topics     Topics
	Settings   operators.Settings
	Partitions int
	Shards     int

	Program string          // the name in its settings, where the built program does the work
	burials *sync.WaitGroup // of processes that were killed
	ended   chan struct{}   // closed when the test is over

	Logs   [][]sim.Record // as produced, with Kafka's offsets
	Values [][][]byte     // the records' bytes
}

// New makes a world on a Kafka: topics with so many partitions of events and of updates (shards).
func New(t testing.TB, brokers []string, s operators.Settings, partitions, shards int) *World {
	t.Helper()
	n := rand.Uint32() // so that each has topics of its own on a shared broker
	client, err := kgo.NewClient(kgo.UnknownTopicRetries(100), kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(3<<20), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &World{
		T: t, Brokers: brokers, Client: client, Admin: kadm.NewClient(client), Settings: s, Partitions: partitions, Shards: shards,
		Topics:  Topics{fmt.Sprintf("events-%08x", n), fmt.Sprintf("updates-%08x", n), fmt.Sprintf("dead-letters-%08x", n), fmt.Sprintf("rankings-%08x", n), fmt.Sprintf("group-%08x", n)},
		burials: &sync.WaitGroup{}, ended: make(chan struct{}),
		Logs: make([][]sim.Record, partitions), Values: make([][][]byte, partitions),
	}
	t.Cleanup(func() {
		close(w.ended)
		w.burials.Wait()
	})
	forever, large := "-1", "4194304" // some malformed records have more than Kafka's usual 1 MiB
	for topic, partitions := range map[string]int{w.Topics.Events: partitions, w.Topics.Updates: shards, w.Topics.Letters: 2} {
		if _, err := w.Admin.CreateTopic(t.Context(), int32(partitions), 1, map[string]*string{"retention.ms": &forever, "max.message.bytes": &large}, topic); err != nil {
			t.Fatal(err)
		}
	}
	w.Eventually("the broker knows its new topics", func() bool { // a real one takes a moment
		list, err := w.Admin.ListTopics(t.Context(), w.Topics.Events, w.Topics.Updates, w.Topics.Letters)
		return err == nil && list.Error() == nil && len(list) == 3
	})
	return w
}

// AsProgram has the world's topics and groups bear the names that the program gives them.
func (w *World) AsProgram(name string) *World {
	w.Program = name
	w.Topics.Group = w.GroupOf("intake")
	w.Topics.Updates, w.Topics.Rankings = name+".g1.updates", name+".g1.rankings"
	return w
}

// GroupOf returns the name of a handler's group: "intake", "rank", "leaderboard" or "late".
func (w *World) GroupOf(handler string) string {
	switch {
	case w.Program != "":
		return w.Program + ".g1." + handler
	case handler == "intake":
		return w.Topics.Group
	default:
		return w.Topics.Group + "-" + handler
	}
}

// Produce appends records to each partition's log, which becomes what Kafka holds: its offsets, and what it has twice.
func (w *World) Produce(logs [][]sim.Record) {
	w.T.Helper()
	var failed atomic.Pointer[error]
	for p, log := range logs {
		first := len(w.Logs[p])
		w.Logs[p] = append(w.Logs[p], log...)
		for i, r := range log {
			record := w.record(p, r, r.JSON())
			w.Values[p] = append(w.Values[p], record.Value)
			w.Client.Produce(w.T.Context(), record, func(got *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
					return
				}
				w.Logs[p][first+i].Offset = got.Offset
			})
		}
	}
	if err := w.Client.Flush(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		w.T.Fatal(*err)
	}
	for p, log := range logs {
		for i := max(1, len(w.Logs[p])-len(log)); i < len(w.Logs[p]); i++ {
			if w.Logs[p][i].Offset != w.Logs[p][i-1].Offset+1 {
				w.readBack()
				return
			}
		}
	}
}

// readBack makes the logs what the topic holds. A producer repeats what it has had no answer for, and a broker that
// was killed may not know the producer's numbers any more: then it has some records twice.
func (w *World) readBack() {
	w.T.Helper()
	type content struct {
		value, at string
		time      int64
	}
	of := func(r *kgo.Record) content {
		c := content{value: string(r.Value), time: r.Timestamp.UnixMilli()}
		for _, h := range r.Headers {
			c.at += string(h.Value)
		}
		return c
	}
	for p, records := range w.ReadAll(w.Topics.Events, w.Partitions) {
		known := map[content]sim.Record{}
		for i, r := range w.Logs[p] {
			known[of(w.record(p, r, w.Values[p][i]))] = r
		}
		w.Logs[p], w.Values[p] = nil, nil
		for _, record := range records {
			r, ok := known[of(record)]
			if !ok {
				w.T.Fatalf("%s/%d: a record at %d that this test has not produced", record.Topic, p, record.Offset)
			}
			r.Offset = record.Offset
			w.Logs[p], w.Values[p] = append(w.Logs[p], r), append(w.Values[p], record.Value)
		}
	}
}

// record returns what is produced for a record of a partition's log.
func (w *World) record(p int, r sim.Record, value []byte) *kgo.Record {
	record := &kgo.Record{Topic: w.Topics.Events, Partition: int32(p), Value: value, Timestamp: time.UnixMilli(r.Time), Key: []byte(r.Item)}
	if r.Kind == sim.Punctuation {
		record.Headers = []kgo.RecordHeader{{Key: "advance-watermark", Value: fmt.Append(nil, r.At)}}
	}
	return record
}

// LastOffset returns the offset of a partition's last record, or -1.
func (w *World) LastOffset(p int) int64 {
	if len(w.Logs[p]) == 0 {
		return -1
	}
	return w.Logs[p][len(w.Logs[p])-1].Offset
}

// Commit is what the group has committed for a partition.
type Commit struct {
	Offset  int64
	Through int64 // processed-through, of the metadata
	Text    string
}

// Commits reads what the group has committed; for partitions without a commit, offset -1.
func (w *World) Commits() []Commit {
	w.T.Helper()
	list := make([]Commit, w.Partitions)
	for p := range list {
		list[p] = Commit{Offset: -1, Through: -1}
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	all, err := w.Admin.FetchOffsets(ctx, w.Topics.Group)
	if err != nil {
		return list
	}
	all.Each(func(o kadm.OffsetResponse) {
		if o.Topic == w.Topics.Events && o.Err == nil && o.At >= 0 {
			list[o.Partition] = Commit{o.At, through(w.T, o.Metadata), o.Metadata}
		}
	})
	return list
}

// AwaitDone waits until all that was produced is processed through, and committed.
func (w *World) AwaitDone() {
	w.T.Helper()
	w.Eventually("everything is processed and committed", func() bool {
		for p, c := range w.Commits() {
			if c.Through < w.LastOffset(p) {
				return false
			}
		}
		return true
	})
}

// AwaitProgress waits until so many records, of all partitions together, are processed through; or all, where there aren't more.
func (w *World) AwaitProgress(records int64) {
	w.T.Helper()
	records = min(records, w.Total())
	w.Eventually(fmt.Sprintf("%d records are processed", records), func() bool { return w.Processed() >= records })
}

// Processed returns how many records, of all partitions together, are processed through.
func (w *World) Processed() (n int64) {
	for _, c := range w.Commits() {
		n += c.Through + 1
	}
	return n
}

// Total returns how many there are.
func (w *World) Total() (n int64) {
	for p := range w.Logs {
		n += w.LastOffset(p) + 1
	}
	return n
}

// Eventually waits until a condition holds.
func (w *World) Eventually(what string, holds func() bool) {
	w.T.Helper()
	w.EventuallyOr(what, holds, func() string {
		return fmt.Sprintf("commits %+v, last offsets of %d records", w.Commits(), w.Total())
	})
}

// EventuallyOr is Eventually that says itself why the condition doesn't hold.
func (w *World) EventuallyOr(what string, holds func() bool, why func() string) {
	w.T.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(Patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.T.Fatalf("it took more than %v until %s:\n%s", Patience, what, why())
		}
	}
}

// Topics are the names in use.
type Topics struct{ Events, Updates, Letters, Rankings, Group string }

// CommitBy commits an offset for a partition, from outside.
func (w *World) CommitBy(partition int32, offset int64, metadata string) {
	w.T.Helper()
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: w.Topics.Events, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	w.Eventually("a commit from outside is taken", func() bool { // not at once where the topic is new
		return w.Admin.CommitAllOffsets(w.T.Context(), w.Topics.Group, o) == nil
	})
}

// DeleteRecords moves the starts of logs, as retention does.
func (w *World) DeleteRecords(until kadm.Offsets) {
	w.T.Helper()
	w.Eventually("records are deleted", func() bool { // not at once where a leader is new
		got, err := w.Admin.DeleteRecords(w.T.Context(), until)
		return err == nil && got.Error() == nil
	})
}

// AddPartitions adds so many to the events topic.
func (w *World) AddPartitions(n int) {
	w.T.Helper()
	got, err := w.Admin.UpdatePartitions(w.T.Context(), w.Partitions+n, w.Topics.Events)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

// CommittedText returns the metadata of a partition's commit.
func (w *World) CommittedText(partition int32) string {
	w.T.Helper()
	all, err := w.Admin.FetchOffsets(w.T.Context(), w.Topics.Group)
	if err != nil {
		w.T.Fatal(err)
	}
	o, _ := all.Lookup(w.Topics.Events, partition)
	return o.Metadata
}
