//go:build e2e

package e2e_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"
)

// TestChurn (faults 1, 7): three processes, of which one after the other is killed or told to end in mid-pane; others join.
func TestChurn(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Watch()
	members := []*world.Process{w.start(), w.start(), w.start()}
	w.awaitMembers(3)
	killed, ended, busy := 0, 0, 0
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 14, func(int) {
		if rng.IntN(3) == 0 {
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, w.Total()-w.Processed())))
		}
		i := rng.IntN(len(members))
		if members[i] != nil && w.Processed() < w.Total() {
			busy++
		}
		switch {
		case members[i] == nil:
			members[i] = w.start()
			return
		case killed == 0 || ended > 0 && rng.IntN(2) == 0:
			members[i].Kill()
			killed++
			w.CheckDurable()
		default:
			w.Eventually("the process says something, and so listens to signals", func() bool {
				said, err := os.Stat(members[i].LogFile)
				return err == nil && said.Size() > 0
			})
			if code := members[i].Term(25 * time.Second); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
			ended++
		}
		members[i] = nil
		if rng.IntN(2) == 0 || !slices.ContainsFunc(members, func(p *world.Process) bool { return p != nil }) {
			members[i] = w.start()
		}
	})
	w.finish(true)
	if t.Logf("%d killed, %d ended, %d of them at work", killed, ended, busy); killed == 0 || ended == 0 || busy == 0 {
		t.Error("nobody was killed, or has ended, or not at work")
	}
}

// TestZombie (fault 9): a process is stopped for longer than its sessions last, while another takes over; then it goes on, with what it had in hand.
func TestZombie(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Watch()
	sleeper := w.start()
	w.start()
	slept := 0
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 8000), 9, func(step int) {
		if step%3 != 1 {
			w.AwaitProgress(w.Processed() + 1)
			return
		}
		w.awaitMembers(2)
		sleeper.Signal(syscall.SIGSTOP)
		if w.Processed() < w.Total() {
			slept++
		}
		w.AwaitProgress(w.Total()) // only the other can get there
		w.AwaitLists()
		w.CheckDurable()
		sleeper.Signal(syscall.SIGCONT)
	})
	w.finish(true)
	if t.Logf("%d times it was stopped with records in hand", slept); slept == 0 {
		t.Error("it was never stopped at work")
	}
}

// TestTerminated (fault 23): SIGTERM in mid-flush. It ends in time, with exit code 0, and all that it has published it has committed too: the next start
// replays what the windows that are open need, and publishes nothing again.
func TestTerminated(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Watch()
	w.flags = append(w.flags, "--set", "shutdown_timeout=10s")
	p := w.start()
	w.awaitMembers(1)
	interrupted := 0
	const steps = 6
	stopped := false
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), steps, func(step int) {
		p.Signal(syscall.SIGCONT)
		if step != 1 && rng.IntN(2) == 0 { // at step 1 it surely has work
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, w.Total()-w.Processed())))
		}
		if w.Processed() < w.Total() {
			interrupted++
		}
		if code := p.Term(10 * time.Second); code != 0 {
			t.Errorf("exit code %d, want 0", code)
			p.ShowLog()
		}
		w.CheckDurable()
		got := w.Receive()
		for p, c := range w.Commits() {
			if !stopped && c.Offset >= 0 && got.AsOf[p] > c.Through { // who was stopped may have half a second too little for the last commit
				t.Errorf("partition %d: published as of %d, but committed through %d", p, got.AsOf[p], c.Through)
			}
		}
		p = w.start()
		w.awaitMembers(1)
		if stopped = step%2 == 0 && step < steps-1; stopped {
			p.Signal(syscall.SIGSTOP) // what is produced next waits for it, so that it surely has work when it is told to end
		}
	})
	w.finish(true)
	if t.Logf("%d times it was interrupted", interrupted); interrupted == 0 {
		t.Error("it was never interrupted at work")
	}
}
