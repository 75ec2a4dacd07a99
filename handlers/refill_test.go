package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/redis"
)

// store is a ListWriter that keeps lists, and can fail, or say that it is behind.
type store struct {
	mu     sync.Mutex
	lists  map[event.ListKey]event.Ranking
	writes int
	before func(write int) (bool, error)
	filled atomic.Int64
}

func (s *store) Write(_ context.Context, _, _ int64, lists []event.Ranking) (bool, error) {
	s.mu.Lock()
	s.writes++
	n := s.writes
	s.mu.Unlock()
	behind := false
	if s.before != nil {
		var err error
		if behind, err = s.before(n); err != nil {
			return behind, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists == nil {
		s.lists = map[event.ListKey]event.Ranking{}
	}
	for _, l := range lists {
		if l.Revision >= s.lists[l.ListKey].Revision {
			s.lists[l.ListKey] = l
		}
	}
	return behind, nil
}
func (s *store) Filled() { s.filled.Add(1) }
func (s *store) count() (lists, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lists), s.writes
}

type panics struct{ handlers.ListWriter }

func (panics) Write(context.Context, int64, int64, []event.Ranking) (bool, error) {
	panic("a bug in the store's driver")
}

// TestRefillPanics: a panic in a refill is an error of it, and does not end the process.
func TestRefillPanics(t *testing.T) {
	if os.Getenv("REVIEW_PANIC") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRefillPanics$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), "REVIEW_PANIC=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			i := max(0, bytes.Index(out, []byte("panic:")))
			t.Errorf("the process has ended: %v\n%.600s", err, out[i:])
		}
		return
	}
	w := newHopWorld(t)
	s := &store{before: func(int) (bool, error) { return true, nil }}
	c := leaderboardConfig()
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	c.Open = func(int, int64) handlers.ListWriter { return s }
	c.Fill = func() handlers.ListWriter { return panics{} }
	final := likes(0, event.Entry{Item: "a", Score: 1})
	c.Read = func(_ context.Context, _ int32, take func(microbatch.Record) error) error {
		return take(microbatch.Record{Offset: 0, Value: rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: math.MaxInt32}, final)})
	}
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, b.Handle)
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: 1, DroppedThrough: 1}, final))
	eventually(t, "the panic is logged", func() bool { return len(w.log.find("panicked")) > 0 })
}

// TestRebuildFails: RebuildRedis returns when it has failed, though the store is away.
func TestRebuildFails(t *testing.T) {
	w := newHopWorld(t)
	down := &store{before: func(int) (bool, error) { return false, errDown }}
	c := leaderboardConfig()
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	c.Open = func(int, int64) handlers.ListWriter { return down }
	c.Read = func(context.Context, int32, func(microbatch.Record) error) error { return errDown }
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, b.Handle)
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: 1, DroppedThrough: 1}, likes(0)))
	eventually(t, "it has it", func() bool { p, _ := b.Status(); return len(p) == 1 && p[0].Offset == 0 })
	done := make(chan error, 1)
	go func() { _, err := b.RebuildRedis(t.Context()); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, errDown) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("5 s after it has failed (Read returned an error at once), RebuildRedis has not returned")
	}
	w.stop()
}

// TestRebuildClaimLost: RebuildRedis says so where kept windows were not written, since the partition went away meanwhile.
func TestRebuildClaimLost(t *testing.T) {
	w := newHopWorld(t)
	down := &store{before: func(int) (bool, error) { return false, errDown }}
	c := leaderboardConfig()
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	c.Open = func(int, int64) handlers.ListWriter { return down }
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, b.Handle)
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: 1, DroppedThrough: 1}, likes(0)))
	eventually(t, "it has it", func() bool { p, _ := b.Status(); return len(p) == 1 && p[0].Offset == 0 })
	done := make(chan error, 1)
	go func() { _, err := b.RebuildRedis(t.Context()); done <- err }()
	eventually(t, "it waits for the kept windows", func() bool { return b.Refills() > 0 })
	w.stop()
	if err := <-done; err == nil {
		n, _ := down.count()
		t.Errorf("it returned nil; %d lists were written", n)
	}
}

func rebuilt(t *testing.T, shards int, grace time.Duration, records ...microbatch.Record) *store {
	t.Helper()
	s := &store{}
	c := leaderboardConfig()
	c.Shards, c.RefillGrace = shards, grace
	c.Fill = func() handlers.ListWriter { return s }
	c.Read = func(_ context.Context, _ int32, take func(microbatch.Record) error) error {
		for _, r := range records {
			if err := take(r); err != nil {
				return err
			}
		}
		return nil
	}
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RebuildRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefillForeignFirst: a foreign record at the start of a log that was cut has no say in when the grace ends.
func TestRefillForeignFirst(t *testing.T) {
	const hour = 3_600_000
	at := func(offset, time int64, value []byte) microbatch.Record {
		return microbatch.Record{Offset: offset, Time: time, Value: value}
	}
	a := event.Entry{Item: "a", Score: 5}
	z := event.Entry{Item: "z", Score: 9}
	flush := func(shard int, incarnation uint64, asOf, closed int64, lists ...event.Ranking) []byte {
		for i := range lists {
			lists[i].Final = lists[i].End <= closed
		}
		return rankingsOf(t, 2, shard, event.Part{Incarnation: incarnation, AsOf: asOf, Last: true, ClosedThrough: closed, DroppedThrough: closed}, lists...)
	}
	// A log whose windows from 1 h on are whole.
	log := func(first microbatch.Record) []microbatch.Record {
		return []microbatch.Record{
			first,
			at(101, 1000, flush(0, 1, 10, hour)), at(102, 1000, flush(1, 2, 10, hour)),
			at(103, 2000, flush(0, 1, 20, 2*hour, likes(hour, a))), at(104, 2000, flush(1, 2, 20, 2*hour, likes(hour, z))),
		}
	}
	if n, _ := rebuilt(t, 2, time.Minute, log(at(100, 1000, flush(0, 1, 9, hour)))...).count(); n != 0 {
		// within the grace: left out, as documented
		t.Errorf("%d lists", n)
	}
	late := log(at(100, 1000, flush(0, 1, 9, hour)))
	late[3].Time, late[4].Time = 200_000, 200_000
	if n, _ := rebuilt(t, 2, time.Minute, late...).count(); n != 1 {
		t.Errorf("control: %d lists", n)
	}
	late = log(at(100, 4_000_000_000_000, []byte("foreign, and dated 2096")))
	late[3].Time, late[4].Time = 200_000, 200_000
	if n, _ := rebuilt(t, 2, time.Minute, late...).count(); n != 1 {
		t.Errorf("a foreign record of 2096 comes first: %d lists are filled in, want 1", n)
	}
	// In the grace a shard's former owner is still heard; the foreign record has no timestamp.
	zombie := func(first microbatch.Record) []microbatch.Record {
		return []microbatch.Record{
			first, at(101, 1_700_000_000_500, flush(1, 3, 6, hour)),
			at(102, 1_700_000_001_000, flush(0, 2, 10, hour)),                   // the new owner
			at(103, 1_700_000_002_000, flush(0, 1, 30, 2*hour)),                 // the former one: it has published its list before, in what is deleted
			at(104, 1_700_000_003_000, flush(1, 3, 20, 2*hour, likes(hour, a))), // the other shard
			at(105, 1_700_000_004_000, flush(0, 2, 20, 2*hour, likes(hour, z))), // void: not newer
			at(106, 1_700_000_900_000, flush(0, 2, 40, 2*hour+1)), at(107, 1_700_000_900_000, flush(1, 3, 40, 2*hour+1)),
		}
	}
	for name, first := range map[string]microbatch.Record{
		"control": at(100, 1_700_000_000_000, flush(1, 3, 5, hour)),
		"foreign": at(100, -1, []byte("foreign, without a timestamp")),
	} {
		s := rebuilt(t, 2, time.Minute, zombie(first)...)
		for _, l := range s.lists {
			if !slices.Equal(l.Entries, []event.Entry{z, a}) {
				t.Errorf("%s: the final list %v is written; z (9) is missing", name, l.Entries)
			}
		}
	}
}

var errFlaky = errors.New("timed out")

// TestRefillGoesOn: a write that fails is tried again; the refill does not begin anew.
func TestRefillGoesOn(t *testing.T) {
	const windows = 5000
	entry := event.Entry{Item: "a", Score: 1}
	var records []microbatch.Record
	for i := range int64(windows) {
		l := likes(i*3_600_000, entry)
		l.Final = true
		records = append(records, microbatch.Record{Offset: i, Value: rankingsOf(t, 1, 0, event.Part{AsOf: i, Last: true, ClosedThrough: l.End, DroppedThrough: l.End}, l)})
	}
	w := newHopWorld(t)
	var writes, reads atomic.Int64
	c := leaderboardConfig()
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	live := &store{before: func(n int) (bool, error) { return true, nil }}
	c.Open = func(int, int64) handlers.ListWriter { return live }
	c.Fill = func() handlers.ListWriter {
		return &store{before: func(int) (bool, error) {
			if writes.Add(1)%4 == 0 { // three of four succeed
				return false, errFlaky
			}
			return false, nil
		}}
	}
	c.Read = func(_ context.Context, _ int32, take func(microbatch.Record) error) error {
		reads.Add(1)
		for _, r := range records {
			if err := take(r); err != nil {
				return err
			}
		}
		return nil
	}
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 10*time.Millisecond, b.Handle)
	w.produce(records[0].Value)
	eventually(t, "it is filled in", func() bool { return live.filled.Load() > 0 })
	if reads.Load() != 1 {
		t.Errorf("the log was read %d times", reads.Load())
	}
}

// copyOf copies a Redis; the second function makes it as it was then: what a replica is that lags behind.
func copyOf(t *testing.T, c *goredis.Client) (restore func()) {
	t.Helper()
	ctx := t.Context()
	hashes, zsets := map[string]map[string]string{}, map[string][]goredis.Z{}
	for _, key := range c.Keys(ctx, "*").Val() {
		switch c.Type(ctx, key).Val() {
		case "hash":
			hashes[key] = c.HGetAll(ctx, key).Val()
		case "zset":
			zsets[key] = c.ZRangeWithScores(ctx, key, 0, -1).Val()
		}
	}
	return func() {
		c.FlushAll(ctx)
		for key, h := range hashes {
			c.HSet(ctx, key, h)
		}
		for key, z := range zsets {
			c.ZAdd(ctx, key, z...)
		}
	}
}

// TestFailoverInRefill: while a Redis is filled in, it fails over to a replica that lags behind: what was filled in is gone, and that is noticed.
func TestFailoverInRefill(t *testing.T) {
	for _, refilling := range []bool{false, true} { // false: a control, where it is found
		server, err := embedded.StartRedis(embedded.RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		sink, err := redis.New(redis.Config{Client: client, Boards: testBoards()})
		if err != nil {
			t.Fatal(err)
		}
		old, kept := likes(0, event.Entry{Item: "a", Score: 1}), likes(3_600_000, event.Entry{Item: "b", Score: 2})
		old.Final, old.Revision, kept.Revision = true, 10, 11
		w := sink.Writer(0, -1)
		write := func(asOf int64, lists ...event.Ranking) bool {
			behind, err := w.Write(t.Context(), asOf, asOf, lists)
			if err != nil {
				t.Fatal(err)
			}
			return behind
		}
		write(10, old)
		write(11, kept)
		if refilling {
			client.FlushAll(t.Context())
			if !write(12) {
				t.Fatal("it isn't behind")
			}
		}
		restore := copyOf(t, client) // the replica has got everything so far
		write(13, kept)              // as the live merge says it again
		if _, err := sink.Filler().Write(t.Context(), 13, 13, []event.Ranking{old}); err != nil {
			t.Fatal(err)
		}
		write(14)
		write(15)
		restore() // fails over
		if refilling {
			w.Filled()
		}
		behind := write(16)
		behind = write(17) || behind
		n := client.Exists(t.Context(), "global:top_k:likes:19700101T000000Z", "global:top_k:likes:19700101T010000Z").Val()
		if !behind && n < 2 {
			t.Errorf("refilling %v: %d of 2 lists are there, and Redis isn't said to be behind", refilling, n)
		}
		t.Logf("refilling %v: behind %v, %d lists", refilling, behind, n)
	}
}
