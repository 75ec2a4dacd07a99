package microbatch_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lastBeat returns the last heartbeat of a partition, if there is one that holds. Held: mu.
func (m *member) lastBeat(partition int32) (delivery, bool) {
	for _, d := range slices.Backward(m.beats) {
		if d.claim.Partition == partition {
			return d, true
		}
	}
	return delivery{}, false
}

// untilQuiet waits until a partition is said to be quiet at a position.
func (m *member) untilQuiet(t *testing.T, partition int32, position, logEnd int64) {
	t.Helper()
	m.until(t, "the partition is quiet", func() bool {
		d, ok := m.lastBeat(partition)
		return ok && d.batch.Quiet && d.batch.Position == position && d.batch.LogEnd == logEnd
	})
}

// TestHeartbeats: silent partitions send messages without records, as often as asked for; none wait for
// a handler that is busy.
func TestHeartbeats(t *testing.T) {
	k := fake(t, 2, 1)
	k.produce(t, 0, 0, 10)
	const interval = 50 * time.Millisecond
	config := k.settings("sticky")
	config.SilentInterval = interval
	var busy atomic.Bool
	free := make(chan time.Time, 1)
	m := join(t, k, config, func(d delivery) {
		if d.claim.Partition == 1 && busy.CompareAndSwap(true, false) {
			<-time.After(3 * interval)
			free <- time.Now()
		}
		d.message.Ack()
	})
	m.untilAll(t, 10)
	m.untilQuiet(t, 0, 10, 10)
	m.untilQuiet(t, 1, 0, 0)
	// after returns when n heartbeats of a partition came, the first of those after a time.
	after := func(partition int32, since time.Time, n int) (times []time.Time) {
		m.until(t, "heartbeats come", func() bool {
			times = times[:0]
			for _, d := range m.beats {
				if d.claim.Partition == partition && d.at.After(since) && len(times) < n {
					times = append(times, d.at)
				}
			}
			return len(times) == n
		})
		return times
	}
	began := time.Now()
	for p := range int32(2) {
		pace(t, fmt.Sprintf("heartbeats of partition %d", p), after(p, began, 21), interval)
	}
	var second []time.Duration // how long after the handler was busy the second one came
	for range 5 {
		busy.Store(true)
		since := <-free
		second = append(second, after(1, since, 2)[1].Sub(since))
	}
	if slices.Sort(second); second[2] < interval/2 {
		t.Errorf("two heartbeats came within %v of a handler's being free: they have waited for it", second)
	}
}

// TestNoHeartbeats: they can be turned off.
func TestNoHeartbeats(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	config := k.settings("sticky")
	config.SilentInterval = 0
	m := join(t, k, config, ack)
	m.untilOwns(t, 1)
	<-time.After(200 * time.Millisecond)
	m.leave(t)
	if len(m.beats) != 1 || !m.beats[0].batch.Leaving {
		t.Errorf("%d heartbeats, want only the last message", len(m.beats))
	}
}

// TestQuiet: a partition is quiet when all that the broker has was delivered; not before, and not any
// more when something has come.
func TestQuiet(t *testing.T) {
	eachKafka(t, 2, func(t *testing.T, k *kafka) {
		k.produce(t, 0, 0, 1000)
		config := k.settings("sticky")
		config.BatchRecords = 100
		m := join(t, k, config, ack)
		m.untilAll(t, 1000)
		m.untilQuiet(t, 0, 1000, 1000)
		m.untilQuiet(t, 1, 0, 0)
		k.produce(t, 0, 1000, 1000)
		m.untilAll(t, 2000)
		m.untilQuiet(t, 0, 2000, 2000)
		m.read(func() {
			for _, d := range m.beats {
				b := d.batch
				if b.Quiet && (b.LogEnd < b.Position || b.Unsure || d.claim.Partition == 0 && b.Position != 1000 && b.Position != 2000) {
					t.Errorf("partition %d was said to be quiet at %d, its log's end %d", d.claim.Partition, b.Position, b.LogEnd)
				}
			}
		})
	})
}

// TestNotQuiet: a partition isn't quiet while the broker has records that don't come.
func TestNotQuiet(t *testing.T) {
	t.Parallel()
	// The consumer's fetches, which wait for records, find nothing.
	t.Run("seen", func(t *testing.T) {
		testNotQuiet(t, func(r *kmsg.FetchRequest) kmsg.Response {
			if r.MaxWaitMillis == 0 {
				return nil
			}
			return r.ResponseKind()
		})
	})
	// No fetch finds anything, as from a broker that takes long to get at old records.
	t.Run("not seen", func(t *testing.T) {
		testNotQuiet(t, func(r *kmsg.FetchRequest) kmsg.Response {
			response := r.ResponseKind().(*kmsg.FetchResponse)
			for _, topic := range r.Topics {
				at := kmsg.NewFetchResponseTopic()
				at.Topic = topic.Topic
				for _, p := range topic.Partitions {
					partition := kmsg.NewFetchResponseTopicPartition()
					partition.Partition, partition.HighWatermark, partition.LastStableOffset = p.Partition, 20, 20
					partition.RecordBatches = []byte{}
					at.Partitions = append(at.Partitions, partition)
				}
				response.Topics = append(response.Topics, at)
			}
			return response
		})
	})
}

func testNotQuiet(t *testing.T, answer func(*kmsg.FetchRequest) kmsg.Response) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	m := join(t, k, k.settings("sticky"), ack)
	m.untilAll(t, 10)
	m.untilQuiet(t, 0, 10, 10)
	var paused atomic.Bool
	paused.Store(true)
	k.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.cluster.KeepControl()
		if !paused.Load() {
			return nil, nil, false
		}
		response := answer(r.(*kmsg.FetchRequest))
		return response, nil, response != nil
	})
	k.produce(t, 0, 10, 10)
	m.until(t, "the records are seen to wait", func() bool {
		d, _ := m.lastBeat(0)
		return d.batch.Unsure && d.batch.LogEnd == 20
	})
	since := time.Now()
	<-time.After(200 * time.Millisecond)
	m.read(func() {
		for _, d := range m.beats {
			if d.at.After(since) && d.batch.Quiet {
				t.Errorf("it was said to be quiet at %d, while records wait", d.batch.Position)
			}
		}
	})
	paused.Store(false)
	m.untilAll(t, 20)
	m.untilQuiet(t, 0, 20, 20)
}

// TestUnsure: a broker that doesn't answer, or has no answer, makes heartbeats unsure.
func TestUnsure(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(*kfake.Cluster) (mend func()){
		"has no answer": func(c *kfake.Cluster) func() {
			return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.UnknownServerError, Count: -1}).Remove
		},
		"doesn't answer": func(c *kfake.Cluster) func() {
			var mended atomic.Bool
			c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, nil, !mended.Load()
			})
			return func() { mended.Store(true) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 1, 1)
			k.produce(t, 0, 0, 10)
			config := k.settings("sticky")
			config.RequestTimeout = 200 * time.Millisecond
			m := join(t, k, config, ack)
			m.untilAll(t, 10)
			m.untilQuiet(t, 0, 10, 10)
			mend := inject(k.cluster)
			m.until(t, "it is unsure", func() bool {
				d, _ := m.lastBeat(0)
				return d.batch.Unsure && d.batch.LogEnd == -1
			})
			since := time.Now()
			<-time.After(300 * time.Millisecond)
			m.read(func() {
				for _, d := range m.beats {
					if d.at.After(since) && d.batch.Quiet {
						t.Error("it was said to be quiet though nobody knows")
					}
				}
			})
			mend()
			m.untilQuiet(t, 0, 10, 10)
		})
	}
}
