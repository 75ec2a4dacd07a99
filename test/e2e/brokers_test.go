//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// recovery is how long it may take at most until work goes on, after a fault of the broker has ended.
const recovery = 15 * time.Second

// goesOn checks that something more is processed in time, when there is something to do.
func (w *run) goesOn() {
	w.T.Helper()
	began := time.Now()
	w.AwaitProgress(w.Processed() + 1)
	if took := time.Since(began); took > recovery {
		w.T.Errorf("nothing was processed for %v after the fault, more than %v", took, recovery)
	}
}

// TestBrokersMove (fault 10): the groups' coordinators and partitions' leaders move.
func TestBrokersMove(t *testing.T) {
	kafka := world.Kfake(t, 3)
	w, rng := liveRun(t, kafka.Brokers())
	w.Watch()
	w.start()
	w.start()
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 8000), 9, func(step int) {
		if step%3 == 0 {
			kafka.Cluster().RehashCoordinators()
		}
		for topic, partitions := range map[string]int{w.Topics.Events: w.Partitions, w.Topics.Updates: w.Shards, w.Topics.Rankings: w.Config.Lanes, w.Topics.Letters: 2} {
			if err := kafka.Cluster().MoveTopicPartition(topic, int32(rng.IntN(partitions)), int32(rng.IntN(3))); err != nil {
				t.Error(err)
			}
		}
		w.goesOn()
	})
	w.finish(true)
}

// TestConnectionsCut (fault 11): requests of all sorts are cut off at random, before the broker acts, and some fetches are slow.
func TestConnectionsCut(t *testing.T) {
	kafka := world.Kfake(t, 2)
	w, rng := liveRun(t, kafka.Brokers())
	var on atomic.Bool
	var cut atomic.Int64
	dice := rand.New(rand.NewPCG(rng.Uint64(), 1)) // the cluster calls one at a time
	kafka.Cluster().Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster().KeepControl()
		if on.Load() && dice.IntN(12) == 0 {
			cut.Add(1)
			return nil, errCut, true
		}
		if on.Load() && request.Key() == int16(kmsg.Fetch) && dice.IntN(10) == 0 {
			slow := time.Duration(dice.IntN(300)) * time.Millisecond
			kafka.Cluster().SleepControl(func() { <-time.After(slow) })
		}
		return nil, nil, false
	})
	w.Watch()
	members := []*world.Process{w.start(), w.start()}
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 8000), 6, func(int) {
		before := cut.Load()
		on.Store(true)
		w.Eventually("some connections are cut", func() bool { return cut.Load() > before+10 })
		on.Store(false)
		w.goesOn()
	})
	w.finish(true)
	for _, p := range members {
		if peak := w.peak(p); peak > memory {
			t.Errorf("%s took %d MiB of memory, more than %d", p.ID, peak>>20, memory>>20)
		}
	}
}

// memory is what a process may take at most in these tests.
const memory = 400 << 20

// peak returns the most memory that a process has held so far.
func (w *run) peak(p *world.Process) (n int64) {
	w.T.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		w.T.Fatal(err)
	}
	_, after, _ := bytes.Cut(b, []byte("VmHWM:"))
	if _, err := fmt.Sscan(string(after), &n); err != nil {
		w.T.Fatal(err)
	}
	w.T.Logf("%s took %d MiB of memory at most", p.ID, n>>10)
	return n << 10
}

// TestDeadLettersUnavailable (fault 21): the dead-letter topic refuses everything. What comes after the first dead letter is not committed, and reading stops;
// then it goes on.
func TestDeadLettersUnavailable(t *testing.T) {
	kafka := world.Kfake(t, 1)
	w, rng := liveRun(t, kafka.Brokers())
	var refused atomic.Int64
	var down atomic.Bool
	down.Store(true)
	kafka.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster().KeepControl()
		info := kafka.Cluster().TopicInfo(w.Topics.Letters)
		about := func(topic kmsg.ProduceRequestTopic) bool {
			return topic.Topic == w.Topics.Letters || info != nil && topic.TopicID == info.TopicID
		}
		if !down.Load() || !slices.ContainsFunc(request.(*kmsg.ProduceRequest).Topics, about) {
			return nil, nil, false
		}
		refused.Add(1)
		return nil, errCut, true
	})
	w.Produce(w.LiveLogs(rng.Uint64(), 6000))
	w.Watch()
	w.flags = append(w.flags, "--set", "kafka.delivery_timeout=1s", "--set", "limits.batch_records=500")
	p := w.start()
	var since time.Time
	w.Eventually("it was refused for some time longer than delivery_timeout, and all partitions wait", func() bool {
		if since.IsZero() && refused.Load() > 0 {
			since = time.Now()
		}
		status, ok := w.status(p)
		return ok && refused.Load() > 8 && len(status.Partitions) == w.Partitions && time.Since(since) > 4*time.Second
	})
	w.CheckDurable()
	status, _ := w.status(p)
	for p, log := range w.Logs {
		first := slices.IndexFunc(sim.Decide(w.Settings, log), func(o sim.Outcome) bool { return o.Decision.DeadLetter() })
		if through := w.Commits()[p].Through; first >= 0 && through >= log[first].Offset {
			t.Errorf("partition %d: committed through %d, beyond dead letter %d", p, through, log[first].Offset)
		}
	}
	for _, s := range status.Partitions {
		if s.Offset >= w.LastOffset(s.Partition) {
			t.Errorf("partition %d was read to its end, %d, though its dead letters could not be published", s.Partition, s.Offset)
		}
	}
	down.Store(false)
	w.goesOn()
	w.finish(true)
}
