package chain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// right counts the lists that Redis has, all of which must be right, and those that it hasn't.
func (w *boardsWorld) right(want world.Answers) (there, missing int) {
	w.T.Helper()
	for _, r := range want {
		got, err := w.Read(w.T.Context(), w.Key(r.ListKey), w.Board(r.Board).Order)
		if err != nil {
			w.T.Fatal(err)
		}
		if len(got.Meta) == 0 || got.Meta["revision"] == "" {
			missing++
			continue
		}
		there++
		if diffs := w.Difference(w.T.Context(), w.Key(r.ListKey), r); len(diffs) > 0 {
			w.T.Error(diffs[0])
		}
	}
	return there, missing
}

// TestRefillAfterRetention: the start of the rankings topic has been deleted when Redis loses everything. What can be made whole
// again is; nothing comes back that isn't.
func TestRefillAfterRetention(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.options.RefillGrace = 100 * time.Millisecond
		c := w.member()
		c.IdleTimeout = time.Hour // however long it takes: windows are dropped when all partitions have passed them
		m := startMember(t, c, wrap{})
		logs := w.LiveLogs(rng.Uint64(), 6000)
		first, second := make([][]sim.Record, len(logs)), make([][]sim.Record, len(logs))
		for p, log := range logs {
			first[p], second[p] = log[:len(log)/2], log[len(log)/2:]
		}
		w.Chaos(rng, first, 5, func(int) { w.AwaitLists() })
		early := w.Expected()
		w.Eventually("some windows are final, others are not", func() bool { n := len(w.Final(early)); return n > 0 && n < len(early) })
		ends, err := w.Admin.ListEndOffsets(t.Context(), w.Topics.Rankings)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		var until kadm.Offsets
		ends.Each(func(o kadm.ListedOffset) {
			until.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset})
		})
		w.Chaos(rng, second, 5, func(int) { w.AwaitLists() })
		w.Close()
		want := w.Expected()
		w.CheckLists(want)
		w.Eventually("all windows are dropped", func() bool {
			list, _ := m.leaderboard.Status()
			for _, s := range list {
				if s.LowWater < s.Offset-200 || s.PendingLists > 0 { // heartbeats come all the time
					return false
				}
			}
			return len(list) == w.Config.Lanes
		})
		w.DeleteRecords(until)
		w.redis(func(ctx context.Context) error { return w.Redis.FlushAll(ctx).Err() })
		w.Eventually("it is filled in", func() bool { return m.leaderboard.Refills() >= int64(w.Config.Lanes) })
		there, missing := w.right(want)
		t.Logf("%d lists are there, %d are not", there, missing)
		if there == 0 || missing == 0 {
			t.Error("retention has cut nothing, or everything, off")
		}
	})
}

// TestRebuildRedis: keys that somebody has deleted, so that nobody notices, come back when that is asked for.
func TestRebuildRedis(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		m := startMember(t, w.member(), wrap{})
		w.Produce(w.LiveLogs(rng.Uint64(), 3000))
		w.Close()
		want := w.Expected()
		w.CheckLists(want)
		keys, err := w.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if rng.IntN(2) == 0 {
				w.redis(func(ctx context.Context) error { return w.Redis.Del(ctx, key).Err() })
				w.redis(func(ctx context.Context) error { return w.Redis.Del(ctx, "{"+key+"}:meta").Err() })
			}
		}
		lists, err := m.leaderboard.RebuildRedis(t.Context())
		if err != nil || lists < len(want) {
			t.Errorf("%d lists written anew, want %d at least: %v", lists, len(want), err)
		}
		w.CheckLists(want)
	})
}

// TestForeignRecords: what nobody of ours has written into the updates and rankings topics is left out, and said.
func TestForeignRecords(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		log := watermill.NewCaptureLogger()
		m := startMember(t, w.member(), wrap{logger: log})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 2000), 4, func(int) {
			for topic, value := range map[string][]byte{w.Topics.Updates: []byte("hello"), w.Topics.Rankings: nil} {
				if err := w.Client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: value}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			w.AwaitProgress(w.Processed() + 1)
		})
		w.Close()
		w.CheckLists(w.Expected())
		parts, _ := m.leaderboard.Status()
		if ranks := m.rank.Status(); ranks[1].Foreign != 4 || parts[1].Foreign != 4 {
			t.Errorf("%d and %d foreign records, want 4 and 4", ranks[1].Foreign, parts[1].Foreign)
		}
		if log.Has(watermill.CapturedMessage{Level: watermill.ErrorLogLevel, Msg: "a record that Millrank has not written is left out: nothing else may write into this topic"}) {
			t.Log("said")
		}
	})
}

// TestAnotherRun: updates of another generation in the topic end the subscription, with what to do.
func TestAnotherRun(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, _ *rand.Rand) {
		c := w.member()
		for name, sender := range map[string]wire.Sender{
			"generation 2":          {Source: c.source(), Generation: 2, SourcePartitions: w.Partitions, ShardPartitions: w.Shards},
			"from partition 0 of 5": {Source: c.source(), Generation: 1, SourcePartitions: 5, ShardPartitions: w.Shards},
			"source \"other\"":      {Source: "other", Generation: 1, SourcePartitions: w.Partitions, ShardPartitions: w.Shards},
			"to partition 0 of":     {Source: c.source(), Generation: 1, SourcePartitions: w.Partitions, ShardPartitions: w.Shards}, // in partition 1
		} {
			other := boardsOn(w.Again(w.Shards), world.LiveBoards(), 2, w.Config.Redis...)
			other.Topics.Events = w.Topics.Events
			encoder, err := wire.NewEncoder(sender)
			if err != nil {
				t.Fatal(err)
			}
			b, err := encoder.Append(nil, 0, event.Part{Last: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			partition := int32(0)
			if strings.HasPrefix(name, "to") {
				partition = 1
			}
			if err := w.Client.ProduceSync(t.Context(), &kgo.Record{Topic: other.Topics.Updates, Partition: partition, Value: b}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			c := other.member()
			c.Only = "rank"
			err = subscribeError(t, c)
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "new generation") {
				t.Errorf("%s: it stopped with %v", name, err)
			}
		}
	})
}

// TestBoardsChanged: boards that have changed are refused on the next start, by both handlers; a larger budget isn't.
func TestBoardsChanged(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		m := startMember(t, w.member(), wrap{})
		w.Produce(w.LiveLogs(rng.Uint64(), 1000))
		w.AwaitLists()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		changed := world.LiveBoards()
		changed.Boards[0].K = 6
		for _, only := range []string{"rank", "leaderboard"} {
			c := w.member()
			c.Boards.Boards, c.Only = changed, only
			if err := subscribeError(t, c); !errors.Is(err, microbatch.ErrSettings) {
				t.Errorf("%s stopped with %v", only, err)
			}
		}
		w.Config.Boards.RankItems = 1_000_000
		startMember(t, w.member(), wrap{})
		w.Close()
		w.CheckLists(w.Expected())
	})
}

// shut is a writer that writes nothing while it is shut.
type shut struct {
	handlers.ListWriter
	on *atomic.Bool
}

var errShut = errors.New("the store is shut")

func (s shut) Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (bool, error) {
	if s.on.Load() {
		return false, errShut
	}
	return s.ListWriter.Write(ctx, asOf, watermark, lists)
}

// TestPendingLists (fault 18, B): while the store is away, no more lists are kept than the settings say, nothing is committed that isn't
// written, and the other handlers go on.
func TestPendingLists(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.options.PendingLists = 60
		var on atomic.Bool
		on.Store(true)
		c := w.member()
		c.BatchRecords = 1
		m := startMember(t, c, wrap{lists: func(to handlers.ListWriter) handlers.ListWriter { return shut{to, &on} }})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 10, func(int) { w.AwaitProgress(w.Total()) })
		w.Close()
		w.AwaitProgress(w.Total())
		w.Eventually("the circuit breaker is open, and reading has stopped", func() bool {
			list, breaker := m.leaderboard.Status()
			stopped := 0
			ends, err := w.Admin.ListEndOffsets(t.Context(), w.Topics.Rankings)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				end, _ := ends.Lookup(w.Topics.Rankings, int32(s.Partition)) // what the status has is from when it read last
				if s.PendingLists >= 60 && s.Offset < end.Offset-1 {
					stopped++
				}
				if s.PendingLists > 60+200 { // a message of rankings has so many at most
					t.Fatalf("%d lists are pending", s.PendingLists)
				}
				if s.PublishedThrough >= 0 {
					t.Fatalf("committed through %d, and nothing is written", s.PublishedThrough)
				}
			}
			return stopped == w.Config.Lanes && breaker == "open"
		})
		if keys, err := w.Keys(t.Context()); err != nil || len(keys) > 0 {
			t.Fatalf("%d keys in Redis (%v)", len(keys), err)
		}
		on.Store(false)
		w.CheckLists(w.Expected())
	})
}

// TestFlushedOnTime: what has come is flushed when that is due, in all handlers, though nothing comes after it, not even heartbeats.
func TestFlushedOnTime(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		c := w.member()
		c.SilentInterval = time.Hour
		startMember(t, c, wrap{})
		logs := w.LiveLogs(rng.Uint64(), 100)
		for p := range logs {
			logs[p] = logs[p][:20]
		}
		w.Produce(logs)
		w.AwaitLists()
	})
}
