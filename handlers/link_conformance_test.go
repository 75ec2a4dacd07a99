package handlers_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/millrank/millrank/handlers"
)

// patient publishes to a link as the suite wants it: Publish returns before anybody has subscribed,
// and a message that is refused comes again. A link leaves both to its publisher.
type patient struct {
	link    *handlers.Link
	publish sync.WaitGroup
	done    <-chan struct{}
	cancel  context.CancelFunc

	mu     sync.Mutex
	queues map[string]chan *message.Message
}

func (p *patient) Publish(topic string, messages ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.queues[topic]
	if queue == nil {
		queue = make(chan *message.Message, 20_000)
		p.queues[topic] = queue
		p.publish.Go(func() {
			for {
				select {
				case m := <-queue:
					for errors.Is(p.link.Publish(topic, m), handlers.ErrRefused) {
						m = m.CopyWithContext()
					}
				case <-p.done:
					return
				}
			}
		})
	}
	for _, m := range messages {
		c := m.CopyWithContext()
		ctx, cancel := context.WithCancel(c.Context())
		go func() { // a message that is never acknowledged
			<-p.done
			cancel()
		}()
		c.SetContext(ctx)
		queue <- c
	}
	return nil
}

func (p *patient) Close() error {
	p.cancel()
	p.publish.Wait()
	return p.link.Close()
}

// TestLinkConformance runs Watermill's suite for Pub/Subs on a Link, as far as that can do what a test is about. Features that are
// off, with the tests that need them: ConsumerGroups, Persistent, NewSubscriberReceivesOldMessages, RestartServiceCommand, since a link
// keeps nothing. TestContinueAfterErrors is left out: it subscribes anew and reads its former subscriptions no longer,
// while subscribers of a link share its messages.
func TestLinkConformance(t *testing.T) {
	features := tests.Features{
		ExactlyOnceDelivery: true, GuaranteedOrder: true, RequireSingleInstance: true, ContextPreserved: true,
		ForceShort: true, // as many messages as in go test -short
	}
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe":                  tests.TestPublishSubscribe,
		"PublishSubscribeInOrder":           tests.TestPublishSubscribeInOrder,
		"ConcurrentSubscribe":               tests.TestConcurrentSubscribe,
		"ConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
		"ResendOnError":                     tests.TestResendOnError,
		"NoAck":                             tests.TestNoAck,
		"PublisherClose":                    tests.TestPublisherClose,
		"Topic":                             tests.TestTopic,
		"MessageCtx":                        tests.TestMessageCtx,
		"SubscribeCtx":                      tests.TestSubscribeCtx,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, func(t *testing.T) (message.Publisher, message.Subscriber) {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context())
				link := handlers.NewLink()
				p := &patient{link: link, queues: map[string]chan *message.Message{}, done: ctx.Done(), cancel: cancel}
				t.Cleanup(func() { _ = p.Close() })
				return p, link
			})
		})
	}
}
