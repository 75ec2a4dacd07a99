package chain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/wire"
)

// right counts the lists that Redis has, all of which must be right, and those that it hasn't.
func (w *boardsWorld) right(want answers) (there, missing int) {
	w.t.Helper()
	for _, r := range want {
		got, err := w.read(w.t.Context(), w.key(r.ListKey), w.board(r.Board).Order)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got.meta) == 0 || got.meta["revision"] == "" {
			missing++
			continue
		}
		there++
		if diffs := w.difference(w.t.Context(), w.key(r.ListKey), r); len(diffs) > 0 {
			w.t.Error(diffs[0])
		}
	}
	return there, missing
}

// TestRefillAfterRetention: the start of the rankings topic has been deleted when Redis loses everything. What can be made whole
// again is; nothing comes back that isn't.
func TestRefillAfterRetention(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.config.RefillGrace = 100 * time.Millisecond
		m := startMember(t, w.member(), wrap{})
		var until kadm.Offsets
		w.chaos(rng, w.liveLogs(rng.Uint64(), 6000), 10, func(step int) {
			w.awaitLists()
			if step != 4 {
				return
			}
			ends, err := w.admin.ListEndOffsets(t.Context(), w.topics.Rankings) // in the middle: some windows are final by now, and others not
			if err != nil {
				t.Fatal(err)
			}
			ends.Each(func(o kadm.ListedOffset) {
				until.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset})
			})
		})
		w.close()
		want := w.expected()
		w.checkBoards(want)
		w.eventually("all windows are dropped", func() bool {
			list, _ := m.leaderboard.Status()
			for _, s := range list {
				if s.LowWater < s.Offset-200 || s.PendingLists > 0 { // heartbeats come all the time
					return false
				}
			}
			return len(list) == w.config.Lanes
		})
		if _, err := w.admin.DeleteRecords(t.Context(), until); err != nil {
			t.Fatal(err)
		}
		w.redis(func(ctx context.Context) error { return w.client.FlushAll(ctx).Err() })
		w.eventually("it is filled in", func() bool { return m.leaderboard.Refills() >= int64(w.config.Lanes) })
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
		w.produce(w.liveLogs(rng.Uint64(), 3000))
		w.close()
		want := w.expected()
		w.checkBoards(want)
		keys, err := w.keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if rng.IntN(2) == 0 {
				w.redis(func(ctx context.Context) error { return w.client.Del(ctx, key).Err() })
				w.redis(func(ctx context.Context) error { return w.client.Del(ctx, "{"+key+"}:meta").Err() })
			}
		}
		lists, err := m.leaderboard.RebuildRedis(t.Context())
		if err != nil || lists < len(want) {
			t.Errorf("%d lists written anew, want %d at least: %v", lists, len(want), err)
		}
		w.checkBoards(want)
	})
}

// TestForeignRecords: what nobody of ours has written into the updates and rankings topics is left out, and said.
func TestForeignRecords(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		log := watermill.NewCaptureLogger()
		m := startMember(t, w.member(), wrap{logger: log})
		w.chaos(rng, w.liveLogs(rng.Uint64(), 2000), 4, func(int) {
			for topic, value := range map[string][]byte{w.topics.Updates: []byte("hello"), w.topics.Rankings: nil} {
				if err := w.world.client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: value}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			w.awaitProgress(w.processed() + 1)
		})
		w.close()
		w.checkBoards(w.expected())
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
			"generation 2":          {Source: c.source(), Generation: 2, SourcePartitions: w.partitions, ShardPartitions: w.shards},
			"from partition 0 of 5": {Source: c.source(), Generation: 1, SourcePartitions: 5, ShardPartitions: w.shards},
			"source \"other\"":      {Source: "other", Generation: 1, SourcePartitions: w.partitions, ShardPartitions: w.shards},
			"to partition 0 of":     {Source: c.source(), Generation: 1, SourcePartitions: w.partitions, ShardPartitions: w.shards}, // in partition 1
		} {
			other := w.again(w.shards).withBoards(liveBoards(), 2, w.config.Redis...)
			other.topics.Events = w.topics.Events
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
			if err := w.world.client.ProduceSync(t.Context(), &kgo.Record{Topic: other.topics.Updates, Partition: partition, Value: b}).FirstErr(); err != nil {
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
		w.produce(w.liveLogs(rng.Uint64(), 1000))
		w.awaitLists()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		config := w.config
		config.Boards = liveBoards()
		config.Boards.Boards[0].K = 6
		for _, only := range []string{"rank", "leaderboard"} {
			c := w.member()
			c.Boards, c.Only = &config, only
			if err := subscribeError(t, c); !errors.Is(err, microbatch.ErrSettings) {
				t.Errorf("%s stopped with %v", only, err)
			}
		}
		w.config.Boards.RankItems = 1_000_000
		startMember(t, w.member(), wrap{})
		w.close()
		w.checkBoards(w.expected())
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
		w.config.PendingLists = 60
		var on atomic.Bool
		on.Store(true)
		c := w.member()
		c.BatchRecords = 1
		m := startMember(t, c, wrap{lists: func(to handlers.ListWriter) handlers.ListWriter { return shut{to, &on} }})
		w.chaos(rng, w.liveLogs(rng.Uint64(), 6000), 10, func(int) { w.awaitProgress(w.total()) })
		w.close()
		w.awaitProgress(w.total())
		w.eventually("the circuit breaker is open, and reading has stopped", func() bool {
			list, breaker := m.leaderboard.Status()
			stopped := 0
			ends, err := w.admin.ListEndOffsets(t.Context(), w.topics.Rankings)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				end, _ := ends.Lookup(w.topics.Rankings, int32(s.Partition)) // what the status has is from when it read last
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
			return stopped == w.config.Lanes && breaker == "open"
		})
		if keys, err := w.keys(t.Context()); err != nil || len(keys) > 0 {
			t.Fatalf("%d keys in Redis (%v)", len(keys), err)
		}
		on.Store(false)
		w.checkBoards(w.expected())
	})
}

// TestFlushedOnTime: what has come is flushed when that is due, in all handlers, though nothing comes after it, not even heartbeats.
func TestFlushedOnTime(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		c := w.member()
		c.SilentInterval = time.Hour
		startMember(t, c, wrap{})
		logs := w.liveLogs(rng.Uint64(), 100)
		for p := range logs {
			logs[p] = logs[p][:20]
		}
		w.produce(logs)
		w.awaitLists()
	})
}
