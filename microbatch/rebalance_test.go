package microbatch_test

import (
	"fmt"
	"testing"
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
