package chain_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/redisserver"
)

// onLosses runs a stream, and lets something happen to Redis again and again. Windows are dropped by rank and leaderboard soon after they are final, so
// that what Redis loses of them must come from the topic.
func onLosses(t *testing.T, options redisserver.Options, loses bool, happen func(w *boardsWorld, server *redisserver.Server, step int)) {
	t.Helper()
	onRedis(t, options, func(t *testing.T, w *boardsWorld, server *redisserver.Server, rng *rand.Rand) {
		r := w.Watch()
		c := w.member()
		c.IdleTimeout = time.Hour // however long it takes: windows are dropped when all partitions have passed them
		m := startMember(t, c, wrap{})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 8, func(step int) {
			w.AwaitProgress(w.Processed() + 1)
			if step%2 == 0 {
				w.AwaitProgress(w.Total())
			}
			r.Forget(func() { happen(w, server, step) })
			if loses && step%3 > 0 {
				w.AwaitLists()
			}
		})
		w.AwaitProgress(w.Total()) // the intake and rank don't wait for Redis
		w.Close()
		w.CheckLists(w.Expected())
		if refills := m.leaderboard.Refills(); loses && refills == 0 {
			t.Error("nothing was filled in again")
		}
	})
}

func (w *boardsWorld) redis(f func(context.Context) error) {
	w.T.Helper()
	if err := f(w.T.Context()); err != nil {
		w.T.Error(err)
	}
}

// TestRedisFlushed (fault 18): FLUSHALL.
func TestRedisFlushed(t *testing.T) {
	onLosses(t, redisserver.Options{}, true, func(w *boardsWorld, _ *redisserver.Server, _ int) {
		w.redis(func(ctx context.Context) error { return w.Redis.FlushAll(ctx).Err() })
	})
}

// TestRedisRestartedEmpty (fault 18): killed, and away for a while; it comes back without its data.
func TestRedisRestartedEmpty(t *testing.T) {
	onLosses(t, redisserver.Options{}, true, func(w *boardsWorld, server *redisserver.Server, step int) {
		if step%3 != 0 {
			return
		}
		server.Kill()
		w.AwaitProgress(w.Total())
		w.redis(func(ctx context.Context) error { return server.Restart(ctx, redisserver.Erase) })
	})
}

// TestRedisStaleCopy (fault 18): it is replaced by an older copy of itself.
func TestRedisStaleCopy(t *testing.T) {
	onLosses(t, redisserver.Options{}, true, func(w *boardsWorld, server *redisserver.Server, step int) {
		if step%2 == 0 {
			w.redis(func(ctx context.Context) error { return w.Redis.Save(ctx).Err() })
			return
		}
		server.Kill()
		w.redis(func(ctx context.Context) error { return server.Restart(ctx, redisserver.Keep) })
	})
}

// TestRedisPaused (fault 18): it answers nothing for a while, and loses nothing.
func TestRedisPaused(t *testing.T) {
	onLosses(t, redisserver.Options{}, false, func(w *boardsWorld, server *redisserver.Server, step int) {
		if step%3 != 0 {
			return
		}
		server.Pause()
		w.AwaitProgress(w.Total())
		<-time.After(1500 * time.Millisecond) // longer than its clients wait
		server.Continue()
	})
}

// TestRedisFull (fault 18): it has no memory left, and gets some.
func TestRedisFull(t *testing.T) {
	onLosses(t, redisserver.Options{}, false, func(w *boardsWorld, _ *redisserver.Server, step int) {
		limit := "0"
		if step%2 == 0 {
			limit = "1"
		}
		w.redis(func(ctx context.Context) error { return w.Redis.ConfigSet(ctx, "maxmemory", limit).Err() })
	})
}

// TestRedisForgetsScripts (fault 18): SCRIPT FLUSH.
func TestRedisForgetsScripts(t *testing.T) {
	onLosses(t, redisserver.Options{}, false, func(w *boardsWorld, _ *redisserver.Server, _ int) {
		w.redis(func(ctx context.Context) error { return w.Redis.ScriptFlush(ctx).Err() })
	})
}
