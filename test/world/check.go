package world

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/deadletters"
	"github.com/millrank/millrank/wire"
)

var throughPattern = regexp.MustCompile(`processed-through:(-?\d+)`)

func through(t testing.TB, metadata string) int64 {
	t.Helper()
	found := throughPattern.FindStringSubmatch(metadata)
	if found == nil {
		t.Errorf("metadata %q of a commit says no processed-through", metadata)
		return -1
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n
}

// ReadAll reads a topic from start to end, in the order of each partition.
func (w *World) ReadAll(topic string, partitions int) [][]*kgo.Record {
	w.T.Helper()
	list := make([][]*kgo.Record, partitions)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var left map[int32]int64
	w.Eventually("the ends of "+topic+" are known", func() bool {
		ends, err := w.Admin.ListCommittedOffsets(ctx, topic)
		if err != nil || ends.Error() != nil { // leaders may be moving
			return false
		}
		left = map[int32]int64{}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Offset > 0 {
				left[o.Partition] = o.Offset
			}
		})
		return true
	})
	if len(left) == 0 {
		return list
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.T.Fatal(err)
	}
	defer c.Close()
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			w.T.Fatalf("reading %s: %v", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			list[r.Partition] = append(list[r.Partition], r)
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return list
}

// Received is what the receivers of the updates topic have.
type Received struct {
	Cells []sim.Cells // by source partition
	AsOf  []int64     // by source partition: least over the shards
	Parts int
	Sent  int // cells, in all messages
}

// Receive takes the updates topic in as a rank does, shard by shard: whole flushes only, the newest of each source. Every flush that it takes in
// it compares with the oracle's cells as of that offset, if the oracle is given.
func (w *World) Receive() Received {
	w.T.Helper()
	got := Received{Cells: make([]sim.Cells, w.Partitions), AsOf: slices.Repeat([]int64{1 << 62}, w.Partitions)}
	for p := range got.Cells {
		got.Cells[p] = sim.Cells{}
	}
	for shard, log := range w.ReadAll(w.Topics.Updates, w.Shards) {
		receiver := operators.NewReceiver[[]event.Cell](w.Partitions, 1<<40, operators.ResumeAt(0))
		asOf := slices.Repeat([]int64{-1}, w.Partitions)
		for _, record := range log {
			sender, to, update, err := wire.DecodeUpdate(record.Value)
			if err != nil || to != shard || sender.Source != "test/"+w.Topics.Events || sender.SourcePartitions != w.Partitions {
				w.T.Fatalf("update at %d/%d: to shard %d from %+v: %v", shard, record.Offset, to, sender, err)
			}
			got.Parts++
			got.Sent += len(update.Cells)
			flush, took, err := receiver.Take(record.Offset, update.Part, update.Cells)
			if err != nil {
				w.T.Fatal(err)
			}
			if took != operators.Fresh {
				continue
			}
			asOf[flush.Source] = flush.AsOf
			for _, part := range flush.Parts {
				for _, c := range part {
					if operators.Shard(c.Item, w.Shards) != shard {
						w.T.Fatalf("item %q came to shard %d", c.Item, shard)
					}
					key := sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}
					got.Cells[flush.Source][key] = sim.Totals{Count: c.Count, Sum: c.Sum, Min: c.Min, Max: c.Max, Duplicates: c.Duplicates}
				}
			}
		}
		for p, o := range asOf {
			got.AsOf[p] = min(got.AsOf[p], o)
		}
	}
	return got
}

// Letter is a dead letter's place in the source.
type Letter struct {
	Partition int32
	Offset    int64
}

// Letters reads the dead letters, and how often each came.
func (w *World) Letters() (map[Letter]deadletters.Letter, map[Letter]int) {
	w.T.Helper()
	found, times := map[Letter]deadletters.Letter{}, map[Letter]int{}
	ids := map[Letter]string{}
	for _, log := range w.ReadAll(w.Topics.Letters, 2) {
		for _, record := range log {
			msg := message.NewMessage("", record.Value)
			for _, h := range record.Headers {
				if h.Key == "_watermill_message_uuid" {
					msg.UUID = string(h.Value)
					continue
				}
				msg.Metadata.Set(h.Key, string(h.Value))
			}
			l, err := deadletters.Parse(msg)
			if err != nil {
				w.T.Fatalf("dead letter: %v", err)
			}
			at := Letter{l.Partition, l.Offset}
			if id, ok := ids[at]; ok && id != msg.UUID {
				w.T.Errorf("dead letter of %v has the ID %s, and %s when it came again", at, id, msg.UUID)
			}
			ids[at] = msg.UUID
			l.Value = record.Value // nil or empty as the broker has it
			found[at] = l
			times[at]++
		}
	}
	return found, times
}

// Check compares all that came out with the oracle. Repeats of dead letters are fine after a crash, not else.
func (w *World) Check(crashed bool) {
	w.T.Helper()
	got := w.Receive()
	letters, times := w.Letters()
	w.T.Logf("%d dead letters, %d updates with %d cells", len(letters), got.Parts, got.Sent)
	want := map[Letter]event.Decision{}
	for p, log := range w.Logs {
		outcomes := sim.Decide(w.Settings, log)
		cells := sim.CellsOf(w.Settings, log, outcomes)
		w.compareCells(p, got.Cells[p], cells)
		for i, o := range outcomes {
			if !o.Decision.DeadLetter() {
				continue
			}
			at := Letter{int32(p), o.Offset}
			want[at] = o.Decision
			l, ok := letters[at]
			switch {
			case !ok:
				w.T.Errorf("no dead letter of %v, which is %v", at, o.Decision)
			case l.Reason != o.Decision || l.Topic != w.Topics.Events || !bytes.Equal(l.Value, w.Values[p][i]):
				w.T.Errorf("dead letter of %v is %v of %s with %q, want %v with %q", at, l.Reason, l.Topic, l.Value, o.Decision, w.Values[p][i])
			case l.Reason == event.Late && (l.Lateness != o.Lateness || l.Pane != o.Pane):
				w.T.Errorf("dead letter of %v: late by %d in pane %d, want %d in %d", at, l.Lateness, l.Pane, o.Lateness, o.Pane)
			}
		}
	}
	w.T.Logf("%d dead letters wanted", len(want))
	for at, l := range letters {
		if _, ok := want[at]; !ok {
			w.T.Errorf("dead letter of %v, %v, is none", at, l.Reason)
		}
		if !crashed && times[at] > 1 {
			w.T.Errorf("dead letter of %v came %d times", at, times[at])
		}
	}
}

func (w *World) compareCells(p int, got, want sim.Cells) {
	w.T.Helper()
	if len(got) != len(want) {
		w.T.Errorf("partition %d: %d cells, want %d", p, len(got), len(want))
	}
	shown := 0
	for key, totals := range want {
		if got[key] != totals {
			w.T.Errorf("partition %d: cell %v is %+v, want %+v", p, key, got[key], totals)
			if shown++; shown > 3 {
				return
			}
		}
	}
}

// CheckDurable checks invariant M: what is committed as processed is in the updates of every shard, and in the dead letters.
func (w *World) CheckDurable() {
	w.T.Helper()
	commits := w.Commits() // first: what is read later can only be more
	got := w.Receive()
	letters, _ := w.Letters()
	for p, c := range commits {
		if c.Offset < 0 {
			continue
		}
		if got.AsOf[p] < c.Through {
			w.T.Errorf("partition %d: committed as processed through %d, but a shard has it as of %d", p, c.Through, got.AsOf[p])
		}
		for _, o := range sim.Decide(w.Settings, w.Logs[p]) {
			if _, ok := letters[Letter{int32(p), o.Offset}]; o.Decision.DeadLetter() && o.Offset <= c.Through && !ok {
				w.T.Errorf("partition %d: committed as processed through %d, but dead letter %d is missing", p, c.Through, o.Offset)
			}
		}
	}
}

// String helps when a test fails.
func (l Letter) String() string { return fmt.Sprintf("%d/%d", l.Partition, l.Offset) }
