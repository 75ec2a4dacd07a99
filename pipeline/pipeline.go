// Package pipeline makes Millrank of its parts: from settings to handlers in a Watermill router, with the topics, consumer groups, sinks,
// health and the end that they need.
//
//	Run           the whole program: HTTP server, router, graceful stop     run.go
//	New, AddTo    the handlers for a router of your own                     pipeline.go
//	EnsureTopics  topics, created or checked                                topics.go
//	Activate      generations: which one readers see                        generations.go, activate.go
//
// What can be set is in package settings.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/clickhouse"
	"github.com/millrank/millrank/sinks/redis"
)

// Options are what settings can't say.
type Options struct {
	Logger  *slog.Logger // nil: nobody is told anything
	Version string       // of the program, for /status
	// Telemetry is where metrics and traces go. Nil providers are OpenTelemetry's global ones in New, and the process's own in Run: /metrics, and OTLP
	// as the environment says.
	Telemetry handlers.Telemetry
}

// Pipeline is the handlers that a process runs. It is safe for concurrent use.
type Pipeline struct {
	settings settings.Settings
	options  Options
	logger   watermill.LoggerAdapter

	intake      *handlers.Intake // nil where this process doesn't run it, as the others
	rank        *handlers.Rank
	leaderboard *handlers.Leaderboard
	late        *handlers.LateCounts

	historyCells    *handlers.Cells
	historyRankings *handlers.Leaderboard
	historyLetters  *handlers.Letters

	parts       []*part
	generations *generations
	client      goredis.UniversalClient
	sink        *redis.Sink
	history     *clickhouse.Sink
	stores      *stores
	memberships map[string]*membership // by handler
	closers     []func() error         // the last one first
}

// New prepares the handlers that settings call for: it creates and checks topics, and connects to Kafka. It tries once. Settings are to be as
// Load returns them. Add the handlers to a router, and Close the pipeline after that has been closed.
func New(ctx context.Context, s settings.Settings, o Options) (*Pipeline, error) {
	o = o.withDefaults()
	p := &Pipeline{settings: s, options: o, logger: watermill.NewSlogLogger(o.Logger), memberships: map[string]*membership{}}
	var err error
	if p.stores, err = newStores(o.Telemetry); err != nil {
		return nil, err
	}
	found, err := ensureTopics(ctx, s)
	for _, w := range found.warnings {
		p.logger.Info("warning: "+w.String(), nil)
	}
	if err != nil {
		return nil, err
	}
	p.generations = &generations{settings: s, logger: p.logger}
	if err := p.generations.begin(ctx); err != nil {
		return nil, err
	}
	add := map[string]func(topicsFound) error{
		settings.Intake: p.addIntake, settings.Rank: p.addRank, settings.Leaderboard: p.addLeaderboard, settings.Late: p.addLate,
		settings.HistoryCells: p.addHistory(settings.HistoryCells), settings.HistoryRankings: p.addHistory(settings.HistoryRankings),
		settings.HistoryDeadLetters: p.addHistory(settings.HistoryDeadLetters),
	}
	runs := s.Runs()
	if len(runs) == 0 {
		return nil, fmt.Errorf("handlers: with these settings there is nothing to run of %v; leaderboard and late need redis.addresses, history clickhouse.addresses", s.Handlers)
	}
	for _, name := range runs {
		if err := add[name](found); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), p.Close())
		}
	}
	if err := p.observe(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.watch()
	return p, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// watch makes the history ready, and follows which generation is active, until Close.
func (p *Pipeline) watch() {
	if p.sink == nil && p.history == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { p.generations.watch(ctx) })
	if p.history != nil {
		watching.Go(func() { p.prepareHistory(ctx) })
	}
	p.closers = append(p.closers, func() error {
		stop()
		watching.Wait()
		return nil
	})
}

func (p *Pipeline) addIntake(topicsFound) error {
	s := p.settings
	codec, err := handlers.JSON(s.Mapping())
	if err != nil {
		return err
	}
	updates, err := p.publisher(0)
	if err != nil {
		return err
	}
	letters, err := p.publisher(int(s.Topics.DeadLetters.MaxMessageBytes))
	if err != nil {
		return err
	}
	c := handlers.DefaultIntakeConfig()
	c.Settings, c.Codec, c.Logger, c.Telemetry = s.Fold(), codec, p.logger, p.options.Telemetry
	c.Source, c.Generation, c.Shards = s.SourceName(), s.Generation, s.Topics.Updates.Partitions
	c.Updates, c.UpdatesTopic, c.DeadLetters, c.DeadLettersTopic = updates, s.UpdatesTopic(), letterPublisher{letters}, s.DeadLettersTopic()
	c.FlushInterval, c.IdleTimeout = s.Flush.Updates.Std(), s.Time.IdleTimeout.Std()
	c.PendingCells = s.Limits.PendingCells
	c.FlushCells = min(c.FlushCells, c.PendingCells)
	c.DeadLetterShare, c.DeadLetterMin, c.DeadLetterPause = s.Limits.DeadLetterShare, s.Limits.DeadLetterMin, s.Limits.DeadLetterPause.Std()
	if p.intake, err = handlers.NewIntake(c); err != nil {
		return err
	}
	p.closers = append(p.closers, p.intake.Close)
	return p.part(settings.Intake, s.Source.Topic, c.Identity(), s.Flush.Updates.Std())
}

func (p *Pipeline) addRank(found topicsFound) error {
	s := p.settings
	rankings, err := p.publisher(0)
	if err != nil {
		return err
	}
	c := handlers.DefaultRankConfig()
	c.Boards, c.Logger, c.Telemetry = s.Rankings(), p.logger, p.options.Telemetry
	c.Source, c.Generation, c.Sources, c.Shards, c.Lanes = s.SourceName(), s.Generation, found.sources, s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions
	c.Rankings, c.RankingsTopic = rankings, s.RankingsTopic()
	c.FlushInterval, c.PendingLists = s.Flush.Rankings.Std(), s.Limits.PendingLists
	if p.rank, err = handlers.NewRank(c); err != nil {
		return err
	}
	return p.part(settings.Rank, s.UpdatesTopic(), c.Identity(), s.Flush.Rankings.Std())
}

func (p *Pipeline) addLeaderboard(topicsFound) error {
	s := p.settings
	if err := p.openRedis(); err != nil {
		return err
	}
	c := handlers.DefaultLeaderboardConfig()
	c.Boards, c.Logger, c.Telemetry = s.Rankings(), p.logger, p.options.Telemetry
	c.Source, c.Generation, c.Shards, c.Lanes = s.SourceName(), s.Generation, s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions
	c.FlushInterval, c.PendingLists = s.Flush.Redis.Std(), s.Limits.PendingLists
	c.Open = func(partition int, through int64) handlers.ListWriter {
		return p.stores.lists("redis", p.sink.Writer(partition, through))
	}
	c.Fill = func() handlers.ListWriter { return p.stores.lists("redis", p.sink.Filler()) }
	c.Read = func(ctx context.Context, partition int32, take func(microbatch.Record) error) error {
		return microbatch.ReadPartition(ctx, s.Connection(), s.RankingsTopic(), partition, take)
	}
	var err error
	if p.leaderboard, err = handlers.NewLeaderboard(c); err != nil {
		return err
	}
	return p.part(settings.Leaderboard, s.RankingsTopic(), c.Identity(), s.Flush.Redis.Std())
}

func (p *Pipeline) addLate(topicsFound) error {
	s := p.settings
	codec, err := handlers.JSON(s.Mapping())
	if err != nil {
		return err
	}
	if err := p.openRedis(); err != nil {
		return err
	}
	c := handlers.LateConfig{Codec: codec, Generation: s.Generation, Logger: p.logger, Telemetry: p.options.Telemetry, Count: func(ctx context.Context, late []handlers.Late) error {
		counted := make([]redis.Late, len(late))
		for i, l := range late {
			counted[i] = redis.Late(l)
		}
		return p.stores.do(ctx, "redis", "count_late", func(ctx context.Context) error { return p.sink.Late(ctx, counted) })
	}}
	if p.late, err = handlers.NewLateCounts(c); err != nil {
		return err
	}
	return p.part(settings.Late, s.DeadLettersTopic(), c.Identity(), time.Second)
}

// openRedis makes the client and the sink, once.
func (p *Pipeline) openRedis() (err error) {
	if p.sink != nil {
		return nil
	}
	if p.client, p.sink, err = openRedis(p.settings, p.generations.redis, p.logger); err != nil {
		return err
	}
	p.closers = append(p.closers, p.client.Close)
	return nil
}

// openRedis makes a client and a sink for settings. The caller closes the client.
func openRedis(s settings.Settings, active func() (uint32, int64), logger watermill.LoggerAdapter) (goredis.UniversalClient, *redis.Sink, error) {
	options, err := s.RedisOptions()
	if err != nil {
		return nil, nil, fmt.Errorf("redis.tls: %w", err)
	}
	client := goredis.NewUniversalClient(options)
	sink, err := redis.New(redis.Config{
		Client: client, Prefix: s.Redis.Prefix, DefaultBoard: s.Redis.DefaultBoard, Boards: s.Rankings(), TTL: s.RedisTTL(), Timeout: s.Redis.Timeout.Std(),
		Generation: s.Generation, Active: active, Logger: logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, sink, nil
}

// publisher makes a publisher: each hop has its own. messageMax is max.message.bytes of its topic, 0 for Kafka's default.
func (p *Pipeline) publisher(messageMax int) (*microbatch.Publisher, error) {
	k := p.settings.Kafka
	c := microbatch.DefaultPublisherConfig(p.settings.Connection())
	c.Compression, c.DeliveryTimeout = k.CompressionType, k.DeliveryTimeout.Std()
	if messageMax > 0 {
		c.MaxMessageBytes = messageMax
	}
	publisher, err := microbatch.NewPublisher(c, p.logger)
	if err == nil {
		p.closers = append(p.closers, publisher.Close)
	}
	return publisher, err
}

// part makes the subscriber of a handler, a member of a group of its own. heartbeat is how often a silent partition wakes its handler.
func (p *Pipeline) part(handler, topic string, id microbatch.Identity, heartbeat time.Duration) error {
	s := p.settings
	c := microbatch.DefaultSubscriberConfig(s.Connection(), s.Group(handler))
	c.GroupInstanceID, c.SessionTimeout, c.IsolationLevel = s.Kafka.GroupInstanceID, s.Kafka.SessionTimeout.Std(), s.Kafka.IsolationLevel
	c.HeartbeatInterval = min(c.HeartbeatInterval, c.SessionTimeout/5)
	c.BatchRecords, c.BatchBytes = s.Limits.BatchRecords, int(s.Limits.BatchBytes)
	c.SilentInterval, c.ReusePayloads, c.Identity = heartbeat, true, id
	member := &membership{}
	p.memberships[handler] = member
	c.Assigned, c.Revoked = member.joins, member.leaves
	inner, err := microbatch.NewSubscriber(c, p.logger)
	if err != nil {
		return err
	}
	p.parts = append(p.parts, &part{name: handler, topic: topic, inner: inner, logger: p.logger, state: starting})
	return nil
}

// AddTo adds the handlers to a router: deduplicate and windower, rank, leaderboard, late, history-..., of those that this process runs. Call it once. When one
// can't go on, it ends alone, and Health says why.
func (p *Pipeline) AddTo(router *message.Router) {
	for _, part := range p.parts {
		switch part.name {
		case settings.Intake:
			p.intake.AddTo(router, part.topic, part)
		case settings.Rank:
			p.rank.AddTo(router, part.topic, part)
		case settings.Leaderboard:
			p.leaderboard.AddTo(router, part.topic, part)
		case settings.Late:
			p.late.AddTo(router, part.topic, part)
		case settings.HistoryCells:
			p.historyCells.AddTo(router, part.topic, part)
		case settings.HistoryRankings:
			p.historyRankings.AddTo(router, part.topic, part)
		case settings.HistoryDeadLetters:
			p.historyLetters.AddTo(router, part.topic, part)
		}
	}
}

// Close ends what the pipeline has opened. Call it after the router has been closed.
func (p *Pipeline) Close() error {
	var errs []error
	for _, part := range p.parts {
		errs = append(errs, part.Close())
	}
	for _, closer := range slices.Backward(p.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
