package pipeline

import (
	"context"
	"errors"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
)

// part is a handler's Subscriber. One that can't go on stops its handler alone: a router would else end all of them, and
// so it would when Kafka can't be reached at the start.
type part struct {
	name   string
	topic  string
	inner  *microbatch.Subscriber
	logger watermill.LoggerAdapter

	forwarding sync.WaitGroup

	mu    sync.Mutex
	state partState
	err   error // why it doesn't run
}

// partState is how far a part has come.
type partState string

const (
	starting partState = "starting"
	running  partState = "running"
	stopped  partState = "stopped"
)

// Subscribe returns at once; messages come as soon as the group could be joined.
func (p *part) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	p.forwarding.Go(func() {
		defer close(out)
		p.forward(ctx, topic, out)
	})
	return out, nil
}

func (p *part) forward(ctx context.Context, topic string, out chan<- *message.Message) {
	in, err := backoff.Retry(ctx, func() (<-chan *message.Message, error) {
		in, err := p.inner.Subscribe(ctx, topic)
		err = kafkaclient.Explain(err)
		var refused *microbatch.RefusedError
		switch {
		case err == nil:
			return in, nil
		case errors.As(err, &refused), ctx.Err() != nil:
			return nil, backoff.Permanent(err)
		}
		p.set(starting, err)
		p.logger.Error("can't subscribe yet; will try again", err, watermill.LogFields{"topic": topic})
		return nil, err
	}, backoff.WithMaxElapsedTime(0))
	if err != nil {
		p.end(ctx, err)
		return
	}
	p.set(running, nil)
	for m := range in {
		select {
		case out <- m: // also when ctx is done: a claim's last message comes then
		case <-m.Context().Done(): // the claim is over
		}
	}
	p.end(ctx, p.inner.Err())
}

func (p *part) end(ctx context.Context, err error) {
	if ctx.Err() != nil && p.inner.Err() == nil {
		p.set(stopped, nil)
		return
	}
	if err == nil {
		err = errors.New("its subscription has ended")
	}
	p.set(stopped, err)
	p.logger.Error("this handler has stopped; the others go on", err, watermill.LogFields{"handler": p.name})
}

// Close leaves the group.
func (p *part) Close() error {
	err := p.inner.Close()
	p.forwarding.Wait()
	return err
}

// SubscribeInitialize does nothing: EnsureTopics creates topics.
func (p *part) SubscribeInitialize(string) error { return nil }

func (p *part) set(s partState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.err = s, err
}

func (p *part) is() (partState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.err
}
