package handlers_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// hopWorld is an embedded Kafka with a topic of one partition, and one handler that reads it.
type hopWorld struct {
	t       *testing.T
	brokers []string
	client  *kgo.Client
	log     logbook
	stop    func()
}

func newHopWorld(t *testing.T) *hopWorld {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"in": 1, "rankings": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Brokers()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &hopWorld{t: t, brokers: kafka.Brokers(), client: client, log: newLogbook()}
}

func (w *hopWorld) run(id microbatch.Identity, silent time.Duration, handle message.NoPublishHandlerFunc, change ...func(*microbatch.SubscriberConfig)) *microbatch.Subscriber {
	w.t.Helper()
	sc := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: w.brokers}, "group")
	sc.SessionTimeout, sc.HeartbeatInterval, sc.RebalanceTimeout, sc.FetchMaxWait = 6*time.Second, 50*time.Millisecond, 5*time.Second, 20*time.Millisecond
	sc.CommitInterval, sc.SilentInterval, sc.RetryMin, sc.RetryMax = 10*time.Millisecond, silent, 10*time.Millisecond, 100*time.Millisecond
	sc.Identity = id
	for _, c := range change {
		c(&sc)
	}
	s, err := microbatch.NewSubscriber(sc, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	router.AddConsumerHandler("h", "in", s, handle)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = router.Run(ctx) }()
	w.stop = func() { cancel(); <-done }
	w.t.Cleanup(w.stop)
	return s
}

func (w *hopWorld) produce(value []byte) {
	w.t.Helper()
	if err := w.client.ProduceSync(w.t.Context(), &kgo.Record{Topic: "in", Value: value}).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

func updateOf(t *testing.T, part event.Part, cells ...event.Cell) []byte {
	t.Helper()
	e, err := wire.NewEncoder(wire.Sender{Source: "s", SourcePartitions: 1, ShardPartitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Append(nil, 0, part, cells)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rankingsOf(t *testing.T, shards, shard int, part event.Part, lists ...event.Ranking) []byte {
	t.Helper()
	e, err := wire.NewRankingsEncoder(wire.Sender{Source: "s", Partition: shard, SourcePartitions: shards, ShardPartitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	part.Source = shard
	b, err := e.Append(nil, 0, part, lists)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func likes(start int64, entries ...event.Entry) event.Ranking {
	return event.Ranking{ListKey: event.ListKey{Board: "likes", Start: start}, End: start + 3_600_000, Exact: true, Entries: entries}
}

// told returns what a lane of the rankings topic has been told last: as-of and closed-through.
func told(t *testing.T, o *outlet, lane string) (asOf, closed int64) {
	asOf = -1
	for _, m := range o.all() {
		if m.Metadata.Get("kafka.partition") != lane {
			continue
		}
		_, _, r, err := wire.DecodeRankings(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		asOf, closed = r.AsOf, r.ClosedThrough
	}
	return asOf, closed
}

// TestLaneToldAll: a lane whose flush failed, or was slow, and had no lists in it, is told how far time has come though no updates come.
func TestLaneToldAll(t *testing.T) {
	for name, before := range map[string]func(fail *atomic.Bool, block chan struct{}, lane string) error{
		"failed once": func(fail *atomic.Bool, _ chan struct{}, lane string) error {
			if lane == "1" && fail.CompareAndSwap(true, false) {
				return errDown
			}
			return nil
		},
		"slow once": func(slow *atomic.Bool, block chan struct{}, lane string) error {
			if lane == "1" && slow.CompareAndSwap(true, false) {
				<-block
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHopWorld(t)
			out := &outlet{}
			var once atomic.Bool
			block := make(chan struct{})
			c := rankConfig()
			c.Lanes, c.Rankings, c.FlushInterval, c.Logger = 2, out, 10*time.Millisecond, w.log
			rank, err := handlers.NewRank(c)
			if err != nil {
				t.Fatal(err)
			}
			w.run(c.Identity(), 10*time.Millisecond, rank.Handle)
			w.produce(updateOf(t, event.Part{AsOf: 1, Last: true, ClosedThrough: 1000, DroppedThrough: 1000}))
			eventually(t, "both lanes have the first", func() bool { a, _ := told(t, out, "0"); b, _ := told(t, out, "1"); return a == 0 && b == 0 })
			once.Store(true)
			out.do(func(_ int, m []*message.Message) error { return before(&once, block, toShard(m)) })
			w.produce(updateOf(t, event.Part{AsOf: 2, Last: true, ClosedThrough: 2000, DroppedThrough: 2000}))
			last := int64(1)
			if name == "slow once" { // meanwhile the last update of all comes
				eventually(t, "lane 0 has it", func() bool { a, _ := told(t, out, "0"); return a == 1 })
				w.produce(updateOf(t, event.Part{AsOf: 3, Last: true, ClosedThrough: 10_000_000, DroppedThrough: 10_000_000}))
				last = 2
			}
			eventually(t, "lane 0 has the last", func() bool { a, _ := told(t, out, "0"); return a == last })
			close(block)
			eventually(t, "lane 1 has it, and it is committed", func() bool {
				asOf, _ := told(t, out, "1")
				return asOf == last && rank.Status()[0].PublishedThrough == last
			})
		})
	}
}

// TestFlushAfterFailure: what a store has refused is written again on time, though no message comes.
func TestFlushAfterFailure(t *testing.T) {
	w := newHopWorld(t)
	s := &store{before: func(write int) (bool, error) {
		if write == 1 {
			return false, errDown
		}
		return false, nil
	}}
	c := leaderboardConfig()
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	c.Open = func(int, int64) handlers.ListWriter { return s }
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 0, b.Handle)
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: 1, DroppedThrough: 1}, likes(0, event.Entry{Item: "a", Score: 1})))
	eventually(t, "it was refused", func() bool { _, n := s.count(); return n >= 1 })
	eventually(t, "it is written", func() bool { n, _ := s.count(); return n == 1 })
}

// TestFlushAfterEarlyFlush: a flush that came before its time (a pane was closed) does not put off the next one.
func TestFlushAfterEarlyFlush(t *testing.T) {
	w := newWorld(t, 1)
	m := w.start(options{
		intake:     func(c *handlers.IntakeConfig) { c.FlushInterval = 1500 * time.Millisecond },
		subscriber: func(c *microbatch.SubscriberConfig) { c.SilentInterval = 0 },
	})
	now := time.Now().UnixMilli()
	ev := func(id string, at int64) sim.Record {
		return sim.Record{EventID: id, Item: "i" + id, Dims: []string{"eu"}, At: at, Value: 1, Time: now}
	}
	w.produce([][]sim.Record{{ev("1", now-20_000)}}) // arms
	eventually(t, "it is counted", func() bool { s := m.Status(); return len(s) == 1 && s[0].Offset == 0 })
	<-time.After(400 * time.Millisecond)      // less than the interval, and more than nothing
	w.produce([][]sim.Record{{ev("2", now)}}) // closes the pane of 1: flushed at once
	eventually(t, "it is flushed", func() bool { n, _ := w.updates.count(); return n >= 3 })
	w.produce([][]sim.Record{{ev("3", now)}})
	eventually(t, "it is counted", func() bool { return m.Status()[0].Offset == 2 })
	eventually(t, "it is flushed, too", func() bool { return m.Status()[0].PendingCells == 0 })
}

// TestSlowOpen: an Open that takes its time holds up neither other partitions nor Status.
func TestSlowOpen(t *testing.T) {
	w := newHopWorld(t)
	c := leaderboardConfig()
	c.Logger = w.log
	opening, goOn := make(chan struct{}), make(chan struct{})
	c.Open = func(int, int64) handlers.ListWriter { close(opening); <-goOn; return noStore{} }
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, b.Handle)
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true}))
	<-opening
	done := make(chan struct{})
	go func() { b.Status(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		t.Error("Status is blocked while Open runs (as are all other partitions' messages)")
	}
	close(goOn)
	<-done
}

// TestLargeList: a list that is larger than a message may be goes into several.
func TestLargeList(t *testing.T) {
	w := newHopWorld(t)
	p, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: w.brokers}), w.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	c := rankConfig()
	c.Boards.Boards[0].K, c.Boards.Boards[0].By = 2000, [][]string{{}, {"region"}}
	c.Rankings, c.FlushInterval, c.PendingLists, c.Logger = p, 10*time.Millisecond, 3, w.log
	rank, err := handlers.NewRank(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, rank.Handle)
	asOf := int64(0)
	send := func(n int, region string) {
		var cells []event.Cell
		for i := range n {
			item := strings.Repeat("x", 1000) + time.Duration(i).String()
			cells = append(cells, event.Cell{Group: []byte(event.NewGroup(region)), Item: []byte(item), Count: 1, Sum: 1, Min: 1, Max: 1})
		}
		asOf++
		w.produce(updateOf(t, event.Part{AsOf: asOf, Last: true}, cells...))
	}
	send(800, "us")
	send(700, "eu") // the global list has 800 items, of 800 kB; it is fine
	eventually(t, "it is published", func() bool { s := rank.Status(); return len(s) == 1 && s[0].PublishedThrough == 1 })
	var cells []event.Cell
	for i := range 700 {
		cells = append(cells, event.Cell{Group: []byte(event.NewGroup("eu")), Item: []byte(strings.Repeat("y", 1000) + time.Duration(i).String()), Count: 1, Sum: 1, Min: 1, Max: 1})
	}
	asOf++
	w.produce(updateOf(t, event.Part{AsOf: asOf, Last: true}, cells...)) // now 1500 items, of at most 2000
	for i := range 5 {
		send(1, "r"+string(rune('a'+i)))
	}
	eventually(t, "all is published", func() bool { s := rank.Status()[0]; return s.PublishedThrough == asOf-1 && s.PendingLists == 0 })
}
