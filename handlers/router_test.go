package handlers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/handlers"
)

// run runs a router, and returns what it ends with.
func run(t *testing.T, r *message.Router) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	within(t, "the router runs", r.Running())
	return done
}

func newRouter(t *testing.T) *message.Router {
	t.Helper()
	r, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newIntake returns one whose dead letters tell that it works.
func newIntake(t *testing.T) (in *handlers.Intake, letters *outlet) {
	t.Helper()
	letters = &outlet{}
	in, err := handlers.NewIntake(testConfig(t, &outlet{}, letters))
	if err != nil {
		t.Fatal(err)
	}
	return in, letters
}

func newEvents() *gochannel.GoChannel {
	return gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
}

// works checks that a message passes through both handlers.
func works(t *testing.T, events message.Publisher, letters *outlet) {
	t.Helper()
	before, _ := letters.count()
	if err := events.Publish("events", malformed("{")); err != nil {
		t.Fatal(err)
	}
	if after, _ := letters.count(); after != before+1 {
		t.Errorf("a message was acknowledged, and is not in the dead letters: %d, then %d", before, after)
	}
}

// TestRunningRouter: an Intake is added to a router that runs already, with handlers of others in it, and stopped alone.
func TestRunningRouter(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r, events, others := newRouter(t), newEvents(), newEvents()
	handled := make(chan struct{}, 2)
	r.AddConsumerHandler("other", "events", others, func(*message.Message) error { handled <- struct{}{}; return nil })
	done := run(t, r)
	in, letters := newIntake(t)
	deduplicate, windower := in.AddTo(r, "events", events)
	if err := r.RunHandlers(t.Context()); err != nil {
		t.Fatal(err)
	}
	works(t, events, letters)
	deduplicate.Stop()
	within(t, "deduplicate has stopped", deduplicate.Stopped())
	within(t, "the windower stops with it", windower.Stopped())
	if err := others.Publish("events", malformed("{")); err != nil {
		t.Error(err)
	}
	within(t, "the other handler goes on", handled)
	if err := errors.Join(r.Close(), within(t, "the router ends", done), in.Close(), events.Close(), others.Close()); err != nil {
		t.Error(err)
	}
}

// TestTwoIntakes: two in one router, the second one under names of its own.
func TestTwoIntakes(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r := newRouter(t)
	first, firstLetters := newIntake(t)
	second, secondLetters := newIntake(t)
	firstEvents, secondEvents := newEvents(), newEvents()
	first.AddTo(r, "events", firstEvents)
	r.AddConsumerHandler("deduplicate others", "events", secondEvents, second.Deduplicate)
	r.AddConsumerHandler("windower of others", handlers.Deduplicated, second.Link(), second.Window)
	done := run(t, r)
	for range 3 {
		works(t, firstEvents, firstLetters)
		works(t, secondEvents, secondLetters)
	}
	if n, _ := firstLetters.count(); n != 3 {
		t.Errorf("%d dead letters of the first one", n)
	}
	if err := errors.Join(r.Close(), within(t, "the router ends", done), first.Close(), second.Close(), firstEvents.Close(), secondEvents.Close()); err != nil {
		t.Error(err)
	}
}

// broken is a Subscriber that does not come about.
type broken struct{ message.Subscriber }

func (broken) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return nil, errDown
}
func (broken) Close() error { return nil }

// TestSubscribeFails: the router says so, and nothing is left.
func TestSubscribeFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), routerLeak())
	r := newRouter(t)
	in, _ := newIntake(t)
	in.AddTo(r, "events", broken{})
	if err := r.Run(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("the router ends with %v", err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

// routerLeak is a goroutine that Watermill's router leaves behind when it can't subscribe.
func routerLeak() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill/message.(*Router).watchAllHandlersStopped.func1")
}

// TestSubscriberEnds: both handlers end with their source, and the router with them.
func TestSubscriberEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r, events := newRouter(t), newEvents()
	in, letters := newIntake(t)
	in.AddTo(r, "events", events)
	done := run(t, r)
	works(t, events, letters)
	if err := errors.Join(events.Close(), within(t, "the router ends", done), in.Close()); err != nil {
		t.Error(err)
	}
}
