package chain_test

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/redis"
)

// memberBoards is what a member does besides the intake.
type memberBoards struct {
	world.BoardsConfig
	boardsOptions
}

// boardsOptions is how it does that.
type boardsOptions struct {
	FlushEvery   time.Duration // of both handlers
	PendingLists int
	RefillMin    time.Duration
	RefillGrace  time.Duration // 0: the default
	TTL          time.Duration

	// DieAfterWrites kills the process (SIGKILL) when it has written to Redis so many times, before that is committed. 0: never.
	DieAfterWrites int
}

func (m *running) addRank(c memberConfig, w wrap, log watermill.LoggerAdapter) (err error) {
	rc := handlers.DefaultRankConfig()
	rc.Boards, rc.Source, rc.Generation, rc.Sources, rc.Shards, rc.Lanes = c.Boards.Boards, c.source(), c.Generation, c.Partitions, c.Shards, c.Boards.Lanes
	rc.Rankings, rc.RankingsTopic, rc.FlushInterval, rc.Logger = m.publisher, c.Topics.Rankings, c.Boards.FlushEvery, log
	if w.rankings != nil {
		rc.Rankings = w.rankings(rc.Rankings)
	}
	if m.rank, err = handlers.NewRank(rc); err != nil {
		return err
	}
	subscriber, err := m.subscriber(c, "-rank", rc.Identity(), nil, log)
	if err == nil {
		m.rank.AddTo(m.router, c.Topics.Updates, subscriber)
	}
	return err
}

func (m *running) addLeaderboard(c memberConfig, w wrap, log watermill.LoggerAdapter) error {
	sink, err := m.sink(c, log)
	if err != nil {
		return err
	}
	lc := handlers.DefaultLeaderboardConfig()
	lc.Boards, lc.Source, lc.Generation, lc.Shards, lc.Lanes = c.Boards.Boards, c.source(), c.Generation, c.Shards, c.Boards.Lanes
	lc.FlushInterval, lc.Logger = c.Boards.FlushEvery, log
	if c.Boards.PendingLists > 0 {
		lc.PendingLists = c.Boards.PendingLists
	}
	lc.RefillMin = c.Boards.RefillMin
	if c.Boards.RefillGrace > 0 {
		lc.RefillGrace = c.Boards.RefillGrace
	}
	writes := 0
	lc.Open = func(partition int, through int64) handlers.ListWriter {
		var writer handlers.ListWriter = sink.Writer(partition, through)
		if c.Boards.DieAfterWrites > 0 {
			writer = &deadlyWriter{ListWriter: writer, after: c.Boards.DieAfterWrites, n: &writes}
		}
		if w.lists != nil {
			writer = w.lists(writer)
		}
		return writer
	}
	lc.Fill = func() handlers.ListWriter { return sink.Filler() }
	lc.Read = func(ctx context.Context, partition int32, take func(microbatch.Record) error) error {
		return microbatch.ReadPartition(ctx, c.connection(), c.Topics.Rankings, partition, take)
	}
	if m.leaderboard, err = handlers.NewLeaderboard(lc); err != nil {
		return err
	}
	subscriber, err := m.subscriber(c, "-leaderboard", lc.Identity(), nil, log)
	if err == nil {
		m.leaderboard.AddTo(m.router, c.Topics.Rankings, subscriber)
	}
	return err
}

// sink connects to Redis.
func (m *running) sink(c memberConfig, log watermill.LoggerAdapter) (*redis.Sink, error) {
	client := world.NewRedis(c.Boards.Redis)
	m.close = append(m.close, client.Close)
	return redis.New(redis.Config{Client: client, Prefix: c.Boards.Prefix, Boards: c.Boards.Boards, TTL: c.Boards.TTL, Timeout: 2 * time.Second, Logger: log})
}

func (m *running) addLate(c memberConfig, _ wrap, log watermill.LoggerAdapter) error {
	sink, err := m.sink(c, log)
	if err != nil {
		return err
	}
	lc := handlers.LateConfig{Generation: c.Generation, Logger: log, Count: func(ctx context.Context, late []handlers.Late) error {
		list := make([]redis.Late, len(late))
		for i, l := range late {
			list[i] = redis.Late(l)
		}
		return sink.Late(ctx, list)
	}}
	if lc.Codec, err = handlers.JSON(event.DefaultMapping()); err != nil {
		return err
	}
	counts, err := handlers.NewLateCounts(lc)
	if err != nil {
		return err
	}
	subscriber, err := m.subscriber(c, "-late", lc.Identity(), nil, log)
	if err == nil {
		counts.AddTo(m.router, c.Topics.Letters, subscriber)
	}
	return err
}

// deadlyWriter kills its process after some writes.
type deadlyWriter struct {
	handlers.ListWriter
	after int
	n     *int
}

func (d *deadlyWriter) Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (bool, error) {
	behind, err := d.ListWriter.Write(ctx, asOf, watermark, lists)
	if len(lists) > 0 {
		if *d.n++; err == nil && *d.n >= d.after {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing more happens
		}
	}
	return behind, err
}
