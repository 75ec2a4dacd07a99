package microbatch_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/millrank/millrank/microbatch"
)

// TestHandOver: what a member commits last, when a partition leaves it, is where the next owner
// begins, also if that one had looked at the group's commits before.
func TestHandOver(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		for p := range int32(2) {
			k.produce(t, p, 0, 100)
		}
		first := join(t, k, k.settings(strategy), func(d delivery) {
			if d.batch.Leaving {
				_ = d.claim.Commit(d.batch.Position, fmt.Sprintf("left-at-%d", d.batch.Position))
			}
			d.message.Ack()
		})
		first.untilAll(t, 200)
		second := join(t, k, k.settings(strategy), ack)
		second.untilOwns(t, 1)
		var moved int32
		second.read(func() {
			c := second.claims[len(second.claims)-1]
			moved = c.Partition
			if c.Start.Offset != 100 || c.Start.State != "left-at-100" || !c.Start.Resumed {
				t.Errorf("partition %d starts at %+v, want what was committed when it was handed over", c.Partition, c.Start)
			}
		})
		k.produce(t, moved, 100, 10)
		second.untilAll(t, 10)
		second.read(func() {
			if err := same(second.values(moved), values(moved, 100, 10)); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestBlockedRebalance: a handler that is blocked, and takes no notice of its context, delays a
// rebalance by less than a second, though records wait behind the batch that it has.
func TestBlockedRebalance(t *testing.T) {
	alone(t, 4, func(t *testing.T, k *kafka, strategy string) {
		rebalance := func(blocked <-chan struct{}, unblock func()) time.Duration {
			config := k.settings(strategy)
			usual := microbatch.DefaultSubscriberConfig(config.Connection, k.group)
			config.FetchMaxWait, config.ReleaseTimeout = usual.FetchMaxWait, usual.ReleaseTimeout
			config.BatchRecords = 10
			first := join(t, k, config, func(d delivery) {
				if len(d.values) > 0 {
					<-blocked
				}
				d.message.Ack()
			})
			defer first.leave(t)
			defer unblock()
			first.untilOwns(t, 4)
			first.untilAll(t, 40)
			began := time.Now()
			second := join(t, k, config, ack)
			defer second.leave(t)
			second.untilOwns(t, 2)
			return time.Since(began)
		}
		for p := range int32(4) {
			k.produce(t, p, 0, 3000)
		}
		slow, idle := time.Hour, time.Hour // the least of three each: the machine may have been busy with something else
		for range 3 {
			blocked := make(chan struct{})
			unblock := sync.OnceFunc(func() { close(blocked) })
			slow = min(slow, rebalance(blocked, unblock))
			idle = min(idle, rebalance(blocked, unblock))
		}
		t.Logf("a rebalance took %v; with blocked handlers %v", idle.Round(time.Millisecond), slow.Round(time.Millisecond))
		if slow-idle > time.Second {
			t.Errorf("a rebalance took %v, but %v with blocked handlers", idle, slow)
		}
	})
}
