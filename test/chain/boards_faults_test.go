package chain_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
)

// onRedis runs a test with boards of all sorts on an embedded Kafka and a Redis server of its own.
func onRedis(t *testing.T, options redisserver.Options, test func(t *testing.T, w *boardsWorld, server *redisserver.Server, rng *rand.Rand)) {
	t.Helper()
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	server := redisserver.StartTest(t, options)
	w := boardsOn(world.New(t, world.Kfake(t, 1).Brokers(), world.LiveSettings(), 4, 3), world.LiveBoards(), 2, server.Addr())
	test(t, w, server, rng)
}

// TestBoardsStep: after each bit of a stream with everything in it that can be, all lists are as the oracle has them then: items that
// fall out and come back, ties at the K-th place, windows that slide, negative values.
func TestBoardsStep(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Watch()
		startMember(t, w.member(), wrap{})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 4000), 12, func(int) { w.AwaitLists() })
		w.Close()
		w.CheckLists(w.Expected())
	})
}

// TestBoardsKilled: processes that do everything are killed at random moments.
func TestBoardsKilled(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Watch()
		members := []*world.Process{startProcess(w.World, w.member().mortal()), startProcess(w.World, w.member().mortal()), startProcess(w.World, w.member().mortal())}
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 8000), 16, func(int) {
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, (w.Total()-w.Processed())/2)))
			if i := rng.IntN(2 * len(members)); i < len(members) {
				members[i].Kill()
				members[i] = startProcess(w.World, w.member().mortal())
			}
		})
		w.Close()
		w.CheckLists(w.Expected())
	})
}

// TestBoardsKilledAfterWrite (faults 2, 3): a process dies each time after it has written lists to Redis, before that is committed.
func TestBoardsKilledAfterWrite(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Watch()
		other := w.member()
		other.Only = "intake"
		startMember(t, other, wrap{})
		other.Only = "rank"
		startMember(t, other, wrap{})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 6, func(step int) {
			c := w.member().mortal()
			c.Only, c.Boards.DieAfterWrites = "leaderboard", 1
			p := startProcess(w.World, c)
			select {
			case <-p.Exited:
			case <-time.After(world.Patience):
				t.Fatalf("step %d: it didn't die", step)
			}
		})
		w.Close()
		other.Only = "leaderboard"
		startMember(t, other, wrap{})
		w.CheckLists(w.Expected())
	})
}

// TestBoardsZombie (fault 9): processes are stopped for longer than their sessions last, and then go on.
func TestBoardsZombie(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Watch()
		sleeper := startProcess(w.World, w.member().mortal())
		startProcess(w.World, w.member())
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 9, func(step int) {
			w.AwaitProgress(w.Processed() + 1)
			if step%4 != 1 {
				return
			}
			sleeper.Signal(syscall.SIGSTOP)
			w.AwaitProgress(w.Total()) // only the other can get there
			w.AwaitLists()
			sleeper.Signal(syscall.SIGCONT)
		})
		w.Close()
		w.CheckLists(w.Expected())
	})
}

// TestBoardsTerminated: SIGTERM in mid-flush: it ends in time, and the next start has little to do.
func TestBoardsTerminated(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		p := startProcess(w.World, w.member())
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 5, func(int) {
			w.AwaitProgress(w.Processed() + 1 + rng.Int64N(max(1, w.Total()-w.Processed()))) // so that it is there for signals
			if code := p.Term(8 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
				p.ShowLog()
			}
			p = startProcess(w.World, w.member())
		})
		w.Close()
		w.CheckLists(w.Expected())
	})
}

// TestBoardsIdle (fault 14): a partition falls silent, so the others close windows without it; then all are silent, and time goes on by itself. When it
// wakes up with events for windows that are final, their lists are published again.
func TestBoardsIdle(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.Watch()
		startMember(t, w.member(), wrap{})
		logs, silent := w.SilentLogs(rng, 4000)
		w.Produce([][]sim.Record{logs[0], logs[1], logs[2], logs[3][:silent]})
		early := w.Expected()
		final := 0
		w.Eventually("windows are final without the silent partition", func() bool {
			final = len(w.Final(early))
			return final > len(early)/4
		})
		w.Produce([][]sim.Record{nil, nil, nil, logs[3][silent:]})
		w.Close()
		want := w.Expected()
		w.CheckLists(want)
		revised := 0
		for _, r := range want {
			if before, ok := early[r.ListKey]; ok && len(before.Entries) > 0 && before.Entries[0] != r.Entries[0] {
				revised++
			}
		}
		t.Logf("%d lists were final early, %d have another first place since", final, revised)
		if revised == 0 {
			t.Error("nothing was revised")
		}
	})
}

// TestBoardsBehind (fault 15): a partition is hours behind the others. It holds all windows open, and nothing of it is lost.
func TestBoardsBehind(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		c := w.member()
		c.IdleTimeout = time.Hour
		startMember(t, c, wrap{})
		logs := w.LiveLogs(rng.Uint64(), 4000)
		behind := logs[3]
		w.Produce([][]sim.Record{logs[0], logs[1], logs[2], behind[:1]})
		w.AwaitLists()
		if final := w.Final(w.Expected()); len(final) > 0 {
			t.Fatalf("%d lists are final, though a partition is behind", len(final))
		}
		w.Produce([][]sim.Record{nil, nil, nil, behind[1:]})
		w.Close()
		w.CheckLists(w.Expected())
	})
}
