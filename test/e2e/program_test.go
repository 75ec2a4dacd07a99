//go:build e2e

package e2e_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// TestProgram: the built program, as three processes on a real Kafka and a real Redis, of which one is killed in the middle and one joins later, makes of
// both data sets, with injected duplicates, late, future and malformed records, exactly the lists that come with them, and the oracle's cells and dead letters.
func TestProgram(t *testing.T) {
	servers := kafka.Broker(t).Brokers()
	redis := redisserver.StartTest(t, redisserver.Options{}).Addr()
	for _, name := range []string{"wikipedia-edits", "online-retail"} {
		t.Run(name, func(t *testing.T) {
			facts, err := sim.Facts(name)
			if err != nil {
				t.Fatal(err)
			}
			const partitions = 6
			w := newRun(world.New(t, servers, world.DataSettings(), partitions, 4), "program-"+name, world.DataBoards(name), 3, redis)
			logs := w.Arrive(11, facts)
			w.Watch()
			first, second := w.start(), w.start()
			w.ProducePart(logs, 0, 2)
			w.AwaitProgress(w.Total() / 3)
			first.Signal(syscall.SIGKILL)
			third := w.start()
			w.ProducePart(logs, 1, 2)
			w.Close()
			w.CheckLists(w.Answers(name))
			w.AwaitDone()
			w.Check(true)
			w.CheckDurable()
			for _, p := range []*world.Process{second, third} {
				if code := p.Term(25 * time.Second); code != 0 {
					t.Errorf("exit code %d after SIGTERM, want 0", code)
				}
			}
		})
	}
}
