package chain_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
)

// onRedis runs a test with boards of all sorts on an embedded Kafka and a Redis server of its own.
func onRedis(t *testing.T, options redisserver.Options, test func(t *testing.T, w *boardsWorld, server *redisserver.Server, rng *rand.Rand)) {
	t.Helper()
	rng := newRand(t, rand.Uint64()%1_000_000)
	server := redisserver.StartTest(t, options)
	w := newWorld(t, oneKfake(t), liveSettings(), 4, 3).withBoards(liveBoards(), 2, server.Addr())
	test(t, w, server, rng)
}

// TestBoardsStep: after each bit of a stream with everything in it that can be, all lists are as the oracle has them then: items that
// fall out and come back, ties at the K-th place, windows that slide, negative values.
func TestBoardsStep(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.watch()
		startMember(t, w.member(), wrap{})
		w.chaos(rng, w.liveLogs(rng.Uint64(), 4000), 12, func(int) { w.awaitLists() })
		w.close()
		w.checkBoards(w.expected())
	})
}

// TestBoardsKilled: processes that do everything are killed at random moments.
func TestBoardsKilled(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.watch()
		members := []*process{w.startProcess(w.member()), w.startProcess(w.member()), w.startProcess(w.member())}
		w.chaos(rng, w.liveLogs(rng.Uint64(), 8000), 16, func(int) {
			w.awaitProgress(w.processed() + rng.Int64N(max(1, (w.total()-w.processed())/2)))
			if i := rng.IntN(2 * len(members)); i < len(members) {
				members[i].kill()
				members[i] = w.startProcess(w.member())
			}
		})
		w.close()
		w.checkBoards(w.expected())
	})
}

// TestBoardsKilledAfterWrite (faults 2, 3): a process dies each time after it has written lists to Redis, before that is committed.
func TestBoardsKilledAfterWrite(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.watch()
		other := w.member()
		other.Only = "intake"
		startMember(t, other, wrap{})
		other.Only = "rank"
		startMember(t, other, wrap{})
		w.chaos(rng, w.liveLogs(rng.Uint64(), 6000), 6, func(step int) {
			c := w.member()
			config := w.config
			config.DieAfterWrites = 1
			c.Only, c.Boards = "leaderboard", &config
			p := w.startProcess(c)
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatalf("step %d: it didn't die", step)
			}
		})
		w.close()
		other.Only = "leaderboard"
		startMember(t, other, wrap{})
		w.checkBoards(w.expected())
	})
}

// TestBoardsZombie (fault 9): processes are stopped for longer than their sessions last, and then go on.
func TestBoardsZombie(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.watch()
		sleeper := w.startProcess(w.member())
		w.startProcess(w.member())
		w.chaos(rng, w.liveLogs(rng.Uint64(), 6000), 9, func(step int) {
			w.awaitProgress(w.processed() + 1)
			if step%4 != 1 {
				return
			}
			sleeper.signal(syscall.SIGSTOP)
			w.awaitProgress(w.total()) // only the other can get there
			w.awaitLists()
			sleeper.signal(syscall.SIGCONT)
		})
		w.close()
		w.checkBoards(w.expected())
	})
}

// TestBoardsTerminated: SIGTERM in mid-flush: it ends in time, and the next start has little to do.
func TestBoardsTerminated(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		p := w.startProcess(w.member())
		w.chaos(rng, w.liveLogs(rng.Uint64(), 6000), 5, func(int) {
			w.awaitProgress(w.processed() + rng.Int64N(max(1, w.total()-w.processed())))
			if code := p.term(8 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
				p.showLog()
			}
			p = w.startProcess(w.member())
		})
		w.close()
		w.checkBoards(w.expected())
	})
}

// TestBoardsIdle (fault 14): a partition falls silent, so the others close windows without it; then all are silent, and time goes on by itself. When it
// wakes up with events for windows that are final, their lists are published again.
func TestBoardsIdle(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.watch()
		startMember(t, w.member(), wrap{})
		logs := w.liveLogs(rng.Uint64(), 4000)
		half := len(logs[3]) / 4
		first := [][]sim.Record{logs[0], logs[1], logs[2], logs[3][:half]}
		w.produce(first)
		early := w.expected()
		var final []string
		w.eventually("windows are final without the silent partition", func() bool {
			final = final[:0]
			for _, r := range early {
				got, err := w.read(t.Context(), w.key(r.ListKey), w.board(r.Board).Order)
				if err == nil && got.meta["final"] == "1" {
					final = append(final, w.key(r.ListKey))
				}
			}
			return len(final) > len(early)/4
		})
		w.produce([][]sim.Record{nil, nil, nil, logs[3][half:]})
		w.close()
		want := w.expected()
		w.checkBoards(want)
		revised := 0
		for _, r := range want {
			if before, ok := early[r.ListKey]; ok && len(before.Entries) > 0 && before.Entries[0] != r.Entries[0] {
				revised++
			}
		}
		t.Logf("%d lists were final early, %d have another first place since", len(final), revised)
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
		logs := w.liveLogs(rng.Uint64(), 4000)
		behind := logs[3]
		w.produce([][]sim.Record{logs[0], logs[1], logs[2], behind[:1]})
		w.awaitLists()
		for _, r := range w.expected() {
			if got, err := w.read(t.Context(), w.key(r.ListKey), w.board(r.Board).Order); err != nil || got.meta["final"] == "1" {
				t.Fatalf("%s is final, though a partition is behind (%v)", w.key(r.ListKey), err)
			}
		}
		w.produce([][]sim.Record{nil, nil, nil, behind[1:]})
		w.close()
		w.checkBoards(w.expected())
	})
}
