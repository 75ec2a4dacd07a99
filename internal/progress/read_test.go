package progress_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

const partitions = 8

// world is a stream on an embedded Kafka.
type world struct {
	*testing.T
	settings settings.Settings
	client   *kgo.Client
	reader   *progress.Reader
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	s := settings.Default()
	s.Name, s.Source.Topic, s.Kafka.BootstrapServers, s.HTTP.Address = "shop", "events", kafka.Brokers(), ""
	s.Kafka.SessionTimeout, s.Time.IdleTimeout = settings.Duration(2*time.Second), settings.Duration(300*time.Millisecond)
	s.Flush.Updates, s.Flush.Rankings = settings.Duration(20*time.Millisecond), settings.Duration(20*time.Millisecond)
	s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions = 2, 2
	board := settings.DefaultBoard()
	board.Name, board.Window = "likes", settings.Duration(time.Minute)
	s.Boards = []settings.Board{board}
	client, err := kafkaclient.New(s.Connection(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), partitions, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, settings: s, client: client}
	w.reader = w.newReader()
	return w
}

func (w *world) newReader() *progress.Reader {
	reader, err := progress.NewReader(w.settings)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(reader.Close)
	return reader
}

// runs has the handlers run until the function that it returns is called.
func (w *world) runs(handlers ...string) (stop func()) {
	w.Helper()
	s := w.settings
	s.Handlers = handlers
	logger := watermill.NewSlogLogger(slog.New(slog.DiscardHandler))
	p, err := pipeline.New(w.Context(), s, pipeline.Options{})
	if err != nil {
		w.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		w.Fatal(err)
	}
	p.AddTo(router)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = router.Run(ctx)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-ended
		if err := p.Close(); err != nil {
			w.Error(err)
		}
	}
	w.Cleanup(stop)
	return stop
}

// produces writes an event of this time to a partition.
func (w *world) produces(partition int, at time.Time, item string) {
	w.Helper()
	value := fmt.Sprintf(`{"event_id":"%d-%d-%s","item_id":%q,"region":"eu","timestamp":%q}`, partition, at.UnixMilli(), item, item, at.UTC().Format(time.RFC3339Nano))
	if err := w.client.ProduceSync(w.Context(), &kgo.Record{Topic: "events", Partition: int32(partition), Value: []byte(value)}).FirstErr(); err != nil {
		w.Fatal(err)
	}
}

// sees reads the state until it is as it must be, and returns it.
func (w *world) sees(what string, is func(progress.State) bool) progress.State {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		st, err := w.reader.Read(ctx)
		if err == nil && is(st) {
			return st
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			w.Fatalf("never: %s; %v, last %+v", what, err, st)
		}
	}
}

func start() time.Time { return time.Now().UTC().Truncate(time.Minute).Add(-10 * time.Minute) }

// TestHolds: of eight partitions the one that holds time back is named, and what to do: at first nobody runs, then all is well, then one is slow, then its owner
// is gone.
func TestHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := start()
	st := w.sees("nothing has run", func(st progress.State) bool { return !st.Verdict.OK })
	if text := strings.Join(st.Verdict.Problems, "\n"); !strings.Contains(text, "has never run") || !strings.Contains(text, "millrank run") {
		t.Error(text)
	}
	stop := w.runs()
	for p := range partitions {
		w.produces(p, began, "a")
	}
	st = w.sees("all is well", func(st progress.State) bool {
		return st.Verdict.OK && st.Verdict.Lag == 0 && st.Verdict.ClosedThrough != progress.NoTime
	})
	w.Log(st.Verdict.Summary)
	for p, one := range st.Sources {
		want := progress.Time(began.Add(-5 * time.Second).UnixMilli())
		if one.Partition != p || one.Watermark != want || one.LogEnd != 1 || one.Through != 0 || one.Owner == "" || one.LowWater != 0 || one.Replay != 1 {
			t.Errorf("partition %d: %+v, want watermark %v", p, one, want)
		}
	}
	if st.Groups[0].Members[0].Partitions != partitions || len(st.Groups) != 2 || st.Shards[1].Owner == "" {
		t.Errorf("groups %+v, shards %+v", st.Groups, st.Shards)
	}
	// One falls behind: it goes on with old events, so that it isn't idle.
	i := 0
	held := w.sees("partition 5 holds time back", func(st progress.State) bool {
		if h := st.Verdict.Holding; h != nil && h.Problem && slices.Equal(h.Partitions, []int{5}) { // for a moment it may not be the only one
			return true
		}
		for p := range partitions {
			at := began.Add(5 * time.Minute)
			if p == 5 {
				at = began.Add(time.Duration(i) * time.Millisecond)
			}
			w.produces(p, at.Add(time.Duration(i)*time.Millisecond), "b")
		}
		i++
		return false
	})
	h := held.Verdict.Holding
	w.Log(h.Sentence)
	if h.Silent || h.AheadMS < 4*60_000 || held.Verdict.OK || !strings.Contains(h.Sentence, "Partition 5 holds time back") {
		t.Errorf("%+v", h)
	}
	stop()
	st = w.sees("nobody runs", func(st progress.State) bool { return len(st.Groups[0].Members) == 0 })
	w.Log(strings.Join(st.Verdict.Problems, "\n"))
	if text := strings.Join(st.Verdict.Problems, "\n"); !strings.Contains(text, "No process runs intake, rank") {
		t.Error(text)
	}
}

// TestRefused: a commit that can't be resumed is named, with why. Another reader, which reads the flushes from the end backwards, sees the same as one that has
// looked on.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := start()
	stop := w.runs()
	for p := range partitions {
		w.produces(p, began, "a")
	}
	w.sees("all is well", func(st progress.State) bool { return st.Verdict.OK && st.Verdict.Lag == 0 })
	stop()
	admin := kadm.NewClient(w.client)
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: "events", Partition: 5, At: 1, LeaderEpoch: -1, Metadata: "reset by hand"})
	if err := admin.CommitAllOffsets(t.Context(), "shop.g1.intake", offsets); err != nil {
		t.Fatal(err)
	}
	st := w.sees("the commit is seen", func(st progress.State) bool { return st.Sources[5].Problem != "" })
	if text := strings.Join(st.Verdict.Problems, "\n"); !strings.Contains(text, "events partition 5") || !strings.Contains(text, "damaged or not Millrank's") {
		t.Error(text)
	}
	again, err := w.newReader().Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range st.Sources {
		if st.Sources[p].Watermark != again.Sources[p].Watermark || st.Sources[p].Published != again.Sources[p].Published {
			t.Errorf("partition %d: %+v, another reader %+v", p, st.Sources[p], again.Sources[p])
		}
	}
}

// TestNeverHeard: an intake that owns only some of the partitions, since another member that does nothing has the rest.
func TestNeverHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A member that joins the intake's group first, and processes nothing.
	dead, err := kafkaclient.New(w.settings.Connection(), kgo.ConsumerGroup("shop.g1.intake"), kgo.ConsumeTopics("events"), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.ClientID("stuck"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Close)
	w.runs()
	began := start()
	for p := range partitions {
		w.produces(p, began, "a")
	}
	st := w.sees("some are heard from, others never", func(st progress.State) bool {
		heard := 0
		for _, one := range st.Sources {
			if one.Heard && one.Watermark != progress.NoTime {
				heard++
			}
		}
		return len(st.Groups[0].Members) == 2 && st.Groups[0].State == "Stable" && heard == partitions/2
	})
	h := st.Verdict.Holding
	w.Log(h.Sentence)
	if !h.Silent || !h.Problem || len(h.Partitions) != partitions/2 || !strings.Contains(h.Sentence, "nothing has been heard from them, while the others are at") || !strings.Contains(h.Sentence, "stuck@") {
		t.Errorf("%+v", h)
	}
	for _, p := range h.Partitions {
		if one := st.Sources[p]; one.Heard || one.Lag != 1 || one.Watermark != progress.NoTime {
			t.Errorf("partition %d: %+v", p, one)
		}
	}
	if st.Verdict.ClosedThrough != progress.NoTime {
		t.Errorf("time is at %v", st.Verdict.ClosedThrough)
	}
}
