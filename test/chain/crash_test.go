package chain_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/wire"
)

// onBoth runs a test on both brokers, with some partitions, shards and seeds.
func onBoth(t *testing.T, seeds int, test func(t *testing.T, w *world, rng *rand.Rand)) {
	t.Helper()
	for broker, start := range brokers() {
		t.Run(broker, func(t *testing.T) {
			servers := start(t)
			for range seeds {
				seed := rand.Uint64() % 1_000_000
				w := newWorld(t, servers, liveSettings(), 4, 3)
				test(t, w, newRand(t, seed))
			}
		})
	}
}

// TestKilled (fault 1): members are killed at random moments. What they had committed is durable downstream; in the
// end everything is as if nothing had happened.
func TestKilled(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		members := []*process{w.startProcess(w.member()), w.startProcess(w.member())}
		kills := 0
		w.chaos(rng, w.liveLogs(rng.Uint64(), 10_000), 24, func(int) {
			w.awaitProgress(w.processed() + rng.Int64N(max(1, (w.total()-w.processed())/2)))
			if rng.IntN(3) > 0 {
				return
			}
			i := rng.IntN(len(members))
			members[i].kill()
			kills++
			w.checkDurable()
			members[i] = w.startProcess(w.member())
		})
		w.awaitDone()
		t.Logf("%d kills", kills)
		w.check(true)
	})
}

// TestKilledAfterDeadLetters (fault 4): a member dies each time after it has published dead letters, before
// anything is committed. They come again, with the same IDs.
func TestKilledAfterDeadLetters(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		w.produce(w.liveLogs(rng.Uint64(), 5000))
		for range 4 {
			c := w.member()
			c.DieAfterLetters = 1 + rng.IntN(8)
			c.BatchRecords = 200
			p := w.startProcess(c)
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatal("it didn't die")
			}
			w.checkDurable()
		}
		_, before := w.letters()
		startMember(t, w.member(), wrap{})
		w.awaitDone()
		w.check(true)
		_, after := w.letters()
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
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		c := w.member()
		c.SessionTimeout = 600 * time.Millisecond
		sleeper, other := w.startProcess(c), w.startProcess(c)
		_ = other
		w.chaos(rng, w.liveLogs(rng.Uint64(), 10_000), 12, func(step int) {
			w.awaitProgress(w.processed() + 1)
			if step%4 != 1 {
				return
			}
			sleeper.signal(syscall.SIGSTOP)
			before := w.total()
			w.awaitProgress(before) // only the other can get there
			sleeper.signal(syscall.SIGCONT)
		})
		w.awaitDone()
		w.check(true)
		w.checkDurable()
	})
}

// TestTerminated (fault 23): SIGTERM in mid-flight. It ends in time, with exit code 0, and what it has published it has also committed.
func TestTerminated(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		p := w.startProcess(w.member())
		w.chaos(rng, w.liveLogs(rng.Uint64(), 10_000), 6, func(int) {
			w.awaitProgress(w.processed() + rng.Int64N(max(1, w.total()-w.processed())))
			if code := p.term(5 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
				p.showLog()
			}
			w.checkDurable()
			got := w.receive()
			for p, c := range w.commits() {
				if c.offset >= 0 && got.asOf[p] > c.through {
					t.Errorf("partition %d: published as of %d, but committed through %d", p, got.asOf[p], c.through)
				}
			}
			p = w.startProcess(w.member())
		})
		w.awaitDone()
		w.check(true)
	})
}

// TestReplay: what a restart works through again it publishes nothing of, and it says how much that is, and why.
func TestReplay(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		logs := w.liveLogs(rng.Uint64(), 6000)
		half := make([][]sim.Record, len(logs))
		for p := range logs {
			half[p], logs[p] = logs[p][:3000], logs[p][3000:]
		}
		w.produce(half)
		w.runOnce()
		commits, before := w.commits(), w.readAll(w.topics.Updates, w.shards)

		log := watermill.NewCaptureLogger()
		m := startMember(t, w.member(), wrap{logger: log})
		w.eventually("all is replayed", func() bool {
			list := m.intake.Status()
			return len(list) == w.partitions && !slices.ContainsFunc(list, func(s handlers.PartitionStatus) bool { return s.Replaying })
		})
		decided, _ := m.intake.Decided()
		var replayed int64
		for _, c := range commits {
			replayed += c.through - c.offset + 1
		}
		if decided[event.Replayed] != replayed {
			t.Errorf("%d records were replayed, want %d", decided[event.Replayed], replayed)
		}
		w.produce(logs)
		w.awaitDone()
		for shard, messages := range w.readAll(w.topics.Updates, w.shards) {
			for _, record := range messages[len(before[shard]):] {
				_, _, update, err := wire.DecodeUpdate(record.Value)
				if err != nil {
					t.Fatal(err)
				}
				if through := commits[update.Source].through; update.AsOf < through || update.AsOf == through && len(update.Cells) > 0 {
					t.Errorf("partition %d, processed through %d before: published %d cells as of %d", update.Source, through, len(update.Cells), update.AsOf)
				}
			}
		}
		w.check(false)

		told := 0
		for _, line := range log.Captured()[watermill.InfoLogLevel] {
			if strings.HasPrefix(line.Msg, "replaying: open panes and the seen event IDs are built up again") {
				c := commits[line.Fields["partition"].(int)]
				if line.Fields["from"] != c.offset || line.Fields["through"] != c.through || line.Fields["records_max"] != c.through-c.offset+1 {
					t.Errorf("the log says %v of a replay from %d through %d", line.Fields, c.offset, c.through)
				}
				told++
			}
		}
		if told != w.partitions {
			t.Errorf("the log tells of %d replays, want %d", told, w.partitions)
		}
	})
}
