package microbatch_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// TestNoTopic: subscribing to a topic that doesn't exist fails, by name, and doesn't create it.
func TestNoTopic(t *testing.T) {
	each(t, 1, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		k.topic += "-missing"
		_, err := tryJoin(t, k, config, ack)
		if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !strings.Contains(err.Error(), k.topic) {
			t.Errorf("got %v", err)
		}
		if topics, err := k.admin.ListTopics(t.Context(), k.topic); err != nil || topics.Has(k.topic) {
			t.Errorf("the topic is there now (%v)", err)
		}
	})
}

// TestNoKafka: subscribing where nobody listens fails soon, by address.
func TestNoKafka(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	config := k.settings("sticky")
	config.BootstrapServers = []string{"127.0.0.1:1"}
	within(t, 5*time.Second, "failing", func() {
		if _, err := tryJoin(t, k, config, ack); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("got %v", err)
		}
	})
}

// TestNotReady: what is new in Kafka may not be ready for a moment; subscribing waits for it, but
// not for ever.
func TestNotReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault kfake.Fault
		want  error
	}{
		"leader":      {kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.NotLeaderForPartition}, sarama.ErrNotLeaderForPartition},
		"offsets":     {kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.OffsetNotAvailable}, sarama.ErrOffsetNotAvailable},
		"coordinator": {kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.CoordinatorNotAvailable}, sarama.ErrConsumerCoordinatorNotAvailable},
		"commits":     {kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.CoordinatorLoadInProgress}, sarama.ErrOffsetsLoadInProgress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 1, 1)
			k.produce(t, 0, 0, 10)
			c.fault.Count = 7
			handle := k.cluster.Fault(c.fault)
			m := join(t, k, k.settings("sticky"), ack)
			m.untilAll(t, 10)
			if handle.Hits() != 7 {
				t.Errorf("%d requests have failed, want 7", handle.Hits())
			}
			c.fault.Count = -1
			k.cluster.Fault(c.fault)
			if _, err := tryJoin(t, k, k.settings("sticky"), ack); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNotAllowed: subscribing fails at once, and says so, when the user may not do what it takes.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault kfake.Fault
		want  error
	}{
		"describe the topic": {kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "events", Err: kerr.TopicAuthorizationFailed}, sarama.ErrTopicAuthorizationFailed},
		"read the group":     {kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed}, sarama.ErrGroupAuthorizationFailed},
		"find the group":     {kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.GroupAuthorizationFailed}, sarama.ErrGroupAuthorizationFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 1, 1)
			c.fault.Count = -1
			k.cluster.Fault(c.fault)
			within(t, 5*time.Second, "failing", func() {
				if _, err := tryJoin(t, k, k.settings("sticky"), ack); !errors.Is(err, c.want) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestJoinFails: when joining fails again and again, it is tried less and less often; when it works
// again, all goes on.
func TestJoinFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]kfake.Fault{
		"not allowed": {Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed},
		"unknown":     {Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.UnknownServerError},
		"sync":        {Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.UnknownServerError},
		"set up":      {Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnknownServerError},
		"look":        {Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.UnknownServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 1, 1)
			k.produce(t, 0, 0, 10)
			config := k.settings("sticky")
			config.RetryMin, config.RetryMax = 50*time.Millisecond, time.Second
			first := join(t, k, config, ack)
			first.untilAll(t, 10)
			second := join(t, k, config, ack)
			fault.Count = -1
			handle := k.cluster.Fault(fault)
			first.leave(t)
			<-time.After(time.Second)
			n := handle.Hits()
			handle.Remove()
			t.Logf("%d tries in a second", n)
			if n > 20 {
				t.Errorf("%d tries in a second", n)
			}
			second.untilAll(t, 10)
		})
	}
}

// TestCloseWhileFailing: Close doesn't wait until the next try.
func TestCloseWhileFailing(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	config := k.settings("sticky")
	config.RetryMin, config.RetryMax = time.Minute, time.Minute
	handle := k.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	for name, end := range map[string]func(*member){
		"close":  func(m *member) { _ = m.Close() },
		"cancel": func(m *member) { m.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			before := handle.Hits()
			m := join(t, k, config, ack)
			eventually(t, "joining has failed", func() bool { return handle.Hits() > before })
			within(t, 2*time.Second, "ending", func() { end(m); <-m.done })
		})
	}
}

// TestClosed: a Subscriber that is closed can't be used, also when both happen at once; closing again is fine.
func TestClosed(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	var failed atomic.Int32
	for i := range 20 {
		s, err := microbatch.NewSubscriber(k.settings("sticky"), logger())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			messages, err := s.Subscribe(t.Context(), k.topic)
			if err != nil {
				failed.Add(1)
				return
			}
			for msg := range messages {
				msg.Ack()
			}
		}()
		<-time.After(time.Duration(i) * 500 * time.Microsecond)
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Subscribe(t.Context(), k.topic); err == nil {
			t.Error("a closed one can be used")
		}
		<-done
	}
	t.Logf("%d of 20 were closed before", failed.Load())
}

// TestCancel: the context given to Subscribe ends a subscription as Close does; the Subscriber can
// be used again.
func TestCancel(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	config := k.settings("sticky")
	config.CommitInterval = time.Hour
	m := join(t, k, config, committing)
	m.untilAll(t, 10)
	m.cancel()
	stopped(t, m)
	if m.Err() != nil {
		t.Error(m.Err())
	}
	if offset, _ := k.committed(t, 0); offset != 10 {
		t.Errorf("%d is committed, want 10", offset)
	}
	if n := len(k.cluster.GroupInfo(k.group).Members); n != 0 {
		t.Errorf("the group has %d members still", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages, err := m.Subscribe(ctx, k.topic)
	if err != nil {
		t.Fatal(err)
	}
	k.produce(t, 0, 10, 10)
	for msg := range messages {
		b, err := microbatch.Open(msg.Payload)
		if err != nil {
			t.Fatal(err)
		}
		msg.Ack()
		if b.Count > 0 && b.Position != 10 {
			t.Errorf("it goes on at %d, want 10", b.Position)
		}
		if b.Count > 0 {
			break
		}
	}
}
