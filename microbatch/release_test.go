package microbatch_test

import (
	"errors"
	"testing"
	"time"
)

// TestRelease: a partition that a handler gives back is assigned anew, and begins at what is committed;
// what was not committed comes again. It says why.
func TestRelease(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 100)
		config := k.settings(strategy)
		config.BatchRecords = 10
		given := false
		m := join(t, k, config, func(d delivery) {
			if d.batch.Position == 20 && d.batch.Count > 0 {
				_ = d.claim.Commit(20, "twenty")
				eventually(t, "it is committed", func() bool { w, _ := d.claim.Committed(); return w.Offset == 20 })
			}
			if d.batch.Position == 50 && !given {
				given = true
				d.claim.Release(errors.New("on purpose"))
				_ = d.claim.Commit(50, "fifty") // too late
			}
			d.message.Ack()
		})
		m.until(t, "all records have come", func() bool { n := len(m.batches); return n > 0 && m.batches[n-1].next() == 100 })
		m.read(func() {
			var starts []int64
			for _, c := range m.claims {
				if c.Partition == 0 {
					starts = append(starts, c.Start.Offset)
				}
			}
			if len(starts) != 2 || starts[1] != 20 {
				t.Errorf("claims began at %v, want 0 and 20", starts)
			}
			for _, d := range m.beats {
				if d.claim == m.batches[0].claim && d.batch.Leaving {
					t.Error("a last message came after Release")
				}
			}
		})
		if m.Err() != nil {
			t.Error(m.Err())
		}
	})
}

// TestReleaseAgain: a partition that is given back again and again is tried less and less often, since
// that costs the whole member its partitions; the others are served in between.
func TestReleaseAgain(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 10)
		config := k.settings(strategy)
		config.RetryMin, config.RetryMax = 50*time.Millisecond, time.Minute
		config.ReleaseTimeout = 50 * time.Millisecond
		m := join(t, k, config, func(d delivery) {
			if d.claim.Partition == 0 && d.batch.Count > 0 {
				d.claim.Release(errors.New("on purpose"))
				return
			}
			d.message.Ack()
		})
		var tried []time.Time
		m.until(t, "it is tried four times again", func() bool {
			tried = tried[:0]
			for _, d := range m.batches {
				if d.claim.Partition == 0 {
					tried = append(tried, d.at)
				}
			}
			return len(tried) >= 5
		})
		for i := 2; i < len(tried); i++ { // the first time it is at once
			if waited, least := tried[i].Sub(tried[i-1]), config.RetryMin<<(i-2); waited < least {
				t.Errorf("it was tried again after %v, want %v or more", waited, least)
			}
		}
		k.produce(t, 1, 0, 10)
		m.until(t, "the other partition is served", func() bool { return len(m.values(1)) >= 10 })
		within(t, 2*time.Second, "Close", func() { m.leave(t) })
	})
}

// TestRefuse: a handler that can't go on at all stops the subscriber, with its reason.
func TestRefuse(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		k.produce(t, 0, 0, 10)
		reason := errors.New("on purpose")
		m := join(t, k, k.settings(strategy), func(d delivery) {
			if d.batch.Count > 0 {
				d.claim.Refuse(reason)
			}
			d.message.Ack()
		})
		stopped(t, m)
		if !errors.Is(m.Err(), reason) {
			t.Errorf("stopped by %v", m.Err())
		}
		m.read(func() {
			if len(m.claims) != 2 || len(m.revoked) != 2 {
				t.Errorf("%d claims, %d are over", len(m.claims), len(m.revoked))
			}
		})
	})
}
