package microbatch_test

import (
	"fmt"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
)

// strategies are the ways of assigning partitions that are tested.
func strategies() []string { return []string{"cooperative-sticky", "sticky"} }

// TestBatches: all records come, in order, many in a message; and what a handler asks for is committed.
func TestBatches(t *testing.T) {
	for _, strategy := range strategies() {
		t.Run(strategy, func(t *testing.T) {
			kafka := startKafka(t, 3)
			c := client(t, kafka.Brokers())
			for p := range int32(3) {
				produce(t, c, p, 0, 5000)
			}
			config := quick(kafka.Brokers())
			config.AssignmentStrategy = strategy
			m := join(t, config, func(_ *member, claim *microbatch.Claim, b microbatch.Batch, msg *message.Message) {
				if err := claim.Commit(b.Position+int64(b.Count), fmt.Sprintf("state-%d", b.Position)); err != nil {
					t.Error(err)
				}
				msg.Ack()
			})
			m.until(t, "all records have come", func() bool { return len(m.values[0])+len(m.values[1])+len(m.values[2]) == 15000 })
			for p := range int32(3) {
				for i, v := range m.values[p] {
					if want := fmt.Sprintf("%d/%d", p, i); v != want {
						t.Fatalf("partition %d: record %d is %q, want %q", p, i, v, want)
					}
				}
			}
			if m.batches > 300 {
				t.Errorf("%d batches for 15000 records", m.batches)
			}
			eventually(t, "it is committed", func() bool { offset, _ := committed(t, c, 2); return offset == 5000 })
			_, metadata := committed(t, c, 2)
			t.Log(metadata)
		})
	}
}
