package chain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/microbatch"
)

// TestChurn (fault 7): three members join and leave.
func TestChurn(t *testing.T) {
	for _, strategy := range []string{"cooperative-sticky", "sticky"} {
		t.Run(strategy, func(t *testing.T) {
			onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
				c := member(w)
				c.Strategy = strategy
				members := make([]*running, 3)
				members[0] = startMember(t, c, wrap{})
				w.Chaos(rng, w.LiveLogs(rng.Uint64(), 10_000), 16, func(int) {
					w.AwaitProgress(w.Processed() + rng.Int64N(max(1, w.Total()-w.Processed())))
					i := rng.IntN(len(members))
					if members[i] == nil {
						members[i] = startMember(t, c, wrap{})
						return
					}
					if err := members[i].stop(); err != nil {
						t.Error(err)
					}
					if members[i] = nil; !slices.ContainsFunc(members, func(m *running) bool { return m != nil }) {
						members[i] = startMember(t, c, wrap{})
					}
				})
				w.AwaitDone()
				w.Check(true)
			})
		})
	}
}

// TestRebalanceWhileBlocked (fault 8): a member whose dead letters can't be published holds nobody up.
func TestRebalanceWhileBlocked(t *testing.T) {
	for _, strategy := range []string{"cooperative-sticky", "sticky"} {
		t.Run(strategy, func(t *testing.T) {
			onBoth(t, 1, func(t *testing.T, shared *world.World, rng *rand.Rand) {
				free := make(chan struct{})
				close(free)
				whenIdle, whenBlocked := time.Hour, time.Hour // the least of three each: the machine may have been busy with something else
				for range 3 {
					idle := world.New(t, shared.Brokers, shared.Settings, shared.Partitions, shared.Shards)
					took, stop := rebalance(idle, rng, strategy, &gate{open: free}, func(*gate) { idle.AwaitDone() })
					whenIdle = min(whenIdle, took)
					idle.Check(true)
					stop()

					blocked := world.New(t, shared.Brokers, shared.Settings, shared.Partitions, shared.Shards)
					g := &gate{open: make(chan struct{})}
					took, stop = rebalance(blocked, rng, strategy, g, func(g *gate) {
						blocked.Eventually("all partitions are blocked", func() bool { return g.waiting.Load() == int64(blocked.Partitions) })
					})
					whenBlocked = min(whenBlocked, took)
					close(g.open)
					blocked.AwaitDone()
					blocked.Check(true)
					stop()
				}
				t.Logf("idle %v, blocked %v", whenIdle, whenBlocked)
				if whenBlocked > whenIdle+time.Second {
					t.Errorf("a rebalance takes %v when idle, and %v when a handler is blocked", whenIdle, whenBlocked)
				}
			})
		})
	}
}

// rebalance has one member work, its dead letters passing a gate, and a second one join when it is ready. It returns
// how long the second one waits for its first partition, and what stops both.
func rebalance(w *world.World, rng *rand.Rand, strategy string, g *gate, ready func(*gate)) (took time.Duration, stop func()) {
	w.T.Helper()
	w.Produce(w.LiveLogs(rng.Uint64(), 3000))
	c := member(w)
	c.Strategy = strategy
	first := startMember(w.T, c, wrap{letters: func(p message.Publisher) message.Publisher { g.Publisher = p; return g }})
	ready(g)
	assigned := make(chan struct{}, w.Partitions)
	began := time.Now()
	second := startMember(w.T, c, wrap{assigned: func(*microbatch.Claim) { assigned <- struct{}{} }})
	select {
	case <-assigned:
		took = time.Since(began)
	case <-time.After(world.Patience):
		w.T.Fatal("the second member was assigned nothing")
	}
	return took, func() {
		_ = second.stop()
		_ = first.stop()
	}
}

// subscribeError starts a member, and returns why it stops.
func subscribeError(t testing.TB, c memberConfig) error {
	t.Helper()
	m := startMember(t, c, wrap{})
	select {
	case <-m.done:
		return m.err
	case <-time.After(world.Patience):
		t.Fatal("it did not stop by itself")
		return nil
	}
}

// refused checks that a member refuses to start for a reason, says what to do, and changes no commit.
func refused(w *world.World, c memberConfig, reason error, says string) {
	w.T.Helper()
	before := w.Commits()
	err := subscribeError(w.T, c)
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), says) {
		w.T.Errorf("it stopped with %v, want %v, and what to do: %q", err, reason, says)
	}
	if after := w.Commits(); !slices.Equal(before, after) {
		w.T.Errorf("the commits were %+v, and are %+v", before, after)
	}
}

// runOnce has a member process everything, and stops it.
func runOnce(w *world.World) {
	w.T.Helper()
	m := startMember(w.T, member(w), wrap{})
	w.AwaitDone()
	if err := m.stop(); err != nil {
		w.T.Error(err)
	}
}

// TestRetentionPasses (fault 12): records that must be read again are deleted; or the group's offsets are.
func TestRetentionPasses(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		w.Produce(w.LiveLogs(rng.Uint64(), 3000))
		runOnce(w)
		w.Eventually("the group's offsets are deleted", func() bool {
			got, err := w.Admin.DeleteOffsets(t.Context(), w.Topics.Group, kadm.TopicsSet{w.Topics.Events: {0: {}, 1: {}, 2: {}, 3: {}}})
			return err == nil && got.Error() == nil && w.Processed() == 0
		})
		runOnce(w) // from the oldest record
		w.Check(true)

		var until kadm.Offsets
		until.Add(kadm.Offset{Topic: w.Topics.Events, Partition: 2, At: w.Commits()[2].Offset + 1})
		w.DeleteRecords(until)
		refused(w, member(w), microbatch.ErrBelowStart, "retention.ms")
	})
}

// TestPartitionsAdded (fault 13): events of one ID go to other partitions from then on. A running member stops, and none starts.
func TestPartitionsAdded(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		w.Produce(w.LiveLogs(rng.Uint64(), 2000))
		m := startMember(t, member(w), wrap{})
		w.AwaitDone()
		ctx, cancel := context.WithTimeout(t.Context(), world.Patience)
		defer cancel()
		w.AddPartitions(2)
		select {
		case <-m.done:
			if !errors.Is(m.err, microbatch.ErrPartitions) {
				t.Errorf("it stopped with %v", m.err)
			}
		case <-ctx.Done():
			t.Fatal("it did not stop")
		}
		refused(w, member(w), microbatch.ErrPartitions, "new generation")
		w.Check(true)
	})
}

// TestMetadataDamaged (fault 24), and all else that Rule 3 refuses.
func TestMetadataDamaged(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world.World, rng *rand.Rand) {
		w.Produce(w.LiveLogs(rng.Uint64(), 2000))
		runOnce(w)
		settings := member(w)
		settings.Settings.AllowedLateness++
		settings.Settings.AllowedLateness += time.Millisecond - 1
		refused(w, settings, microbatch.ErrSettings, "new generation")
		generation := member(w)
		generation.Generation = 2
		refused(w, generation, microbatch.ErrGeneration, "group of its own")
		shards := member(w)
		shards.Shards--
		refused(w, shards, microbatch.ErrOutputs, "new generation")

		good := w.Commits()[1]
		for _, bad := range []string{"", "garbage", strings.Replace(good.Text, "count-from:", "count-from:1", 1)} {
			w.CommitBy(1, good.Offset, bad)
			err := subscribeError(t, member(w))
			if !errors.Is(err, microbatch.ErrDamaged) || !strings.Contains(err.Error(), "new generation") {
				t.Errorf("with metadata %q it stopped with %v", bad, err)
			}
			if text := w.CommittedText(1); text != bad {
				t.Errorf("it replaced metadata %q by %q", bad, text)
			}
		}
		w.CommitBy(1, good.Offset, good.Text)
		runOnce(w)
		w.Check(true)
	})
}

// TestTopicRecreated: offsets of another topic mean nothing, even where the broker has kept them.
func TestTopicRecreated(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, _ *kfake.Cluster, rng *rand.Rand) {
		w.Produce(w.LiveLogs(rng.Uint64(), 2000))
		runOnce(w)
		before := w.Commits()[0]
		if _, err := w.Admin.DeleteTopics(t.Context(), w.Topics.Events); err != nil {
			t.Fatal(err)
		}
		w.Eventually("the topic can be made anew", func() bool {
			got, err := w.Admin.CreateTopic(t.Context(), int32(w.Partitions), 1, nil, w.Topics.Events)
			return err == nil && got.Err == nil
		})
		w.CommitBy(0, before.Offset, before.Text)
		refused(w, member(w), microbatch.ErrTopic, "new generation")
	})
}
