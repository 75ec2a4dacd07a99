package microbatch_test

import (
	"testing"
)

// TestBatches: all records come, in order, many in a message; and what a handler asks for is committed.
func TestBatches(t *testing.T) {
	each(t, 3, func(t *testing.T, k *kafka, strategy string) {
		for p := range int32(3) {
			k.produce(t, p, 0, 5000)
		}
		m := join(t, k, k.settings(strategy), committing)
		m.untilAll(t, 15000)
		m.read(func() {
			for p := range int32(3) {
				if err := same(m.values(p), values(p, 0, 5000)); err != nil {
					t.Errorf("partition %d: %v", p, err)
				}
			}
			if len(m.batches) > 300 {
				t.Errorf("%d batches for 15000 records", len(m.batches))
			}
		})
		eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, 2); return offset == 5000 })
		_, metadata := k.committed(t, 2)
		t.Log(metadata)
	})
}
