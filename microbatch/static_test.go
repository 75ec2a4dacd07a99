package microbatch_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStaticMembers: a static member that starts again within the session timeout has the partitions that
// it had. A real Kafka doesn't trouble the others with that, whichever member it is; kfake
// does where all claims end with a rebalance.
func TestStaticMembers(t *testing.T) {
	each(t, 6, func(t *testing.T, k *kafka, strategy string) {
		start := func(i int) *member {
			config := k.settings(strategy)
			config.GroupInstanceID = fmt.Sprint("instance-", i)
			return join(t, k, config, ack)
		}
		var members []*member
		for i := range 3 {
			members = append(members, start(i))
			for _, m := range members {
				m.untilOwns(t, 6/(i+1))
			}
		}
		owned := func(m *member) (partitions []int32) {
			m.read(func() { partitions = slices.Sorted(maps.Keys(m.owned())) })
			return partitions
		}
		for i := range 2 { // one of them leads the group
			k.stable(t, 3)
			before := make([]int, 3)
			for j, m := range members {
				m.untilOwns(t, 2)
				m.read(func() { before[j] = len(m.claims) })
			}
			had := owned(members[i])
			members[i].leave(t)
			members[i] = start(i)
			members[i].untilOwns(t, 2)
			<-time.After(300 * time.Millisecond) // some heartbeats
			if k.cluster != nil && strategy == "sticky" {
				continue
			}
			if has := owned(members[i]); !slices.Equal(has, had) {
				t.Errorf("member %d has partitions %v, had %v", i, has, had)
			}
			for j, m := range members {
				m.read(func() {
					if j != i && len(m.claims) != before[j] {
						t.Errorf("member %d was assigned %d partitions when member %d started again", j, len(m.claims)-before[j], i)
					}
				})
			}
		}
	})
}

// TestFenced: of two processes with the same instance ID, the one that came first stops, instead of
// throwing the other one out in turn.
func TestFenced(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 10)
		config := k.settings(strategy)
		config.GroupInstanceID = "twin"
		first := join(t, k, config, committing)
		first.untilAll(t, 10)
		second := join(t, k, config, committing)
		stopped(t, first)
		if err := first.Err(); err == nil || !strings.Contains(err.Error(), `group.instance.id "twin"`) {
			t.Errorf("the first one stopped with %v", err)
		}
		second.untilOwns(t, 2)
		k.produce(t, 0, 10, 10)
		second.until(t, "the rest has come", func() bool { n := len(second.batches); return n > 0 && second.batches[n-1].next() == 20 })
		second.read(func() {
			if len(second.claims) != 2 {
				t.Errorf("the second one was assigned %d partitions, want 2", len(second.claims))
			}
		})
	})
}

// TestFencedCommit: it also stops where a commit is what tells it.
func TestFencedCommit(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	config := k.settings("sticky")
	config.GroupInstanceID = "twin"
	config.HeartbeatInterval = time.Second
	m := join(t, k, config, committing)
	m.untilAll(t, 10)
	k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.FencedInstanceID, Count: -1})
	k.produce(t, 0, 10, 10)
	stopped(t, m)
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), `group.instance.id "twin"`) {
		t.Errorf("stopped with %v", err)
	}
}

// TestOneStatic: an instance ID serves one subscription at a time.
func TestOneStatic(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	config := k.settings("sticky")
	config.GroupInstanceID = "one"
	m := join(t, k, config, ack)
	m.untilOwns(t, 1)
	if _, err := m.Subscribe(t.Context(), k.topic); err == nil || !strings.Contains(err.Error(), "group.instance.id") {
		t.Errorf("a second one: %v", err)
	}
	m.cancel()
	<-m.done
	eventually(t, "there may be another one", func() bool { _, err := m.Subscribe(t.Context(), k.topic); return err == nil })
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
