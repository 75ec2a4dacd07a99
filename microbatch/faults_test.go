package microbatch_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// everyNth lets something happen to every nth request of a kind, until it is stopped.
func everyNth(c *kfake.Cluster, kind kmsg.Key, n int64, f func() (error, bool)) (stop func()) {
	var count atomic.Int64
	var stopped atomic.Bool
	c.ControlKey(int16(kind), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if stopped.Load() || count.Add(1)%n != 0 {
			return nil, nil, false
		}
		err, handled := f()
		return nil, err, handled
	})
	return func() { stopped.Store(true) }
}

// repeated calls f again and again until it is stopped.
func repeated(interval time.Duration, f func()) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f()
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// TestFaults: whatever happens to brokers and connections, records come in order, none is missing, and those that
// were committed don't come again; soon after it has ended, all is as before.
func TestFaults(t *testing.T) {
	t.Parallel()
	const partitions, brokers = 3, 3
	for name, inject := range map[string]func(*kafka, *rand.Rand) (stop func()){
		"leaders move": func(k *kafka, r *rand.Rand) func() {
			return repeated(50*time.Millisecond, func() { _ = k.cluster.MoveTopicPartition(k.topic, r.Int32N(partitions), r.Int32N(brokers)) })
		},
		"coordinator moves": func(k *kafka, _ *rand.Rand) func() {
			return repeated(100*time.Millisecond, k.cluster.RehashCoordinators)
		},
		"fetches are cut": func(k *kafka, _ *rand.Rand) func() {
			return everyNth(k.cluster, kmsg.Fetch, 5, func() (error, bool) { return errors.New("cut"), true })
		},
		"fetches are slow": func(k *kafka, _ *rand.Rand) func() {
			return everyNth(k.cluster, kmsg.Fetch, 3, func() (error, bool) {
				k.cluster.SleepControl(func() { <-time.After(150 * time.Millisecond) })
				return nil, false
			})
		},
		"heartbeats are cut": func(k *kafka, _ *rand.Rand) func() {
			return everyNth(k.cluster, kmsg.Heartbeat, 2, func() (error, bool) { return errors.New("cut"), true })
		},
		"commits are cut": func(k *kafka, _ *rand.Rand) func() {
			return everyNth(k.cluster, kmsg.OffsetCommit, 2, func() (error, bool) { return errors.New("cut"), true })
		},
		"metadata are cut": func(k *kafka, _ *rand.Rand) func() {
			return everyNth(k.cluster, kmsg.Metadata, 2, func() (error, bool) { return errors.New("cut"), true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			k := fake(t, partitions, brokers)
			f := newFolds(t, seed)
			config := k.settings(strategies()[seed%2])
			config.MetadataMaxAge = 200 * time.Millisecond
			config.RetryMin = time.Millisecond
			first, second := f.join(t, k, config), f.join(t, k, config)
			folded := func(n int64) func() bool {
				return func() bool {
					f.mu.Lock()
					defer f.mu.Unlock()
					for p := range int32(partitions) {
						if f.done[p] < n {
							return false
						}
					}
					return true
				}
			}
			k.produce(t, 0, 0, 10)
			k.produce(t, 1, 0, 10)
			k.produce(t, 2, 0, 10)
			eventually(t, "it has begun", folded(10))
			stop := inject(k, rand.New(rand.NewPCG(seed, 2)))
			for i := range 15 {
				for p := range int32(partitions) {
					k.produce(t, p, 10+20*i, 20)
				}
				<-time.After(50 * time.Millisecond)
			}
			stop()
			for p := range int32(partitions) {
				k.produce(t, p, 310, 10)
			}
			began := time.Now()
			eventually(t, "all records are folded", folded(320))
			t.Logf("all have come %v after the fault had ended", time.Since(began).Round(time.Millisecond))
			for _, m := range []*member{first, second} {
				if m.Err() != nil {
					t.Error(m.Err())
				}
			}
		})
	}
}
