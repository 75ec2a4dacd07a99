package microbatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// hang lets no request be answered any more.
func (k *kafka) hang() {
	k.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		k.cluster.KeepControl()
		return nil, nil, true
	})
}

// TestCloseHung: Close returns soon where no broker answers, whatever the request timeouts are.
func TestCloseHung(t *testing.T) {
	eachFake(t, 2, 1, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		config.CommitInterval = time.Hour // there is something to commit in the end
		k.produce(t, 0, 0, 10)
		m := join(t, k, config, committing)
		m.untilAll(t, 10)
		k.hang()
		<-time.After(200 * time.Millisecond)
		within(t, 10*time.Second, "Close", func() { m.leave(t) })
	})
}

// TestSubscribeHung: and so does Subscribe, when it is no longer wanted.
func TestSubscribeHung(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*microbatch.Subscriber, context.CancelFunc){
		"close":  func(s *microbatch.Subscriber, _ context.CancelFunc) { _ = s.Close() },
		"cancel": func(_ *microbatch.Subscriber, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 2, 1)
			k.hang()
			s, err := microbatch.NewSubscriber(k.settings("sticky"), logger())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(200*time.Millisecond, func() { end(s, cancel) })
			within(t, 3*time.Second, "Subscribe", func() {
				if _, err := s.Subscribe(ctx, k.topic); err == nil {
					t.Error("it has subscribed")
				}
			})
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
