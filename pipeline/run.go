package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
)

// ErrDeadline is the error of a stop that took longer than shutdown_timeout. Nothing is lost: what was not committed is done again.
var ErrDeadline = errors.New("stopping took longer than shutdown_timeout")

// Run is the whole program: it runs the handlers that settings call for, in a router of its own, with an HTTP server that tells how they are, until
// ctx is done; then it flushes, commits and leaves the groups, within shutdown_timeout. While Kafka can't be reached at the start, it tries again and
// again. When a handler can't go on, the others do; when none can, Run returns why.
func Run(ctx context.Context, s settings.Settings, o Options) error {
	o = o.withDefaults()
	telling, err := telemetryOf(ctx, s, &o)
	if err != nil {
		return err
	}
	defer endTelemetry(telling, o.Logger)
	web, err := serve(ctx, s, o, telling)
	if err != nil {
		return err
	}
	defer web.close()
	p, err := newPatiently(ctx, s, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was told to stop before it could begin
		}
		return err
	}
	if ctx.Err() != nil {
		return p.Close()
	}
	web.pipeline.Store(p)
	err = p.run(ctx)
	if err == nil && ctx.Err() == nil {
		err = p.failure()
	}
	return err
}

// newPatiently is New, until Kafka can be reached.
func newPatiently(ctx context.Context, s settings.Settings, o Options) (*Pipeline, error) {
	return backoff.Retry(ctx, func() (*Pipeline, error) {
		p, err := New(ctx, s, o)
		err = kafkaclient.Explain(err)
		if err != nil && !passing(err) {
			return nil, backoff.Permanent(err)
		}
		if err != nil {
			o.Logger.Error("can't begin yet; will try again", "err", err)
		}
		return p, err
	}, backoff.WithMaxElapsedTime(0))
}

// passing reports whether an error can pass by itself: Kafka isn't reached. What is wrong with topics or settings stays.
func passing(err error) bool {
	_, wrong := errors.AsType[*microbatch.TopicsError](err)
	return !wrong && microbatch.Unreachable(err)
}

// run runs a router until ctx is done, or all handlers have ended.
func (p *Pipeline) run(ctx context.Context) error {
	deadline := p.settings.ShutdownTimeout.Std()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: deadline}, p.logger)
	if err != nil {
		return errors.Join(fmt.Errorf("router: %w", err), p.Close())
	}
	p.AddTo(router)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = router.Run(context.WithoutCancel(ctx))
		err = errors.Join(err, p.Close())
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
	}
	p.logger.Info("stopping: flushing, committing, and leaving the groups", watermill.LogFields{"shutdown_timeout": deadline.String()})
	began := time.Now()
	go func() {
		select { // a router that is closed before it runs waits for handlers that never begin
		case <-router.Running():
			_ = router.Close() // Run returns its error
		case <-ended:
		}
	}()
	select {
	case <-ended:
		p.logger.Info("stopped", watermill.LogFields{"after": time.Since(began).String()})
		return err
	case <-time.After(deadline):
		return fmt.Errorf("%w, %v; what was not committed is done again at the next start", ErrDeadline, deadline)
	}
}

// failure returns why handlers have ended.
func (p *Pipeline) failure() error {
	var errs []error
	for _, part := range p.parts {
		if _, err := part.is(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	return errors.Join(errs...)
}
