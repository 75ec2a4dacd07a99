package chain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/microbatch"
)

// TestChurn (fault 7): three members join and leave.
func TestChurn(t *testing.T) {
	for _, strategy := range []string{"cooperative-sticky", "sticky"} {
		t.Run(strategy, func(t *testing.T) {
			onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
				c := w.member()
				c.Strategy = strategy
				members := make([]*running, 3)
				members[0] = startMember(t, c, wrap{})
				w.chaos(rng, w.liveLogs(rng.Uint64(), 10_000), 16, func(int) {
					w.awaitProgress(w.processed() + rng.Int64N(max(1, w.total()-w.processed())))
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
				w.awaitDone()
				w.check(true)
			})
		})
	}
}

// TestRebalanceWhileBlocked (fault 8): a member whose dead letters can't be published holds nobody up.
func TestRebalanceWhileBlocked(t *testing.T) {
	for _, strategy := range []string{"cooperative-sticky", "sticky"} {
		t.Run(strategy, func(t *testing.T) {
			onBoth(t, 1, func(t *testing.T, idle *world, rng *rand.Rand) {
				free := make(chan struct{})
				close(free)
				whenIdle := idle.rebalance(rng, strategy, &gate{open: free}, func(*gate) { idle.awaitDone() })
				idle.check(true)

				blocked := newWorld(t, idle.brokers, idle.settings, idle.partitions, idle.shards)
				g := &gate{open: make(chan struct{})}
				whenBlocked := blocked.rebalance(rng, strategy, g, func(g *gate) {
					blocked.eventually("all partitions are blocked", func() bool { return g.waiting.Load() == int64(blocked.partitions) })
				})
				close(g.open)
				blocked.awaitDone()
				blocked.check(true)

				t.Logf("idle %v, blocked %v", whenIdle, whenBlocked)
				if whenBlocked > whenIdle+time.Second {
					t.Errorf("a rebalance takes %v when idle, and %v when a handler is blocked", whenIdle, whenBlocked)
				}
			})
		})
	}
}

// rebalance has one member work, its dead letters passing a gate, and a second one join when it is ready. It returns
// how long the second one waits for its first partition.
func (w *world) rebalance(rng *rand.Rand, strategy string, g *gate, ready func(*gate)) time.Duration {
	w.t.Helper()
	w.produce(w.liveLogs(rng.Uint64(), 3000))
	c := w.member()
	c.Strategy, c.SessionTimeout, c.HeartbeatInterval = strategy, 10*time.Second, 100*time.Millisecond
	startMember(w.t, c, wrap{letters: func(p message.Publisher) message.Publisher { g.Publisher = p; return g }})
	ready(g)
	assigned := make(chan struct{}, w.partitions)
	began := time.Now()
	startMember(w.t, c, wrap{assigned: func(*microbatch.Claim) { assigned <- struct{}{} }})
	select {
	case <-assigned:
		return time.Since(began)
	case <-time.After(patience):
		w.t.Fatal("the second member was assigned nothing")
		return 0
	}
}

// subscribeError starts a member, and returns why it stops.
func subscribeError(t *testing.T, c memberConfig) error {
	t.Helper()
	m := startMember(t, c, wrap{})
	select {
	case <-m.done:
		return m.err
	case <-time.After(patience):
		t.Fatal("it did not stop by itself")
		return nil
	}
}

// refused checks that a member refuses to start for a reason, says what to do, and changes no commit.
func (w *world) refused(c memberConfig, reason error, says string) {
	w.t.Helper()
	before := w.commits()
	err := subscribeError(w.t, c)
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), says) {
		w.t.Errorf("it stopped with %v, want %v, and what to do: %q", err, reason, says)
	}
	if after := w.commits(); !slices.Equal(before, after) {
		w.t.Errorf("the commits were %+v, and are %+v", before, after)
	}
}

// runOnce has a member process everything, and stops it.
func (w *world) runOnce() {
	w.t.Helper()
	m := startMember(w.t, w.member(), wrap{})
	w.awaitDone()
	if err := m.stop(); err != nil {
		w.t.Error(err)
	}
}

// TestRetentionPasses (fault 12): records that must be read again are deleted; or the group's offsets are.
func TestRetentionPasses(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		w.produce(w.liveLogs(rng.Uint64(), 3000))
		w.runOnce()
		if _, err := w.admin.DeleteOffsets(t.Context(), w.topics.Group, kadm.TopicsSet{w.topics.Events: {0: {}, 1: {}, 2: {}, 3: {}}}); err != nil {
			t.Fatal(err)
		}
		if w.processed() > 0 {
			t.Fatal("the commits are still there")
		}
		w.runOnce() // from the oldest record
		w.check(true)

		var until kadm.Offsets
		until.Add(kadm.Offset{Topic: w.topics.Events, Partition: 2, At: w.commits()[2].offset + 1})
		if _, err := w.admin.DeleteRecords(t.Context(), until); err != nil {
			t.Fatal(err)
		}
		w.refused(w.member(), microbatch.ErrBelowStart, "retention.ms")
	})
}

// TestPartitionsAdded (fault 13): events of one ID go to other partitions from then on. A running member stops, and none starts.
func TestPartitionsAdded(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		w.produce(w.liveLogs(rng.Uint64(), 2000))
		c := w.member()
		c.SessionTimeout = 10 * time.Second
		m := startMember(t, c, wrap{})
		w.awaitDone()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := w.admin.UpdatePartitions(ctx, w.partitions+2, w.topics.Events); err != nil {
			t.Fatal(err)
		}
		select {
		case <-m.done:
			if !errors.Is(m.err, microbatch.ErrPartitions) {
				t.Errorf("it stopped with %v", m.err)
			}
		case <-ctx.Done():
			t.Fatal("it did not stop")
		}
		w.refused(w.member(), microbatch.ErrPartitions, "new generation")
		w.check(true)
	})
}

// TestMetadataDamaged (fault 24), and all else that Rule 3 refuses.
func TestMetadataDamaged(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, w *world, rng *rand.Rand) {
		w.produce(w.liveLogs(rng.Uint64(), 2000))
		w.runOnce()
		settings := w.member()
		settings.Settings.AllowedLateness++
		settings.Settings.AllowedLateness += time.Millisecond - 1
		w.refused(settings, microbatch.ErrSettings, "new generation")
		generation := w.member()
		generation.Generation = 2
		w.refused(generation, microbatch.ErrGeneration, "group of its own")
		shards := w.member()
		shards.Shards--
		w.refused(shards, microbatch.ErrOutputs, "new generation")

		good := w.commits()[1]
		for _, bad := range []string{"", "garbage", strings.Replace(good.text, "count-from:", "count-from:1", 1)} {
			w.commitBy(1, good.offset, bad)
			err := subscribeError(t, w.member())
			if !errors.Is(err, microbatch.ErrDamaged) || !strings.Contains(err.Error(), "new generation") {
				t.Errorf("with metadata %q it stopped with %v", bad, err)
			}
			if text := w.committedText(1); text != bad {
				t.Errorf("it replaced metadata %q by %q", bad, text)
			}
		}
		w.commitBy(1, good.offset, good.text)
		w.runOnce()
		w.check(true)
	})
}

// commitBy commits an offset for a partition, from outside.
func (w *world) commitBy(partition int32, offset int64, metadata string) {
	w.t.Helper()
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: w.topics.Events, Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	w.eventually("a commit from outside is taken", func() bool { // not at once where the topic is new
		return w.admin.CommitAllOffsets(w.t.Context(), w.topics.Group, o) == nil
	})
}

func (w *world) committedText(partition int32) string {
	w.t.Helper()
	all, err := w.admin.FetchOffsets(w.t.Context(), w.topics.Group)
	if err != nil {
		w.t.Fatal(err)
	}
	o, _ := all.Lookup(w.topics.Events, partition)
	return o.Metadata
}

// TestTopicRecreated: offsets of another topic mean nothing, even where the broker has kept them.
func TestTopicRecreated(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world, _ *kfake.Cluster, rng *rand.Rand) {
		w.produce(w.liveLogs(rng.Uint64(), 2000))
		w.runOnce()
		before := w.commits()[0]
		if _, err := w.admin.DeleteTopics(t.Context(), w.topics.Events); err != nil {
			t.Fatal(err)
		}
		w.eventually("the topic can be made anew", func() bool {
			got, err := w.admin.CreateTopic(t.Context(), int32(w.partitions), 1, nil, w.topics.Events)
			return err == nil && got.Err == nil
		})
		w.commitBy(0, before.offset, before.text)
		w.refused(w.member(), microbatch.ErrTopic, "new generation")
	})
}
