//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/test/world"
)

// redisFault is something that happens to Redis: it begins, events come, it ends.
type redisFault struct {
	name   string
	begin  func(context.Context) error
	end    func(context.Context) error
	blocks bool // nothing can be written meanwhile
}

func nothing(context.Context) error { return nil }

// redisFaults are those of a server, and at the end a failover to a replica that is behind it, to which moveTo has clients go.
func redisFaults(t *testing.T, server *redisserver.Server, replica func(context.Context) *redisserver.Server, moveTo func(*redisserver.Server), client goredis.UniversalClient) []redisFault {
	t.Helper()
	pause := func(context.Context) error { server.Pause(); return nil }
	resume := func(context.Context) error { server.Continue(); return nil }
	kill := func(context.Context) error { server.Kill(); return nil }
	restart := func(data redisserver.Data) func(context.Context) error {
		return func(ctx context.Context) error { return server.Restart(ctx, data) }
	}
	memory := func(most string) func(context.Context) error {
		return func(ctx context.Context) error { return client.ConfigSet(ctx, "maxmemory", most).Err() }
	}
	var stale *redisserver.Server
	return []redisFault{
		{"away, and back without its data", kill, restart(redisserver.Erase), true},
		{"FLUSHALL", func(ctx context.Context) error { return client.FlushAll(ctx).Err() }, nothing, false},
		{"full (maxmemory, noeviction)", memory("1"), memory("0"), true},
		{"SCRIPT FLUSH", func(ctx context.Context) error { return client.ScriptFlush(ctx).Err() }, nothing, false},
		{"it answers nothing", pause, resume, true},
		{
			"restarted with an older copy of its data",
			func(ctx context.Context) error {
				patient := goredis.NewClient(&goredis.Options{Addr: server.Addr(), ReadTimeout: world.Patience}) // a disk may be slow
				return errors.Join(patient.Save(ctx).Err(), patient.Close())
			},
			func(ctx context.Context) error { server.Kill(); return server.Restart(ctx, redisserver.Keep) }, false,
		},
		{
			"failover to a stale replica",
			func(ctx context.Context) error {
				stale = replica(ctx)
				other := world.NewRedis([]string{stale.Addr()})
				defer other.Close()
				return other.SlaveOf(ctx, "NO", "ONE").Err()
			},
			func(context.Context) error {
				server.Kill()
				moveTo(stale)
				return nil
			}, false,
		},
	}
}

// TestStoresRedis (fault 18): everything happens to Redis, while the built program runs. The intake, rank and the history go on, the process says what it waits for, and what
// Redis lacks then is filled in without an operator. In the end it has what ClickHouse has, and both what the oracle says.
func TestStoresRedis(t *testing.T) {
	server, redis := clickhousetest.StartTest(t, embedded.ClickHouseOptions{}), redisserver.StartTest(t, redisserver.Options{})
	var current atomic.Pointer[redisserver.Server]
	current.Store(redis)
	g := proxyTo(t, func() string { return current.Load().Addr() })
	moveTo := func(s *redisserver.Server) {
		current.Store(s)
		g.Cut()
	}
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.LiveSettings(), 4, 3), "stores-redis", world.LiveBoards(), 2, g.Addr()).withHistory(server)
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	replica := func(ctx context.Context) *redisserver.Server {
		s := redisserver.StartTest(t, redisserver.Options{ReplicaOf: redis.Addr()})
		master, other := world.NewRedis([]string{redis.Addr()}), world.NewRedis([]string{s.Addr()})
		defer master.Close()
		defer other.Close()
		w.Eventually("the replica is in step", func() bool {
			have, err := master.DBSize(ctx).Result()
			copied, err2 := other.DBSize(ctx).Result()
			return err == nil && err2 == nil && have > 0 && have == copied
		})
		return s
	}
	readers := w.Watch()
	p := w.start("--set", "time.idle_timeout=1h") // windows are dropped when all partitions have passed them
	faults := redisFaults(t, redis, replica, moveTo, w.Redis)
	logs := w.LiveLogs(rng.Uint64(), 900*(len(faults)+1))
	w.ProducePart(logs, 0, len(faults)+1)
	w.AwaitLists()
	for i, fault := range faults {
		readers.Forget(func() { w.must(fault.name, fault.begin) })
		before := w.cells()
		w.ProducePart(logs, i+1, len(faults)+1)
		w.AwaitProgress(w.Total()) // the intake and rank don't wait for Redis
		w.Eventually("the history goes on", func() bool { return w.cells() > before })
		if fault.blocks {
			w.awaitState(p, "leaderboard", "waiting")
			if state := w.state(p, "history-cells"); state != "running" {
				t.Errorf("%s: the history is %s", fault.name, state)
			}
		}
		readers.Forget(func() { w.must(fault.name, fault.end) })
		w.AwaitLists()
		w.awaitState(p, "leaderboard", "running")
		t.Logf("%s: lists are right again", fault.name)
	}
	w.Close()
	want := w.Expected()
	w.CheckLists(want)
	w.checkHistory(want)
	if status := w.says(p); status.Refills == 0 {
		t.Error("nothing was filled in again")
	}
}

// must does something to a server.
func (w *run) must(what string, do func(context.Context) error) {
	w.T.Helper()
	if err := do(w.T.Context()); err != nil {
		w.T.Fatalf("%s: %v", what, err)
	}
}

// cells returns how many cells the history has; 0 before there is a table.
func (w *historyWorld) cells() (n uint64) {
	_ = w.conn.QueryRow(w.T.Context(), "SELECT count() FROM millrank.cells FINAL").Scan(&n)
	return n
}
