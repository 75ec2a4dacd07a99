package chain_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/sim"
)

// onKfake runs a test on the embedded broker, whose answers it can change.
func onKfake(t *testing.T, nodes int, test func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand)) {
	t.Helper()
	kafka := world.Kfake(t, nodes)
	w := world.New(t, kafka.Brokers(), world.LiveSettings(), 4, 3)
	test(t, w, kafka.Cluster(), world.NewRand(t, rand.Uint64()%1_000_000))
}

var errCut = errors.New("the connection is cut")

// TestCommitLost (fault 5): the broker takes commits in, and the connection is cut before it answers; or it is cut before.
func TestCommitLost(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand) {
		lost := 0
		cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if lost++; lost%3 != 0 {
				return nil, errCut, true
			}
			return nil, nil, false
		})
		startMember(t, member(w), wrap{})
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 5000), 5, func(int) {
			w.AwaitProgress(w.Processed() + 1)
			w.CheckDurable()
		})
		w.AwaitDone()
		w.Check(true)
		if lost < 3 {
			t.Errorf("%d commits were lost", lost)
		}
	})
}

// TestCommitRefused (fault 6): the broker says that commits are of an old generation, until the member joins anew: the session
// must end, and the member go on.
func TestCommitRefused(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand) {
		var joins atomic.Int64
		anew := func() bool { return joins.Load() >= 3 } // one request to be given an ID, one with it, and again
		cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if anew() {
				return nil, nil, false
			}
			return world.RefuseCommit(request.(*kmsg.OffsetCommitRequest)), nil, true
		})
		cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			joins.Add(1)
			return nil, nil, false
		})
		w.Produce(w.LiveLogs(rng.Uint64(), 5000))
		startMember(t, member(w), wrap{})
		w.AwaitDone()
		w.Check(true)
		w.CheckDurable()
		if !anew() {
			t.Errorf("it joined by %d requests: the session did not end", joins.Load())
		}
	})
}

// TestBrokersMove (fault 10): the group's coordinator and partitions' leaders move.
func TestBrokersMove(t *testing.T) {
	onKfake(t, 3, func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand) {
		for range 2 {
			startMember(t, member(w), wrap{})
		}
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 12, func(step int) {
			if step%3 == 0 {
				cluster.RehashCoordinators()
			}
			for _, topic := range []string{w.Topics.Events, w.Topics.Updates, w.Topics.Letters} {
				if err := cluster.MoveTopicPartition(topic, int32(rng.IntN(2)), int32(rng.IntN(3))); err != nil {
					t.Error(err)
				}
			}
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, w.Total()-w.Processed())))
		})
		w.AwaitDone()
		w.Check(true)
	})
}

// TestConnectionsCut (fault 11): fetches, produces and whatever else are cut off at random, before the broker acts;
// and some fetches are slow.
func TestConnectionsCut(t *testing.T) {
	onKfake(t, 2, func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand) {
		var on atomic.Bool
		var cut atomic.Int64
		dice := rand.New(rand.NewPCG(rng.Uint64(), 1)) // the cluster calls one at a time
		cluster.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if on.Load() && dice.IntN(12) == 0 {
				cut.Add(1)
				return nil, errCut, true
			}
			if on.Load() && request.Key() == int16(kmsg.Fetch) && dice.IntN(10) == 0 {
				slow := time.Duration(dice.IntN(50)) * time.Millisecond
				cluster.SleepControl(func() { <-time.After(slow) })
			}
			return nil, nil, false
		})
		for range 2 {
			startMember(t, member(w), wrap{})
		}
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 8, func(int) {
			before := cut.Load()
			on.Store(true)
			w.Eventually("some connections are cut", func() bool { return cut.Load() > before+10 })
			on.Store(false)
			w.AwaitProgress(w.Processed() + 1)
		})
		w.AwaitDone()
		w.Check(true)
	})
}

// TestDeadLettersUnavailable (fault 21): the dead-letter topic refuses everything. What comes after the first dead letter is not
// committed, and reading stops; then it goes on.
func TestDeadLettersUnavailable(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, cluster *kfake.Cluster, rng *rand.Rand) {
		var refused atomic.Int64
		var down atomic.Bool
		down.Store(true)
		cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			produce := request.(*kmsg.ProduceRequest)
			info := cluster.TopicInfo(w.Topics.Letters)
			about := func(topic kmsg.ProduceRequestTopic) bool {
				return topic.Topic == w.Topics.Letters || info != nil && topic.TopicID == info.TopicID
			}
			if !down.Load() || !slices.ContainsFunc(produce.Topics, about) {
				return nil, nil, false
			}
			refused.Add(1)
			return nil, errCut, true
		})
		logs := w.LiveLogs(rng.Uint64(), 5000)
		w.Produce(logs)
		c := member(w)
		c.DeliveryTime, c.BatchRecords = 300*time.Millisecond, 500
		m := startMember(t, c, wrap{})
		w.Eventually("it was refused", func() bool { return refused.Load() > 8 })
		w.CheckDurable()
		for p, log := range w.Logs {
			first := slices.IndexFunc(sim.Decide(w.Settings, log), func(o sim.Outcome) bool { return o.Decision.DeadLetter() })
			if through := w.Commits()[p].Through; first >= 0 && through >= log[first].Offset {
				t.Errorf("partition %d: committed through %d, beyond dead letter %d", p, through, log[first].Offset)
			}
		}
		for _, s := range m.intake.Status() {
			if s.Offset >= w.LastOffset(s.Partition) {
				t.Errorf("partition %d was read to its end, %d, though its dead letters could not be published", s.Partition, s.Offset)
			}
		}
		down.Store(false)
		w.AwaitDone()
		w.Check(true)
	})
}

// gate holds publishes up while it is closed.
type gate struct {
	message.Publisher
	open    chan struct{} // closed when it is
	waiting atomic.Int64
}

func (g *gate) Publish(topic string, messages ...*message.Message) error {
	g.waiting.Add(1)
	<-g.open
	g.waiting.Add(-1)
	return g.Publisher.Publish(topic, messages...)
}
