package handlers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

const historyShards, letterPartitions = 3, 2

// history is a world whose updates and dead letters go to topics, and from there to tables.
type history struct {
	*world
	publisher *microbatch.Publisher
	cells     *table[handlers.CellRow]
	letters   *table[handlers.LetterRow]
	tail      *kgo.Client
	logged    map[string][][]*kgo.Record // by topic and partition: what tail has read
}

func newHistory(t *testing.T, partitions int) *history {
	t.Helper()
	h := &history{world: newWorld(t, partitions), cells: newCellTable(), letters: newLetterTable(), logged: map[string][][]*kgo.Record{}}
	for topic, n := range map[string]int32{"updates": historyShards, "dead-letters": letterPartitions} {
		if _, err := h.admin.CreateTopic(t.Context(), n, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		h.logged[topic] = make([][]*kgo.Record, n)
	}
	var err error
	if h.tail, err = kgo.NewClient(kgo.SeedBrokers(h.brokers...), kgo.ConsumeTopics("updates", "dead-letters"), kgo.FetchMaxWait(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.tail.Close)
	pc := microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: h.brokers})
	pc.MaxMessageBytes = 4 << 20
	if h.publisher, err = microbatch.NewPublisher(pc, h.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.publisher.Close() })
	h.start(options{intake: func(c *handlers.IntakeConfig) {
		c.Generation, c.Updates, c.DeadLetters = 7, h.publisher, h.publisher
	}, subscriber: func(c *microbatch.SubscriberConfig) { c.Identity.Generation = 7 }})
	return h
}

// recorder is a member that writes the history.
type recorder struct {
	cells   *handlers.Cells
	letters *handlers.Letters
	stop    func()
}

// record starts a member of the groups with this prefix, whose writes can fail. It flushes often.
func (h *history) record(group string, fail *failures) *recorder {
	h.t.Helper()
	return h.recordWith(group, func(c *handlers.CellsConfig) {
		c.Write = func(ctx context.Context, rows []handlers.CellRow) error { return writeOrFail(ctx, h.cells, rows, fail) }
	}, func(c *handlers.LettersConfig) {
		c.Write = func(ctx context.Context, rows []handlers.LetterRow) error {
			return writeOrFail(ctx, h.letters, rows, fail)
		}
	})
}

func (h *history) recordWith(group string, cells func(*handlers.CellsConfig), letters func(*handlers.LettersConfig)) *recorder {
	h.t.Helper()
	cc := handlers.DefaultCellsConfig()
	cc.Source, cc.Generation, cc.Sources, cc.Shards = "test/events", 7, len(h.logs), historyShards
	cc.Pane, cc.AllowedLateness, cc.FlushInterval, cc.Logger = liveSettings().Pane, liveSettings().AllowedLateness, 20*time.Millisecond, h.log
	cc.Write = h.cells.Write
	cells(&cc)
	codec, err := handlers.JSON(event.DefaultMapping())
	if err != nil {
		h.t.Fatal(err)
	}
	lc := handlers.LettersConfig{Codec: codec, Generation: 7, FlushInterval: 20 * time.Millisecond, Logger: h.log, Write: h.letters.Write}
	letters(&lc)
	r := &recorder{}
	if r.cells, err = handlers.NewCells(cc); err != nil {
		h.t.Fatal(err)
	}
	if r.letters, err = handlers.NewLetters(lc); err != nil {
		h.t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	r.cells.AddTo(router, "updates", h.subscriber(group+"-cells", cc.Identity()))
	r.letters.AddTo(router, "dead-letters", h.subscriber(group+"-letters", lc.Identity()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = router.Run(ctx) }()
	r.stop = func() { cancel(); within(h.t, "the member has gone", done) }
	h.t.Cleanup(r.stop)
	return r
}

func (h *history) subscriber(group string, id microbatch.Identity) *microbatch.Subscriber {
	h.t.Helper()
	sc := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: h.brokers}, group)
	sc.SessionTimeout, sc.HeartbeatInterval, sc.RebalanceTimeout, sc.FetchMaxWait = 6*time.Second, 50*time.Millisecond, 5*time.Second, 20*time.Millisecond
	sc.CommitInterval, sc.SilentInterval, sc.RetryMin, sc.RetryMax = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond
	sc.BatchRecords, sc.ReusePayloads, sc.Identity = 20, true, id
	s, err := microbatch.NewSubscriber(sc, h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// committed returns what a group has committed of a topic, by partition; 0 where nothing is.
func (h *history) committed(group, topic string, partitions int) []int64 {
	h.t.Helper()
	list := make([]int64, partitions)
	all, err := h.admin.FetchOffsets(h.t.Context(), group)
	if err != nil {
		return list
	}
	all.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic && o.Err == nil && o.At > 0 {
			list[o.Partition] = o.At
		}
	})
	return list
}

// read returns all records of updates and dead letters, by topic and partition.
func (h *history) read() map[string][][]*kgo.Record {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	ends, err := h.admin.ListEndOffsets(ctx, "updates", "dead-letters")
	if err != nil {
		h.t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		for int64(len(h.logged[end.Topic][end.Partition])) < end.Offset && ctx.Err() == nil {
			h.tail.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				h.logged[r.Topic][r.Partition] = append(h.logged[r.Topic][r.Partition], r)
			})
		}
	})
	if ctx.Err() != nil {
		h.t.Fatal("the topics can't be read")
	}
	return h.logged
}

// awaitWritten waits until all that the intake has made of the records is written, and committed.
func (h *history) awaitWritten(group string) {
	h.t.Helper()
	h.awaitDone()
	for topic, of := range map[string]string{"updates": "-cells", "dead-letters": "-letters"} {
		ends, err := h.admin.ListEndOffsets(h.t.Context(), topic)
		if err != nil {
			h.t.Fatal(err)
		}
		eventually(h.t, topic+" are written, and committed", func() bool {
			for p, offset := range h.committed(group+of, topic, len(ends[topic])) {
				if end, _ := ends.Lookup(topic, int32(p)); offset < end.Offset {
					return false
				}
			}
			return true
		})
	}
}

// checkDurable checks that what is committed is in the tables (invariant M).
func (h *history) checkDurable(group string) {
	h.t.Helper()
	ofCells, ofLetters := h.committed(group+"-cells", "updates", historyShards), h.committed(group+"-letters", "dead-letters", letterPartitions)
	cells, letters := h.cells.final(h.t), h.letters.final(h.t)
	for p, log := range h.read()["updates"] {
		for _, r := range log {
			if r.Offset >= ofCells[p] {
				break
			}
			_, _, u, err := wire.DecodeUpdate(r.Value)
			if err != nil {
				continue // it is foreign
			}
			for _, c := range u.Cells {
				key := cellID(int32(u.Source), c.Pane, event.Group(c.Group), string(c.Item))
				if row, ok := cells[key]; !ok || row.AsOf < u.AsOf {
					h.t.Fatalf("updates/%d is committed up to %d, but of cell %s as of %d the table has %+v", p, ofCells[p], key, u.AsOf, row)
				}
			}
		}
	}
	for p, log := range h.read()["dead-letters"] {
		for _, r := range log {
			if key, own := letterOf(r); own && r.Offset < ofLetters[p] && letters[key].Topic == "" {
				h.t.Fatalf("dead-letters/%d is committed up to %d, but %s at %d is not in the table", p, ofLetters[p], key, r.Offset)
			}
		}
	}
}

// letterOf says of which record a dead letter is, and whether it is of generation 7.
func letterOf(r *kgo.Record) (key string, own bool) {
	header := map[string]string{}
	for _, h := range r.Headers {
		header[h.Key] = string(h.Value)
	}
	return header["dead-letter.partition"] + "/" + header["dead-letter.offset"], header["dead-letter.generation"] == "7"
}

// checkFinal compares the tables with the oracle.
func (h *history) checkFinal() {
	h.t.Helper()
	cells, letters := h.cells.final(h.t), h.letters.final(h.t)
	for p, log := range h.logs {
		outcomes := sim.Decide(liveSettings(), log)
		for key, want := range sim.CellsOf(liveSettings(), log, outcomes) {
			id := cellID(int32(p), key.Pane, key.Group, key.Item)
			r, ok := cells[id]
			if got := (sim.Totals{Count: r.Count, Sum: r.Sum, Min: r.Min, Max: r.Max, Duplicates: r.Duplicates}); !ok || got != want {
				h.t.Fatalf("cell %s is %+v, want %+v", id, r, want)
			}
			delete(cells, id)
		}
		for i, o := range outcomes {
			if !o.Decision.DeadLetter() {
				continue
			}
			id := letterID(int32(p), o.Offset)
			if err := letterDiffers(letters[id], log[i], o); err != nil {
				h.t.Fatalf("dead letter %s is %+v: %v", id, letters[id], err)
			}
			delete(letters, id)
		}
	}
	if len(cells) > 0 || len(letters) > 0 {
		h.t.Errorf("%d cells and %d dead letters nobody expects, such as %v %v", len(cells), len(letters), cells, letters)
	}
}

// letterDiffers compares a row with what the oracle says of the record.
func letterDiffers(r handlers.LetterRow, record sim.Record, o sim.Outcome) error {
	want := handlers.LetterRow{
		Generation: 7, Reason: o.Decision.String(), Error: r.Error, Topic: "events", Partition: r.Partition, Offset: o.Offset,
		Timestamp: record.Time, EventTime: event.NoTime, Watermark: o.W, Pane: event.NoTime, Lateness: event.NoTime,
	}
	if o.Decision != event.Malformed {
		want.EventTime = record.At
		if record.Kind == sim.Event {
			want.Group, want.Item = record.Group(), record.Item
		}
	}
	if o.Decision == event.Late {
		want.Pane, want.Lateness = o.Pane, o.Lateness
	}
	if r.Error == "" || r != want {
		return fmt.Errorf("want %+v", want)
	}
	return nil
}
