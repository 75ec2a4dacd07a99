package handlers_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/deadletters"
	"github.com/millrank/millrank/wire"
)

// rig is an Intake, whose time goes on when the test says so, without a router and without Kafka.
type rig struct {
	*handlers.Intake
	t       *testing.T
	config  handlers.IntakeConfig
	clock   *clock
	updates *outlet
	letters *outlet
	log     logbook
}

// start is the time at which a rig's clock starts.
const start = 1_709_043_537_301

// newRig returns one that flushes when its clock has gone on by an hour; change changes its settings.
func newRig(t *testing.T, change func(*handlers.IntakeConfig)) *rig {
	t.Helper()
	r := &rig{t: t, clock: newClock(start), updates: &outlet{}, letters: &outlet{}, log: newLogbook()}
	r.config = testConfig(t, r.updates, r.letters)
	r.config.Now, r.config.Logger = r.clock.Now, r.log
	if change != nil {
		change(&r.config)
	}
	var err error
	if r.Intake, err = handlers.NewIntake(r.config); err != nil {
		t.Fatal(err)
	}
	done := subscribe(t.Context(), t, r.Link(), handlers.Deduplicated, r.Window)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		within(t, "the windower has ended", done)
	})
	return r
}

// testConfig returns settings of an Intake that flushes every hour.
func testConfig(t *testing.T, updates, letters message.Publisher) handlers.IntakeConfig {
	t.Helper()
	c := handlers.DefaultIntakeConfig()
	codec, err := handlers.JSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	c.Codec, c.Settings, c.Source, c.Shards = codec, liveSettings(), "test/events", 3
	c.Updates, c.UpdatesTopic, c.DeadLetters, c.DeadLettersTopic = updates, "updates", letters, "dead-letters"
	c.FlushInterval = time.Hour
	return c
}

// liveSettings are the defaults, twelve times as fast: panes of 5 s.
func liveSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead, s.DedupSegment = 5*time.Second, time.Second, 2500*time.Millisecond, 5*time.Second, 1250*time.Millisecond
	return s
}

// liveLogs returns logs of a stream with everything in it that can be; each record has a timestamp.
func liveLogs(seed uint64, partitions, records int) [][]sim.Record {
	o := sim.LiveOptions()
	o.Settings, o.Partitions, o.Records, o.Categories = liveSettings(), partitions, records, 0
	o.Disorder, o.GapMax, o.OffsetGaps = 300*time.Millisecond, 30*time.Second, 0
	o.Duplicates, o.Late, o.Future, o.Malformed, o.Punctuations = .05, .02, .01, .02, .005
	logs := sim.Generate(seed, o)
	for _, log := range logs {
		for i := range log {
			if log[i].Time == sim.NoTimestamp {
				log[i].Time = log[max(i, 1)-1].Time
				log[i].Kind = sim.Malformed
			}
		}
	}
	return logs
}

// plain returns a record as a plain message.
func plain(r sim.Record) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), r.JSON())
	if r.Kind == sim.Punctuation {
		m.Metadata.Set(handlers.AdvanceWatermark, strconv.FormatInt(r.At, 10))
	}
	return m
}

// counted returns an event as a plain message that is on time.
func counted(id int) *message.Message {
	return plain(sim.Record{EventID: fmt.Sprint("e", id), Item: fmt.Sprint("i", id), Dims: []string{"eu"}, At: start, Value: 1})
}

// late returns an event that is late once punctuation(start) came.
func late(id int) *message.Message {
	return plain(sim.Record{EventID: fmt.Sprint("l", id), Item: "old", Dims: []string{"eu"}, At: start - 60_000, Value: 1})
}

func punctuation(at int64) *message.Message { return plain(sim.Record{Kind: sim.Punctuation, At: at}) }

func malformed(text string) *message.Message {
	return message.NewMessage(watermill.NewUUID(), []byte(text))
}

// send passes messages through both handlers, one after the other, and fails the test when they fail.
func (r *rig) send(messages ...*message.Message) {
	r.t.Helper()
	for _, m := range messages {
		if err := r.Deduplicate(m); err != nil {
			r.t.Fatalf("message %q: %v", m.Payload, err)
		}
	}
}

// flush has what has changed published, by time, and returns when it has arrived, and after how many flushes: one, unless a shard was not free, or the
// machine is slow.
func (r *rig) flush() (times int) {
	r.t.Helper()
	want := r.Status()[0].Offset + 1
	var again time.Time
	eventually(r.t, "the flush has arrived", func() bool {
		if time.Now().After(again) { // more than once, where a shard is not free at first
			r.clock.add(r.config.FlushInterval)
			r.send(punctuation(start - 3_600_000)) // it changes nothing
			again = time.Now().Add(time.Second)
			times++
		}
		return receive(r.t, r.updates.all(), 1, r.config.Shards).asOf[0] >= want
	})
	return times
}

// received is what the receivers of updates have.
type received struct {
	cells   []sim.Cells // by source partition
	asOf    []int64     // by source partition: the least of the shards
	flushes [][]int64   // by shard: as-ofs of the flushes of source 0, as they came in whole
}

// receive takes updates in as a rank does, shard by shard.
func receive(t *testing.T, messages []*message.Message, sources, shards int) received {
	t.Helper()
	got := received{cells: make([]sim.Cells, sources), asOf: slices.Repeat([]int64{1 << 62}, sources), flushes: make([][]int64, shards)}
	for p := range got.cells {
		got.cells[p] = sim.Cells{}
	}
	for shard := range shards {
		receiver := operators.NewReceiver[[]event.Cell](sources, 1<<40, operators.ResumeAt(0))
		asOf := slices.Repeat([]int64{-1}, sources)
		for at, m := range messages {
			if m.Metadata.Get("kafka.partition") != strconv.Itoa(shard) {
				continue
			}
			_, to, update, err := wire.DecodeUpdate(m.Payload)
			if err != nil || to != shard {
				t.Fatalf("update %s for shard %d: to shard %d: %v", m.UUID, shard, to, err)
			}
			flush, took, err := receiver.Take(int64(at), update.Part, update.Cells)
			if err != nil {
				t.Fatal(err)
			}
			if took != operators.Fresh {
				continue
			}
			asOf[flush.Source] = flush.AsOf
			if flush.Source == 0 {
				got.flushes[shard] = append(got.flushes[shard], flush.AsOf)
			}
			for _, part := range flush.Parts {
				for _, c := range part {
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

// parse reads dead letters back, in the order of their offsets.
func parse(t *testing.T, messages []*message.Message) []deadletters.Letter {
	t.Helper()
	letters := make([]deadletters.Letter, 0, len(messages))
	for _, m := range messages {
		l, err := deadletters.Parse(m)
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, l)
	}
	slices.SortFunc(letters, func(a, b deadletters.Letter) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return letters
}

// decisions counts a log's outcomes.
func decisions(outcomes []sim.Outcome) (n [event.Decisions]int64, conflicts int64) {
	for _, o := range outcomes {
		n[o.Decision]++
		if o.Conflict {
			conflicts++
		}
	}
	return n, conflicts
}

func compareCells(t *testing.T, got, want sim.Cells) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d cells, want %d", len(got), len(want))
	}
	shown := 0
	for _, key := range want.Keys() {
		if got[key] != want[key] {
			t.Errorf("cell %v is %+v, want %+v", key, got[key], want[key])
			if shown++; shown > 3 {
				return
			}
		}
	}
}

// compareLetters compares dead letters of one source with the oracle's; first is the offset of the log's first record.
func compareLetters(t *testing.T, got []deadletters.Letter, log []sim.Record, outcomes []sim.Outcome, first int64) {
	t.Helper()
	i := 0
	for n, o := range outcomes {
		if !o.Decision.DeadLetter() {
			continue
		}
		if i >= len(got) {
			t.Fatalf("%d dead letters, and no more; the next should be %+v", len(got), o)
		}
		l := got[i]
		if l.Offset-first != o.Offset || l.Reason != o.Decision || l.Lateness != o.Lateness && o.Decision == event.Late || !bytes.Equal(l.Value, log[n].JSON()) || l.Error == "" {
			t.Fatalf("dead letter %d is %+v, want %+v", i, l, o)
		}
		i++
	}
	if i != len(got) {
		t.Errorf("%d dead letters, want %d", len(got), i)
	}
}
