package chain_test

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

func through(t *testing.T, metadata string) int64 {
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

// readAll reads a topic from start to end, in the order of each partition.
func (w *world) readAll(topic string, partitions int) [][]*kgo.Record {
	w.t.Helper()
	list := make([][]*kgo.Record, partitions)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ends, err := w.admin.ListCommittedOffsets(ctx, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	if len(left) == 0 {
		return list
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			w.t.Fatalf("reading %s: %v", topic, err)
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

// received is what the receivers of the updates topic have.
type received struct {
	cells []sim.Cells // by source partition
	asOf  []int64     // by source partition: least over the shards
	parts int
	sent  int // cells, in all messages
}

// receive takes the updates topic in as a rank does, shard by shard: whole flushes only, the newest of each source. Every flush that it takes in
// it compares with the oracle's cells as of that offset, if the oracle is given.
func (w *world) receive() received {
	w.t.Helper()
	got := received{cells: make([]sim.Cells, w.partitions), asOf: slices.Repeat([]int64{1 << 62}, w.partitions)}
	for p := range got.cells {
		got.cells[p] = sim.Cells{}
	}
	for shard, log := range w.readAll(w.topics.Updates, w.shards) {
		receiver := operators.NewReceiver[[]event.Cell](w.partitions, 1<<40, operators.ResumeAt(0))
		asOf := slices.Repeat([]int64{-1}, w.partitions)
		for _, record := range log {
			sender, to, update, err := wire.DecodeUpdate(record.Value)
			if err != nil || to != shard || sender.Source != "test/"+w.topics.Events || sender.SourcePartitions != w.partitions {
				w.t.Fatalf("update at %d/%d: to shard %d from %+v: %v", shard, record.Offset, to, sender, err)
			}
			got.parts++
			got.sent += len(update.Cells)
			flush, took, err := receiver.Take(record.Offset, update.Part, update.Cells)
			if err != nil {
				w.t.Fatal(err)
			}
			if took != operators.Fresh {
				continue
			}
			asOf[flush.Source] = flush.AsOf
			for _, part := range flush.Parts {
				for _, c := range part {
					if operators.Shard(c.Item, w.shards) != shard {
						w.t.Fatalf("item %q came to shard %d", c.Item, shard)
					}
					key := sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}
					got.cells[flush.Source][key] = sim.Totals{Count: c.Count, Sum: c.Sum, Min: c.Min, Max: c.Max, Duplicates: c.Duplicates}
				}
			}
		}
		for p, o := range asOf {
			got.asOf[p] = min(got.asOf[p], o)
		}
	}
	return got
}

// letter is a dead letter's place in the source.
type letter struct {
	partition int32
	offset    int64
}

// letters reads the dead letters, and how often each came.
func (w *world) letters() (map[letter]deadletters.Letter, map[letter]int) {
	w.t.Helper()
	found, times := map[letter]deadletters.Letter{}, map[letter]int{}
	ids := map[letter]string{}
	for _, log := range w.readAll(w.topics.Letters, 2) {
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
				w.t.Fatalf("dead letter: %v", err)
			}
			at := letter{l.Partition, l.Offset}
			if id, ok := ids[at]; ok && id != msg.UUID {
				w.t.Errorf("dead letter of %v has the ID %s, and %s when it came again", at, id, msg.UUID)
			}
			ids[at] = msg.UUID
			l.Value = record.Value // nil or empty as the broker has it
			found[at] = l
			times[at]++
		}
	}
	return found, times
}

// check compares all that came out with the oracle. Repeats of dead letters are fine after a crash, not else.
func (w *world) check(crashed bool) {
	w.t.Helper()
	got := w.receive()
	letters, times := w.letters()
	w.t.Logf("%d dead letters, %d updates with %d cells", len(letters), got.parts, got.sent)
	want := map[letter]event.Decision{}
	for p, log := range w.logs {
		outcomes := sim.Decide(w.settings, log)
		cells := sim.CellsOf(w.settings, log, outcomes)
		w.compareCells(p, got.cells[p], cells)
		for i, o := range outcomes {
			if !o.Decision.DeadLetter() {
				continue
			}
			at := letter{int32(p), o.Offset}
			want[at] = o.Decision
			l, ok := letters[at]
			switch {
			case !ok:
				w.t.Errorf("no dead letter of %v, which is %v", at, o.Decision)
			case l.Reason != o.Decision || l.Topic != w.topics.Events || !bytes.Equal(l.Value, w.values[p][i]):
				w.t.Errorf("dead letter of %v is %v of %s with %q, want %v with %q", at, l.Reason, l.Topic, l.Value, o.Decision, w.values[p][i])
			case l.Reason == event.Late && (l.Lateness != o.Lateness || l.Pane != o.Pane):
				w.t.Errorf("dead letter of %v: late by %d in pane %d, want %d in %d", at, l.Lateness, l.Pane, o.Lateness, o.Pane)
			}
		}
	}
	w.t.Logf("%d dead letters wanted", len(want))
	for at, l := range letters {
		if _, ok := want[at]; !ok {
			w.t.Errorf("dead letter of %v, %v, is none", at, l.Reason)
		}
		if !crashed && times[at] > 1 {
			w.t.Errorf("dead letter of %v came %d times", at, times[at])
		}
	}
}

func (w *world) compareCells(p int, got, want sim.Cells) {
	w.t.Helper()
	if len(got) != len(want) {
		w.t.Errorf("partition %d: %d cells, want %d", p, len(got), len(want))
	}
	shown := 0
	for key, totals := range want {
		if got[key] != totals {
			w.t.Errorf("partition %d: cell %v is %+v, want %+v", p, key, got[key], totals)
			if shown++; shown > 3 {
				return
			}
		}
	}
}

// checkDurable checks invariant M: what is committed as processed is in the updates of every shard, and in the dead letters.
func (w *world) checkDurable() {
	w.t.Helper()
	commits := w.commits() // first: what is read later can only be more
	got := w.receive()
	letters, _ := w.letters()
	for p, c := range commits {
		if c.offset < 0 {
			continue
		}
		if got.asOf[p] < c.through {
			w.t.Errorf("partition %d: committed as processed through %d, but a shard has it as of %d", p, c.through, got.asOf[p])
		}
		for _, o := range sim.Decide(w.settings, w.logs[p]) {
			if _, ok := letters[letter{int32(p), o.Offset}]; o.Decision.DeadLetter() && o.Offset <= c.through && !ok {
				w.t.Errorf("partition %d: committed as processed through %d, but dead letter %d is missing", p, c.through, o.Offset)
			}
		}
	}
}

// String helps when a test fails.
func (l letter) String() string { return fmt.Sprintf("%d/%d", l.partition, l.offset) }
