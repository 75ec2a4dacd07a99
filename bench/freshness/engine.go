package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/redis"
)

// Topics and groups.
const (
	eventsTopic   = "events"
	updatesTopic  = "freshness.g1.updates"
	rankingsTopic = "freshness.g1.rankings"
	lettersTopic  = "events.dead-letters"
	source        = "bench/" + eventsTopic
)

// engine is all handlers in one router, with their defaults.
type engine struct {
	config      config
	connection  microbatch.Connection
	logger      watermill.LoggerAdapter
	router      *message.Router
	intake      *handlers.Intake
	rank        *handlers.Rank
	leaderboard *handlers.Leaderboard
	subscribers []*microbatch.Subscriber
	closers     []func() error // to be called when the router has ended, the last one first
	client      *goredis.Client
	sink        *redis.Sink
	trace       *trace
	assigned    atomic.Int64 // partitions

	updates, rankings traffic
	writes            writes

	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of the router, once it has ended
}

// newEngine makes the topics and the engine. What goes wrong in it is logged.
func newEngine(ctx context.Context, c config, brokers []string, address string, log io.Writer) (*engine, error) {
	e := &engine{
		config: c, connection: microbatch.Connection{BootstrapServers: brokers}, trace: newTrace(c), ended: make(chan struct{}),
		logger: watermill.NewSlogLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))),
	}
	_, err := microbatch.EnsureTopics(ctx, e.connection,
		microbatch.Topic{Name: eventsTopic, Partitions: c.Partitions}, microbatch.Topic{Name: updatesTopic, Partitions: c.Shards},
		microbatch.Topic{Name: rankingsTopic, Partitions: c.Lanes}, microbatch.Topic{Name: lettersTopic, Partitions: 1})
	if err != nil {
		return nil, err
	}
	if e.router, err = message.NewRouter(message.RouterConfig{}, e.logger); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	e.client = goredis.NewClient(&goredis.Options{Addr: address, ContextTimeoutEnabled: true})
	e.closers = append(e.closers, e.client.Close)
	for _, add := range []func() error{e.addIntake, e.addRank, e.addLeaderboard} {
		if err := add(); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, nil
}

func (e *engine) addIntake() (err error) {
	c := handlers.DefaultIntakeConfig()
	mapping := event.DefaultMapping()
	mapping.TimeFormat = event.UnixMillis
	if c.Codec, err = handlers.JSON(mapping); err != nil {
		return err
	}
	publisher, err := e.publisher()
	if err != nil {
		return err
	}
	c.Source, c.Generation, c.Shards, c.Logger = source, 1, e.config.Shards, e.logger
	c.Updates, c.UpdatesTopic = &counting{Publisher: publisher, traffic: &e.updates, trace: e.trace, before: updatesSent, after: updatesArrived}, updatesTopic
	c.DeadLetters, c.DeadLettersTopic = publisher, lettersTopic
	if e.intake, err = handlers.NewIntake(c); err != nil {
		return err
	}
	e.closers = append(e.closers, e.intake.Close)
	subscriber, err := e.subscriber("deduplicate", c.Identity())
	if err != nil {
		return err
	}
	deduplicate, _ := e.intake.AddTo(e.router, eventsTopic, subscriber)
	deduplicate.AddMiddleware(e.trace.middleware(eventsTaken))
	return nil
}

func (e *engine) addRank() error {
	publisher, err := e.publisher()
	if err != nil {
		return err
	}
	c := handlers.DefaultRankConfig()
	c.Boards, c.Source, c.Generation, c.Sources, c.Shards, c.Lanes = boards(), source, 1, e.config.Partitions, e.config.Shards, e.config.Lanes
	c.Rankings, c.RankingsTopic = &counting{Publisher: publisher, traffic: &e.rankings, trace: e.trace, before: rankingsSent, after: rankingsArrived}, rankingsTopic
	c.Logger = e.logger
	if e.rank, err = handlers.NewRank(c); err != nil {
		return err
	}
	subscriber, err := e.subscriber("rank", c.Identity())
	if err != nil {
		return err
	}
	e.rank.AddTo(e.router, updatesTopic, subscriber).AddMiddleware(e.trace.middleware(updatesTaken))
	return nil
}

func (e *engine) addLeaderboard() (err error) {
	if e.sink, err = redis.New(redis.Config{Client: e.client, Boards: boards(), Logger: e.logger}); err != nil {
		return err
	}
	c := handlers.DefaultLeaderboardConfig()
	c.Boards, c.Source, c.Generation, c.Shards, c.Lanes, c.Logger = boards(), source, 1, e.config.Shards, e.config.Lanes, e.logger
	c.Open = func(partition int, through int64) handlers.ListWriter {
		return &timedWriter{ListWriter: e.sink.Writer(partition, through), writes: &e.writes, trace: e.trace}
	}
	c.Fill = func() handlers.ListWriter { return e.sink.Filler() }
	c.Read = func(ctx context.Context, partition int32, take func(microbatch.Record) error) error {
		return microbatch.ReadPartition(ctx, e.connection, rankingsTopic, partition, take)
	}
	if e.leaderboard, err = handlers.NewLeaderboard(c); err != nil {
		return err
	}
	subscriber, err := e.subscriber("leaderboard", c.Identity())
	if err != nil {
		return err
	}
	e.leaderboard.AddTo(e.router, rankingsTopic, subscriber).AddMiddleware(e.trace.middleware(rankingsTaken))
	return nil
}

// publisher makes a publisher, one for each hop.
func (e *engine) publisher() (*microbatch.Publisher, error) {
	p, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(e.connection), e.logger)
	if err == nil {
		e.closers = append(e.closers, p.Close)
	}
	return p, err
}

// subscriber makes the subscriber of one handler, a member of a group of its own.
func (e *engine) subscriber(handler string, id microbatch.Identity) (*microbatch.Subscriber, error) {
	c := microbatch.DefaultSubscriberConfig(e.connection, "freshness.g1."+handler)
	c.Identity, c.ReusePayloads = id, true
	c.Assigned = func(*microbatch.Claim) { e.assigned.Add(1) }
	s, err := microbatch.NewSubscriber(c, e.logger)
	if err == nil {
		e.subscribers = append(e.subscribers, s)
	}
	return s, err
}

// start runs the router, and returns when it has all partitions.
func (e *engine) start(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	go func() {
		defer close(e.ended)
		e.err = e.router.Run(running)
	}()
	all := int64(e.config.Partitions + e.config.Shards + e.config.Lanes)
	return e.await(ctx, time.Minute, func() error {
		if n := e.assigned.Load(); n < all {
			return fmt.Errorf("only %d of %d partitions are assigned", n, all)
		}
		return nil
	})
}

// await returns when there is no error any more, or with the last one when the time is over or the engine has ended.
func (e *engine) await(ctx context.Context, patience time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-e.ended:
			return errors.Join(errors.New("the engine has ended early"), e.err)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// close ends everything.
func (e *engine) close() error {
	var err error
	if e.cancel != nil {
		e.cancel()
		<-e.ended
		err = e.err
	}
	for _, s := range e.subscribers {
		err = errors.Join(err, s.Err())
	}
	for _, closer := range slices.Backward(e.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// processed returns how many events have been counted in flushes that have arrived everywhere.
func (e *engine) processed() (events int64) {
	for _, p := range e.intake.Status() {
		events += p.ProcessedThrough + 1
	}
	return events
}

// behind returns how many records of the other two topics have not been taken.
func (e *engine) behind() (updates, rankings int64) {
	for _, s := range e.rank.Status() {
		updates += max(0, s.LogEnd-s.Offset-1)
	}
	parts, _ := e.leaderboard.Status()
	for _, p := range parts {
		rankings += max(0, p.LogEnd-p.Offset-1)
	}
	return updates, rankings
}
