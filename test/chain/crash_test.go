package chain_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// onBoth runs a test on both brokers, with some partitions, shards and seeds.
func onBoth(t *testing.T, seeds int, test func(t *testing.T, w *world.World, rng *rand.Rand)) {
	t.Helper()
	for broker, start := range brokers() {
		t.Run(broker, func(t *testing.T) {
			servers := start(t)
			for range seeds {
				seed := rand.Uint64() % 1_000_000
				w := world.New(t, servers, world.LiveSettings(), 4, 3)
				test(t, w, world.NewRand(t, seed))
			}
		})
	}
}

// TestKilled (fault 1): members are killed at random moments. What they had committed is durable downstream; in the
// end everything is as if nothing had happened.
func TestKilled(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		members := []*world.Process{startProcess(w, member(w).mortal()), startProcess(w, member(w).mortal())}
		kills := 0
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 24, func(int) {
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, (w.Total()-w.Processed())/2)))
			if rng.IntN(3) > 0 {
				return
			}
			i := rng.IntN(len(members))
			members[i].Kill()
			kills++
			w.CheckDurable()
			members[i] = startProcess(w, member(w).mortal())
		})
		w.AwaitDone()
		t.Logf("%d kills", kills)
		w.Check(true)
	})
}

// TestKilledAfterDeadLetters (fault 4): a member dies each time after it has published dead letters, before
// anything is committed. They come again, with the same IDs.
func TestKilledAfterDeadLetters(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		w.Produce(w.LiveLogs(rng.Uint64(), 5000))
		for range 4 {
			c := member(w).mortal()
			c.DieAfterLetters = 1 + rng.IntN(8)
			c.BatchRecords = 200
			p := startProcess(w, c)
			select {
			case <-p.Exited:
			case <-time.After(world.Patience):
				t.Fatal("it didn't die")
			}
			w.CheckDurable()
		}
		_, before := w.Letters()
		startMember(t, member(w), wrap{})
		w.AwaitDone()
		w.Check(true)
		_, after := w.Letters()
		again := 0
		for at, n := range before {
			if after[at] > n {
				again++
			}
		}
		if again == 0 {
			t.Error("no dead letter came again: the members did not die between dead letter and commit")
		}
	})
}

// TestZombie (fault 9): a member is stopped for longer than its session lasts; another takes over; then it goes on.
func TestZombie(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		sleeper := startProcess(w, member(w).mortal())
		startProcess(w, member(w))
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 12, func(step int) {
			w.AwaitProgress(w.Processed() + 1)
			if step%4 != 1 {
				return
			}
			sleeper.Signal(syscall.SIGSTOP)
			before := w.Total()
			w.AwaitProgress(before) // only the other can get there
			sleeper.Signal(syscall.SIGCONT)
		})
		w.AwaitDone()
		w.Check(true)
		w.CheckDurable()
	})
}

// TestTerminated (fault 23): SIGTERM in mid-flight. It ends in time, with exit code 0, and what it has published it has also committed.
func TestTerminated(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		c := member(w)
		c.ReleaseTimeout = 3 * time.Second // a slow machine has time to commit
		p := startProcess(w, c)
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 6, func(int) {
			w.AwaitProgress(w.Processed() + 1 + rng.Int64N(max(1, w.Total()-w.Processed()))) // so that it is there for signals
			if code := p.Term(10 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
				p.ShowLog()
			}
			w.CheckDurable()
			got := w.Receive()
			for p, c := range w.Commits() {
				if c.Offset >= 0 && got.AsOf[p] > c.Through {
					t.Errorf("partition %d: published as of %d, but committed through %d", p, got.AsOf[p], c.Through)
				}
			}
			p = startProcess(w, c)
		})
		w.AwaitDone()
		w.Check(true)
	})
}

// TestReplay: what a restart works through again it publishes nothing of, and it says how much that is, and why.
func TestReplay(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		logs := w.LiveLogs(rng.Uint64(), 6000)
		half := make([][]sim.Record, len(logs))
		for p := range logs {
			half[p], logs[p] = logs[p][:3000], logs[p][3000:]
		}
		w.Produce(half)
		runOnce(w)
		commits, before := w.Commits(), w.ReadAll(w.Topics.Updates, w.Shards)

		log := watermill.NewCaptureLogger()
		m := startMember(t, member(w), wrap{logger: log})
		w.Eventually("all is replayed", func() bool {
			list := m.intake.Status()
			return len(list) == w.Partitions && !slices.ContainsFunc(list, func(s handlers.PartitionStatus) bool { return s.Replaying })
		})
		decided, _ := m.intake.Decided()
		var replayed int64
		for _, c := range commits {
			replayed += c.Through - c.Offset + 1
		}
		if decided[event.Replayed] != replayed {
			t.Errorf("%d records were replayed, want %d", decided[event.Replayed], replayed)
		}
		w.Produce(logs)
		w.AwaitDone()
		for shard, messages := range w.ReadAll(w.Topics.Updates, w.Shards) {
			for _, record := range messages[len(before[shard]):] {
				_, _, update, err := wire.DecodeUpdate(record.Value)
				if err != nil {
					t.Fatal(err)
				}
				if through := commits[update.Source].Through; update.AsOf < through || update.AsOf == through && len(update.Cells) > 0 {
					t.Errorf("partition %d, processed through %d before: published %d cells as of %d", update.Source, through, len(update.Cells), update.AsOf)
				}
			}
		}
		w.Check(false)

		told := 0
		_ = m.stop() // what it logs is read without a lock
		for _, line := range log.Captured()[watermill.InfoLogLevel] {
			if strings.HasPrefix(line.Msg, "replaying: open panes and the seen event IDs are built up again") {
				c := commits[line.Fields["partition"].(int)]
				if line.Fields["from"] != c.Offset || line.Fields["through"] != c.Through || line.Fields["records_max"] != c.Through-c.Offset+1 {
					t.Errorf("the log says %v of a replay from %d through %d", line.Fields, c.Offset, c.Through)
				}
				told++
			}
		}
		if told != w.Partitions {
			t.Errorf("the log tells of %d replays, want %d", told, w.Partitions)
		}
	})
}
