package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
)

// world is an embedded Kafka with a topic of events, and outlets for what comes of them.
type world struct {
	t       *testing.T
	brokers []string
	client  *kgo.Client
	admin   *kadm.Client
	logs    [][]sim.Record // as produced, with Kafka's offsets

	updates *outlet
	letters *outlet
	log     logbook
}

func newWorld(t *testing.T, partitions int) *world {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"events": int32(partitions)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Brokers()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(3<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &world{
		t: t, brokers: kafka.Brokers(), client: client, admin: kadm.NewClient(client), logs: make([][]sim.Record, partitions),
		updates: &outlet{}, letters: &outlet{}, log: newLogbook(),
	}
}

// produce appends records to each partition's log.
func (w *world) produce(logs [][]sim.Record) {
	w.t.Helper()
	var records []*kgo.Record
	for p, log := range logs {
		for _, r := range log {
			record := &kgo.Record{Topic: "events", Partition: int32(p), Value: r.JSON(), Timestamp: time.UnixMilli(r.Time)}
			if r.Kind == sim.Punctuation {
				record.Headers = []kgo.RecordHeader{{Key: handlers.AdvanceWatermark, Value: strconv.AppendInt(nil, r.At, 10)}}
			}
			r.Offset = int64(len(w.logs[p]))
			w.logs[p] = append(w.logs[p], r)
			records = append(records, record)
		}
	}
	if err := w.client.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// produceInSteps produces logs in steps, and does something after each.
func (w *world) produceInSteps(logs [][]sim.Record, steps int, then func(step int)) {
	w.t.Helper()
	for step := range steps {
		part := make([][]sim.Record, len(logs))
		for p, log := range logs {
			part[p] = log[len(log)*step/steps : len(log)*(step+1)/steps]
		}
		w.produce(part)
		then(step)
	}
}

// member is an Intake in a router, on a world's events.
type member struct {
	*handlers.Intake
	router *message.Router
	claims atomic.Int64
	cancel context.CancelFunc
	done   chan error
	config handlers.IntakeConfig
}

// options change what a member is made of.
type options struct {
	intake     func(*handlers.IntakeConfig)
	subscriber func(*microbatch.SubscriberConfig)
	router     func(*message.Router)
	middleware []message.HandlerMiddleware // of deduplicate
	windower   []message.HandlerMiddleware
}

// start starts a member, in which everything happens soon, and stops it with the test.
func (w *world) start(o options) *member {
	w.t.Helper()
	m := &member{done: make(chan error, 1)}
	m.config = testConfig(w.t, w.updates, w.letters)
	m.config.FlushInterval, m.config.IdleTimeout, m.config.Logger = 10*time.Millisecond, 300*time.Millisecond, w.log
	if o.intake != nil {
		o.intake(&m.config)
	}
	var err error
	if m.Intake, err = handlers.NewIntake(m.config); err != nil {
		w.t.Fatal(err)
	}
	sc := microbatch.DefaultSubscriberConfig(microbatch.Connection{BootstrapServers: w.brokers}, "group")
	sc.SessionTimeout, sc.HeartbeatInterval, sc.RebalanceTimeout, sc.FetchMaxWait = 6*time.Second, 50*time.Millisecond, 5*time.Second, 20*time.Millisecond
	sc.CommitInterval, sc.SilentInterval, sc.RetryMin, sc.RetryMax = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond
	sc.BatchRecords, sc.ReusePayloads, sc.Identity = 100, true, m.config.Identity()
	sc.Assigned = func(*microbatch.Claim) { m.claims.Add(1) }
	if o.subscriber != nil {
		o.subscriber(&sc)
	}
	subscriber, err := microbatch.NewSubscriber(sc, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	if m.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: patience}, w.log); err != nil {
		w.t.Fatal(err)
	}
	if o.router != nil {
		o.router(m.router)
	}
	deduplicate, windower := m.AddTo(m.router, "events", subscriber)
	deduplicate.AddMiddleware(o.middleware...)
	windower.AddMiddleware(o.windower...)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() { m.done <- errors.Join(m.router.Run(ctx), subscriber.Err(), m.Close()) }()
	w.t.Cleanup(func() { _ = m.stop(w.t) })
	return m
}

// stop ends a member as SIGTERM does, and returns when it has gone.
func (m *member) stop(t *testing.T) error {
	t.Helper()
	m.cancel()
	err := within(t, "the member has gone", m.done)
	m.done <- err // for who stops it again
	return err
}

var throughPattern = regexp.MustCompile(`processed-through:(-?\d+)`)

// through returns how far each partition is processed, as committed; -1 where nothing is.
func (w *world) through() []int64 {
	w.t.Helper()
	list := make([]int64, len(w.logs))
	for p := range list {
		list[p] = -1
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := w.admin.FetchOffsets(ctx, "group")
	if err != nil {
		return list
	}
	all.Each(func(o kadm.OffsetResponse) {
		if found := throughPattern.FindStringSubmatch(o.Metadata); found != nil {
			if list[o.Partition], err = strconv.ParseInt(found[1], 10, 64); err != nil {
				w.t.Error(err)
			}
		}
	})
	return list
}

// done reports whether everything is processed and committed.
func (w *world) done() bool {
	w.t.Helper()
	for p, through := range w.through() {
		if through < int64(len(w.logs[p]))-1 {
			return false
		}
	}
	return true
}

func (w *world) awaitDone() {
	w.t.Helper()
	eventually(w.t, "everything is processed and committed", w.done)
}

// check compares all that came out with the oracle. It returns how many dead letters came again.
func (w *world) check() (repeats int) {
	w.t.Helper()
	settings := liveSettings()
	got := receive(w.t, w.updates.all(), len(w.logs), 3)
	letters := parse(w.t, w.letters.all())
	for p, log := range w.logs {
		outcomes := sim.Decide(settings, log)
		compareCells(w.t, got.cells[p], sim.CellsOf(settings, log, outcomes))
		own := letters[:0:0]
		for _, l := range letters {
			if int(l.Partition) != p {
				continue
			}
			if n := len(own); n > 0 && own[n-1].Offset == l.Offset {
				repeats++
				continue
			}
			own = append(own, l)
		}
		compareLetters(w.t, own, log, outcomes, 0)
	}
	return repeats
}

// checkDurable checks that what is committed as processed has arrived.
func (w *world) checkDurable() {
	w.t.Helper()
	committed := w.through() // first: what is read later can only be more
	got := receive(w.t, w.updates.all(), len(w.logs), 3)
	arrived := map[string]bool{}
	for _, l := range parse(w.t, w.letters.all()) {
		arrived[fmt.Sprint(l.Partition, "/", l.Offset)] = true
	}
	for p, through := range committed {
		if through >= 0 && got.asOf[p] < through {
			w.t.Errorf("partition %d: committed as processed through %d, but a shard has it as of %d", p, through, got.asOf[p])
		}
		for _, o := range sim.Decide(liveSettings(), w.logs[p]) {
			if o.Decision.DeadLetter() && o.Offset <= through && !arrived[fmt.Sprint(p, "/", o.Offset)] {
				w.t.Errorf("partition %d: committed as processed through %d, but dead letter %d is missing", p, through, o.Offset)
			}
		}
	}
}

// TestKafka: batches from Kafka come out as the oracle says, each dead letter once, and the numbers are right.
func TestKafka(t *testing.T) {
	w := newWorld(t, 2)
	w.produce(liveLogs(newRand(t, 7).Uint64(), 2, 2000))
	m := w.start(options{})
	w.awaitDone()
	if repeats := w.check(); repeats > 0 {
		t.Errorf("%d dead letters came again", repeats)
	}
	var want [8]int64
	var conflicts int64
	for p, log := range w.logs {
		outcomes := sim.Decide(liveSettings(), log)
		n, c := decisions(outcomes)
		for d := range n {
			want[d] += n[d]
		}
		conflicts += c
		s := m.Status()[p]
		last := int64(len(log)) - 1
		if s.Topic != "events" || s.Partition != p || s.Offset != last || s.LogEnd != last+1 || s.Watermark != outcomes[last].W ||
			s.ProcessedThrough != last || s.LowWater > last+1 || s.Replaying || s.PendingCells != 0 {
			t.Errorf("status of partition %d is %+v", p, s)
		}
	}
	if got, c := m.Decided(); got != want || c != conflicts {
		t.Errorf("decided %v with %d conflicts, want %v with %d", got, c, want, conflicts)
	}
	eventually(t, "both partitions are idle", func() bool {
		for _, s := range m.Status() {
			if !s.Idle || s.IdleFor < 300*time.Millisecond {
				return false
			}
		}
		return true
	})
	if err := m.stop(t); err != nil {
		t.Error(err)
	}
	if left := m.Status(); len(left) > 0 {
		t.Errorf("it has %+v after its end", left)
	}
}

var _ watermill.LoggerAdapter = logbook{}
