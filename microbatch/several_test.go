package microbatch_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// TestSeveralTopics: one Subscriber serves several topics in one group, as Watermill's routers ask for; two
// of them share the partitions of each.
func TestSeveralTopics(t *testing.T) {
	eachFake(t, 4, 1, func(t *testing.T, k *kafka, strategy string) {
		other := *k
		other.topic = "other"
		other.client = other.connect(t)
		other.create(t, 2)
		first := join(t, k, k.settings(strategy), committing)
		first.untilOwns(t, 4)
		second := join(t, k, k.settings(strategy), committing)
		for _, m := range []*member{first, second} {
			m.untilOwns(t, 2)
		}
		// A second topic on the first one, by hand.
		messages, err := first.Subscribe(t.Context(), other.topic)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int64, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for msg := range messages {
				take(t, msg, other.topic, got)
			}
		}()
		for p := range int32(4) {
			k.produce(t, p, 0, 10)
		}
		for p := range int32(2) {
			other.produce(t, p, 0, 10)
		}
		for n := 0; n < 20; {
			select {
			case count := <-got:
				n += int(count)
			case <-time.After(patience):
				t.Fatal("the other topic's records don't come")
			}
		}
		for p := range int32(4) {
			eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, p); return offset == 10 })
		}
		for p := range int32(2) {
			eventually(t, "it is committed", func() bool { offset, _ := other.committed(t, p); return offset == 10 })
		}
		first.leave(t)
		<-done
		second.untilOwns(t, 4)
		k.produce(t, 3, 10, 10)
		eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, 3); return offset == 20 })
	})
}

func take(t *testing.T, msg *message.Message, topic string, got chan<- int64) {
	t.Helper()
	claim, _ := microbatch.ClaimOf(msg.Context())
	b, err := microbatch.Open(msg.Payload)
	if err != nil || claim.Topic != topic {
		t.Errorf("a message of %s: %v", claim.Topic, err)
	}
	if b.Count > 0 {
		_ = claim.Commit(b.Position+int64(b.Count), "other")
		got <- int64(b.Count)
	}
	msg.Ack()
}

// TestBlockedNeighbour: a partition whose handler is blocked doesn't hold the others of its broker up for long.
func TestBlockedNeighbour(t *testing.T) {
	k := fake(t, 2, 1)
	for i := range 5 {
		k.produce(t, 0, i*5000, 5000)
	}
	unblock := make(chan struct{})
	m := join(t, k, k.settings("sticky"), func(d delivery) {
		if d.claim.Partition == 0 && len(d.values) > 0 {
			<-unblock
		}
		d.message.Ack()
	})
	defer close(unblock)
	m.untilAll(t, 1)
	for i := range 50 {
		k.produce(t, 1, i, 1)
		within(t, time.Second, "a record's way", func() {
			m.until(t, "it has come", func() bool { return len(m.values(1)) == i+1 })
		})
	}
}

// TestForbidden: where a permission is taken away, fetching and committing are tried until it is back; nothing is lost.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]kfake.Fault{
		"fetch": {{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "events", Err: kerr.TopicAuthorizationFailed}},
		"group": {{Keys: []kmsg.Key{kmsg.OffsetCommit, kmsg.Heartbeat, kmsg.JoinGroup, kmsg.SyncGroup}, Err: kerr.GroupAuthorizationFailed}},
		"topic": {{Keys: []kmsg.Key{kmsg.Metadata, kmsg.ListOffsets, kmsg.Fetch}, Topic: "events", Err: kerr.TopicAuthorizationFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 2, 1)
			config := k.settings("cooperative-sticky")
			config.MetadataMaxAge = 100 * time.Millisecond
			m := join(t, k, config, committing)
			k.produce(t, 0, 0, 10)
			m.untilAll(t, 10)
			for i := range faults {
				faults[i].Count = -1
			}
			handle := k.cluster.Fault(faults...)
			<-time.After(700 * time.Millisecond)
			n := handle.Hits()
			t.Logf("%d requests in 0.7 s", n)
			if n > 200 {
				t.Errorf("%d requests in 0.7 s", n)
			}
			handle.Remove()
			k.produce(t, 0, 10, 10)
			eventually(t, "all is committed", func() bool { offset, _ := k.committed(t, 0); return offset == 20 })
			if m.Err() != nil {
				t.Error(m.Err())
			}
		})
	}
}

// TestTopicDeleted: while its topic is gone a subscriber waits; it can be closed.
func TestTopicDeleted(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		config.MetadataMaxAge = time.Second
		m := join(t, k, config, committing)
		k.produce(t, 0, 0, 10)
		m.untilAll(t, 10)
		requests := k.cluster.Fault(kfake.Fault{Count: -1, Observe: true})
		if err := k.cluster.DeleteTopic(k.topic); err != nil {
			t.Fatal(err)
		}
		<-time.After(1500 * time.Millisecond)
		n := requests.Hits()
		t.Logf("%d requests in 1.5 s", n)
		if n > 300 {
			t.Errorf("%d requests in 1.5 s", n)
		}
		if m.Err() != nil {
			t.Error(m.Err())
		}
		within(t, 10*time.Second, "Close", func() { m.leave(t) })
	})
}
