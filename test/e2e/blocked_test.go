//go:build e2e

package e2e_test

import (
	"testing"
	"time"

	"github.com/millrank/millrank/internal/redisserver"
)

// TestRebalanceWhileBlocked (fault 8): Redis doesn't answer, so lists pile up in a process; another one joins, and no group's rebalance takes longer than when
// nothing is wrong. When Redis answers again, all is written.
func TestRebalanceWhileBlocked(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	w, rng := liveRunOn(t, kafka.Broker(t).Brokers(), server.Addr())
	w.flags = []string{"--set", "kafka.session_timeout=5s", "--set", "redis.timeout=1s"}
	w.Watch()
	first := w.start()
	logs := w.LiveLogs(rng.Uint64(), 6000)
	w.ProducePart(logs, 0, 5)
	w.AwaitLists()
	w.awaitMembers(1)
	join := func() time.Duration {
		began := time.Now()
		p := w.start()
		w.awaitMembers(2)
		took := time.Since(began)
		if code := p.Term(25 * time.Second); code != 0 {
			t.Errorf("exit code %d after SIGTERM, want 0", code)
		}
		w.awaitMembers(1)
		return took
	}
	idle, blocked := min(join(), join(), join()), time.Hour
	server.Pause()
	for part := range 3 {
		w.ProducePart(logs, 1+part, 5)
		w.AwaitProgress(w.Total()) // the intake doesn't wait for Redis
		w.Eventually("lists wait for Redis", func() bool {
			status, ok := w.status(first)
			pending := 0
			for _, part := range status.Parts {
				pending += part.PendingLists
			}
			return ok && pending > 0
		})
		blocked = min(blocked, join())
	}
	server.Continue()
	w.ProducePart(logs, 4, 5)
	w.finish(true)
	if t.Logf("a process joins within %v when idle, and %v when Redis blocks", idle, blocked); blocked > idle+time.Second {
		t.Errorf("a rebalance takes %v when idle, and %v when Redis is blocked", idle, blocked)
	}
}
