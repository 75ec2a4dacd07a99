package microbatch_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// asked remembers what handlers have asked to be committed, by partition.
type asked struct {
	mu sync.Mutex
	of map[int32]int64
}

// commit asks, and remembers it first.
func (a *asked) commit(c *microbatch.Claim, offset int64, state string) {
	a.mu.Lock()
	if a.of == nil {
		a.of = map[int32]int64{}
	}
	a.of[c.Partition] = max(a.of[c.Partition], offset)
	a.mu.Unlock()
	_ = c.Commit(offset, state)
}

func (a *asked) greatest(partition int32) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[partition]
}

// TestNothingCommitted: nothing is committed when no handler asks.
func TestNothingCommitted(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 1000)
		m := join(t, k, k.settings(strategy), ack)
		m.untilAll(t, 1000)
		second := join(t, k, k.settings(strategy), ack)
		second.untilOwns(t, 1)
		second.leave(t)
		m.leave(t)
		for p := range int32(2) {
			if offset, metadata := k.committed(t, p); offset != -1 {
				t.Errorf("partition %d: %d is committed, with %q", p, offset, metadata)
			}
		}
		for _, c := range m.claims {
			if got, ok := c.Committed(); ok {
				t.Errorf("partition %d: %v is said to be committed", c.Partition, got)
			}
		}
	})
}

// TestCommits: what is asked for arrives with its state: also a new state at the same offset, and one
// of before. Committed tells when.
func TestCommits(t *testing.T) {
	each(t, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 10)
		m := join(t, k, k.settings(strategy), ack)
		m.untilAll(t, 10)
		claim := m.owned()[0]
		for _, want := range []microbatch.Committed{{5, "a"}, {5, "b"}, {5, ""}, {8, "b"}, {3, "c"}, {3, strings.Repeat("x", 3500)}} {
			if err := claim.Commit(want.Offset, want.State); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is confirmed", func() bool { got, ok := claim.Committed(); return ok && got == want })
			offset, metadata := k.committed(t, 0)
			if offset != want.Offset || !strings.Contains(metadata, " state="+want.State+" ") {
				t.Errorf("%d with %q is committed, want %v", offset, metadata, want)
			}
		}
		m.leave(t)
		m = join(t, k, k.settings(strategy), ack)
		m.untilOwns(t, 1)
		m.read(func() {
			if start := m.claims[0].Start; start.Offset != 3 || start.State != strings.Repeat("x", 3500) {
				t.Errorf("it goes on at %d with %d bytes of state", start.Offset, len(start.State))
			}
		})
	})
}

// TestCommitRate: commits are written once per interval at most, all partitions in one request, and only news.
func TestCommitRate(t *testing.T) {
	k := fake(t, 3, 1)
	var mu sync.Mutex
	var commits []time.Time
	k.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		commits = append(commits, time.Now())
		return nil, nil, false
	})
	config := k.settings("sticky")
	config.CommitInterval = 200 * time.Millisecond
	m := join(t, k, config, func(d delivery) {
		_ = d.claim.Commit(d.batch.Position, fmt.Sprint(d.at.UnixNano()))
		d.message.Ack()
	})
	m.untilOwns(t, 3)
	mu.Lock()
	commits = nil
	mu.Unlock()
	eventually(t, "there are some commits", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(commits) > 5
	})
	mu.Lock()
	defer mu.Unlock()
	pace(t, "commits", commits, config.CommitInterval)
}

// TestFailedCommits: whatever becomes of a commit, no more is ever committed than handlers asked
// for, and in the end all of it is.
func TestFailedCommits(t *testing.T) {
	t.Parallel()
	fault := func(err *kerr.Error, count int) func(*kafka) {
		return func(k *kafka) {
			k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: err, Count: count})
		}
	}
	const noAnswer = "answered by no end"
	for name, c := range map[string]struct {
		inject func(*kafka)
		anew   bool // the partitions are assigned anew
	}{
		"timed out, but written": {fault(kerr.RequestTimedOut, 3), false},
		"lost before": {func(k *kafka) {
			k.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true })
		}, false},
		noAnswer: {func(k *kafka) {
			k.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
		}, false},
		"illegal generation once": {fault(kerr.IllegalGeneration, 1), false},
		"illegal generation":      {fault(kerr.IllegalGeneration, 20), true},
		"unknown member":          {fault(kerr.UnknownMemberID, 20), true},
		"rebalance in progress":   {fault(kerr.RebalanceInProgress, 6), false},
		"not the coordinator":     {fault(kerr.NotCoordinator, 6), false},
		"coordinator loads":       {fault(kerr.CoordinatorLoadInProgress, 6), false},
		"no coordinator":          {fault(kerr.CoordinatorNotAvailable, 6), false},
		"not allowed for a while": {fault(kerr.GroupAuthorizationFailed, 6), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 2, 1)
			var a asked
			over := k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Count: -1, Observe: true, When: func(r kmsg.Request) bool {
				for _, topic := range r.(*kmsg.OffsetCommitRequest).Topics {
					for _, p := range topic.Partitions {
						if p.Offset > a.greatest(p.Partition) {
							return true
						}
					}
				}
				return false
			}})
			config := k.settings("cooperative-sticky")
			if name == noAnswer {
				config.RequestTimeout = time.Second
			}
			config.HeartbeatInterval, config.RebalanceTimeout = 50*time.Millisecond, 2*time.Second
			m := join(t, k, config, func(d delivery) {
				if len(d.offsets) > 0 {
					a.commit(d.claim, d.next(), fmt.Sprint("at-", d.next()))
				}
				d.message.Ack()
			})
			k.produce(t, 0, 0, 10)
			k.produce(t, 1, 0, 10)
			m.untilOwns(t, 2)
			for p := range int32(2) {
				eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, p); return offset == 10 })
			}
			c.inject(k)
			for p := range int32(2) {
				k.produce(t, p, 10, 10)
			}
			for p := range int32(2) {
				eventually(t, "all is committed", func() bool { offset, _ := k.committed(t, p); return offset == 20 })
			}
			m.read(func() {
				if anew := len(m.claims) > 2; anew != c.anew {
					t.Errorf("partitions were assigned %d times", len(m.claims))
				}
				for p := range int32(2) {
					if got := m.values(p); len(got) < 20 || same(got[len(got)-10:], values(p, 10, 10)) != nil {
						t.Errorf("partition %d: %v", p, got)
					}
				}
			})
			if over.Hits() > 0 {
				t.Error("more was to be committed than asked for")
			}
		})
	}
}

// TestLastCommit: what was asked for just before a partition goes away is committed, also when the
// claim ends by Close; what an abandoned claim has asked for is not written after that.
func TestLastCommit(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		for p := range int32(2) {
			k.produce(t, p, 0, 10)
		}
		config := k.settings(strategy)
		config.CommitInterval = time.Hour
		first := join(t, k, config, committing)
		first.untilAll(t, 20)
		second := join(t, k, config, committing)
		second.untilOwns(t, 1)
		var moved int32
		second.read(func() {
			for p, c := range second.owned() {
				moved = p
				if c.Start.Offset != 10 || c.Start.State != "state" {
					t.Errorf("partition %d starts at %+v", p, c.Start)
				}
			}
		})
		if strategy == "cooperative-sticky" {
			if offset, _ := k.committed(t, 1-moved); offset != -1 {
				t.Errorf("the partition that stayed has committed %d", offset)
			}
		}
		first.leave(t)
		for p := range int32(2) {
			if offset, _ := k.committed(t, p); offset != 10 {
				t.Errorf("partition %d: %d is committed, want 10", p, offset)
			}
		}
	})
}

// TestMetadataRefused: where a broker takes less metadata than Kafka does by default, the subscriber
// stops and names the setting.
func TestMetadataRefused(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.OffsetMetadataTooLarge, Count: -1})
	k.produce(t, 0, 0, 10)
	m := join(t, k, k.settings("sticky"), committing)
	stopped(t, m)
	if m.Err() == nil || !strings.Contains(m.Err().Error(), "offset.metadata.max.bytes") {
		t.Errorf("stopped by %v", m.Err())
	}
}

// TestLastCommitAgain: a last commit that is refused is tried again, within the release timeout.
func TestLastCommitAgain(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	config := k.settings("cooperative-sticky")
	config.CommitInterval = time.Hour
	m := join(t, k, config, committing)
	m.untilAll(t, 10)
	k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration, Count: 4})
	m.leave(t)
	if offset, _ := k.committed(t, 0); offset != 10 {
		t.Errorf("%d is committed, want 10", offset)
	}
	config.ReleaseTimeout = 200 * time.Millisecond
	m = join(t, k, config, committing)
	k.produce(t, 0, 10, 10)
	m.untilAll(t, 10)
	k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.UnknownMemberID, Count: -1})
	within(t, 2*time.Second, "Close", func() { m.leave(t) })
}
