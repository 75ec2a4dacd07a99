package microbatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// The producer's own retries lose nothing, write nothing twice and keep the order.
func TestPublishRetries(t *testing.T) {
	for name, fault := range map[string]func(*kfake.Cluster, *scissors){
		"not written":           func(c *kfake.Cluster, _ *scissors) { produceFault(c, kerr.NotLeaderForPartition, 3) },
		"corrupt on the way":    func(c *kfake.Cluster, _ *scissors) { produceFault(c, kerr.CorruptMessage, 3) },
		"not enough replicas":   func(c *kfake.Cluster, _ *scissors) { produceFault(c, kerr.NotEnoughReplicas, 3) },
		"written, too few":      func(c *kfake.Cluster, _ *scissors) { produceFault(c, kerr.NotEnoughReplicasAfterAppend, 3) },
		"written, but too late": func(c *kfake.Cluster, _ *scissors) { produceFault(c, kerr.RequestTimedOut, 3) },
		"moved": func(c *kfake.Cluster, _ *scissors) {
			for partition := range int32(2) {
				_ = c.MoveTopicPartition("updates", partition, (c.LeaderFor("updates", partition)+1)%2)
			}
		},
		"request lost": func(c *kfake.Cluster, _ *scissors) {
			c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true })
		},
		"response lost": func(c *kfake.Cluster, s *scissors) {
			c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				s.cuts.Store(1)
				c.DropControl()
				return nil, nil, false
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s scissors
			cluster := fakeKafka(t, 2, kfake.NumBrokers(2), kfake.ListenFn(s.listen))
			p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.MaxMessageBytes = 2000 }) // several batches
			want := [][]string{nil, nil}
			for call := range 5 {
				var msgs []*message.Message
				for partition := range 2 {
					part := series(partition, fmt.Sprintf("p%d call %d", partition, call), 50)
					want[partition] = append(want[partition], textsOf(part)...)
					msgs = append(msgs, part...)
				}
				if call == 1 || call == 3 {
					fault(cluster, &s)
				}
				if err := p.Publish("updates", msgs...); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, texts(t, cluster)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func produceFault(c *kfake.Cluster, err *kerr.Error, count int) {
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: count})
}

// What can't be written is said, by partition, and what comes after it can be written.
func TestPublishFails(t *testing.T) {
	for name, c := range map[string]struct {
		err   *kerr.Error
		is    error
		wants string
	}{
		"too large":      {kerr.MessageTooLarge, microbatch.ErrMessageTooLarge, "max.request.size"},
		"not allowed":    {kerr.TopicAuthorizationFailed, nil, "the right of Write"},
		"out of order":   {kerr.OutOfOrderSequenceNumber, nil, "topic updates, partition 1: 10 of 10 messages"},
		"unknown to us":  {kerr.UnknownProducerID, nil, "partition 1"},
		"invalid record": {kerr.InvalidRecord, nil, "partition 1"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fakeKafka(t, 2, kfake.NumBrokers(1))
			p := publisherOf(t, cluster, nil)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{1}, Err: c.err})
			good, bad, after := series(0, "good", 10), series(1, "bad", 10), series(1, "after", 10)
			err := p.Publish("updates", append(good, bad...)...)
			if err == nil || !strings.Contains(err.Error(), c.wants) || strings.Contains(err.Error(), "partition 0") || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v, not %s", err, c.wants)
			}
			if err := p.Publish("updates", after...); err != nil {
				t.Fatalf("the next call: %v", err)
			}
			if diff := cmp.Diff([][]string{textsOf(good), textsOf(after)}, texts(t, cluster)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// When the first of several batches of a partition fails, the later ones are written: a hole, and an error that says so.
func TestPublishHole(t *testing.T) {
	cluster := fakeKafka(t, 1)
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.MaxMessageBytes = 2000 })
	produceFault(cluster, kerr.InvalidRecord, 1)
	msgs := series(0, "m", 200)
	err := p.Publish("updates", msgs...)
	if err == nil || !strings.Contains(err.Error(), "partition 0: ") || !strings.Contains(err.Error(), " of 200 messages") {
		t.Errorf("%v doesn't say how many of 200 messages failed", err)
	}
	got := texts(t, cluster)[0]
	if n := len(got); n == 0 || n == 200 {
		t.Fatalf("%d messages are written: this tests nothing", n)
	}
	if diff := cmp.Diff(textsOf(msgs)[200-len(got):], got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// Faults of all kinds under concurrent calls: what a call says that it has written is there once, in order; nothing is
// there twice; and in the end everything works.
func TestPublishFaultsAtRandom(t *testing.T) {
	const partitions, publishers, calls = 4, 6, 15
	var s scissors
	cluster := fakeKafka(t, partitions, kfake.NumBrokers(3), kfake.ListenFn(s.listen))
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) {
		c.MaxMessageBytes, c.DeliveryTimeout, c.Linger = 2000, 2*time.Second, time.Millisecond
	})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	retriable := []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut}
	requests := 0
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { // serially, by the cluster
		cluster.KeepControl()
		fault := dice.IntN(30)
		if requests++; requests == 20 {
			fault = 3 // at least this one fails a call
		}
		switch fault {
		case 0:
			return nil, errors.New("cut"), true
		case 1:
			s.cuts.Store(1)
		case 2:
			produceFault(cluster, retriable[dice.IntN(len(retriable))], 1)
		case 3:
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{int32(dice.IntN(partitions))}, Err: kerr.InvalidRecord})
		}
		return nil, nil, false
	})

	l := newLoad(publishers, partitions)
	l.run(func(int) bool { return l.calls.Add(1) <= publishers*calls }, p.Publish)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, false })
	l.check(t, texts(t, cluster))
}

// silence makes the cluster not answer produce requests until the returned function is called.
func silence(cluster *kfake.Cluster) (asked <-chan struct{}, end func()) {
	c := make(chan struct{}, 1000)
	var over atomic.Bool
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		if over.Load() {
			cluster.DropControl()
			return nil, nil, false
		}
		cluster.KeepControl()
		c <- struct{}{}
		return nil, nil, true
	})
	return c, func() { over.Store(true) }
}

// A broker that doesn't answer doesn't hold a call for longer than the delivery timeout; what was in flight
// comes before what is published later.
func TestPublishTimeout(t *testing.T) {
	cluster := fakeKafka(t, 1)
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.DeliveryTimeout = 600 * time.Millisecond })
	_, end := silence(cluster)
	begin := time.Now()
	err := p.Publish("updates", series(0, "lost", 10)...)
	if !errors.Is(err, microbatch.ErrDeliveryTimeout) {
		t.Errorf("%v, not that the time has passed", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	end()
	after := series(0, "after", 10)
	eventually(t, "publishing works again", func() bool { return p.Publish("updates", after...) == nil })
	seen := false
	for _, v := range texts(t, cluster)[0] {
		late := strings.HasPrefix(v, "lost")
		if late && seen {
			t.Fatalf("%s is after what was published later", v)
		}
		seen = seen || !late
	}
}

func TestPublishContext(t *testing.T) {
	cluster := fakeKafka(t, 1)
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.DeliveryTimeout = 2 * time.Second })
	asked, end := silence(cluster)
	defer end()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.PublishContext(ctx, "updates", to(0, "lost")) }()
	<-asked
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, not that it was canceled", err)
	}
	// A second call waits behind the first; it is held back for good.
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.PublishContext(ctx, "updates", to(0, "never")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, not that its time has passed", err)
	}
	end()
	eventually(t, "publishing works again", func() bool { return p.Publish("updates", to(0, "after")) == nil })
	for _, v := range texts(t, cluster)[0] {
		if v == "never" {
			t.Error("a message is written that was not in flight when its call ended")
		}
	}
}

// Close ends what runs, and what comes after it fails.
func TestPublisherClose(t *testing.T) {
	cluster := fakeKafka(t, 2)
	p := publisherOf(t, cluster, nil)
	asked, end := silence(cluster)
	defer end()
	const calls = 3 // with more, sarama's circuit breaker opens, which leaves a goroutine for ten seconds
	ended := make(chan error, calls)
	for range calls {
		go func() { ended <- p.Publish("updates", to(0, "lost"), to(1, "lost")) }()
	}
	<-asked
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for range calls {
		if err := <-ended; !errors.Is(err, microbatch.ErrPublisherClosed) {
			t.Errorf("%v, not that it is closed", err)
		}
	}
	closers.Wait()
	if err := p.Publish("updates", to(0, "x")); !errors.Is(err, microbatch.ErrPublisherClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A bootstrap server that is down doesn't matter if another is up.
func TestPublisherBootstrap(t *testing.T) {
	cluster := fakeKafka(t, 1)
	down, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()
	for i := range 5 {
		p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) {
			c.BootstrapServers = append(c.BootstrapServers, down.Addr().String())
		})
		if err := p.Publish("updates", to(0, fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
	config := microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: []string{down.Addr().String()}})
	if _, err := microbatch.NewPublisher(config, nil); err == nil || !strings.Contains(err.Error(), down.Addr().String()) {
		t.Errorf("%v doesn't say what is down", err)
	}
}
