package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/cenkalti/backoff/v5"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/clickhouse"
)

// addHistory adds one of the handlers that write the history.
func (p *Pipeline) addHistory(name string) func(topicsFound) error {
	return func(found topicsFound) error {
		if err := p.openHistory(); err != nil {
			return err
		}
		switch name {
		case settings.HistoryCells:
			return p.addHistoryCells(found)
		case settings.HistoryRankings:
			return p.addHistoryRankings()
		}
		return p.addHistoryLetters()
	}
}

func (p *Pipeline) addHistoryCells(found topicsFound) (err error) {
	s := p.settings
	c := handlers.DefaultCellsConfig()
	c.Source, c.Generation, c.Sources, c.Shards, c.Logger = s.SourceName(), s.Generation, found.sources, s.Topics.Updates.Partitions, p.logger
	c.Telemetry = p.options.Telemetry
	c.Pane, c.AllowedLateness, c.FlushInterval = s.Time.Pane.Std(), s.Time.AllowedLateness.Std(), s.Flush.History.Std()
	c.Write = func(ctx context.Context, rows []handlers.CellRow) error {
		cells := make([]clickhouse.Cell, len(rows))
		for i, r := range rows {
			cells[i] = clickhouse.Cell(r)
		}
		return p.stores.do(ctx, "clickhouse", "write_cells", func(ctx context.Context) error { return p.history.WriteCells(ctx, cells) })
	}
	if p.historyCells, err = handlers.NewCells(c); err != nil {
		return err
	}
	return p.part(settings.HistoryCells, s.UpdatesTopic(), c.Identity(), s.Flush.Updates.Std())
}

func (p *Pipeline) addHistoryRankings() (err error) {
	s := p.settings
	c := handlers.DefaultLeaderboardConfig()
	c.Name, c.Boards, c.Logger, c.Telemetry = settings.HistoryRankings, s.Rankings(), p.logger, p.options.Telemetry
	c.Source, c.Generation, c.Shards, c.Lanes = s.SourceName(), s.Generation, s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions
	c.FlushInterval, c.PendingLists = s.Flush.History.Std(), s.Limits.PendingLists
	c.Open = func(partition int, _ int64) handlers.ListWriter {
		return p.stores.lists("clickhouse", p.history.Lists(partition))
	}
	if p.historyRankings, err = handlers.NewLeaderboard(c); err != nil {
		return err
	}
	return p.part(settings.HistoryRankings, s.RankingsTopic(), c.Identity(), s.Flush.Rankings.Std())
}

func (p *Pipeline) addHistoryLetters() error {
	s := p.settings
	codec, err := handlers.JSON(s.Mapping())
	if err != nil {
		return err
	}
	c := handlers.LettersConfig{Codec: codec, Generation: s.Generation, FlushInterval: s.Flush.History.Std(), Logger: p.logger, Telemetry: p.options.Telemetry, Write: func(ctx context.Context, rows []handlers.LetterRow) error {
		letters := make([]clickhouse.Letter, len(rows))
		for i, r := range rows {
			letters[i] = clickhouse.Letter(r)
		}
		return p.stores.do(ctx, "clickhouse", "write_dead_letters", func(ctx context.Context) error { return p.history.WriteLetters(ctx, letters) })
	}}
	if p.historyLetters, err = handlers.NewLetters(c); err != nil {
		return err
	}
	return p.part(settings.HistoryDeadLetters, s.DeadLettersTopic(), c.Identity(), s.Flush.Updates.Std())
}

// openHistory makes the sink, once.
func (p *Pipeline) openHistory() (err error) {
	if p.history != nil {
		return nil
	}
	if p.history, err = openHistory(p.settings, p.options.Logger); err != nil {
		return err
	}
	p.generations.learned = func(ctx context.Context, active Activation) {
		untilDone(ctx, func(err error) {
			p.logger.Error("the history doesn't show the active generation yet; will try again", err, nil)
		}, func() error { return p.showHistory(ctx, active) })
	}
	p.closers = append(p.closers, p.history.Close)
	return nil
}

// openHistory makes a sink for settings. The caller closes it.
func openHistory(s settings.Settings, logger *slog.Logger) (*clickhouse.Sink, error) {
	options, err := s.ClickHouseOptions()
	if err != nil {
		return nil, fmt.Errorf("clickhouse.tls: %w", err)
	}
	h := s.ClickHouse
	return clickhouse.New(clickhouse.Config{
		Options: options, Database: h.Database, Cluster: h.Cluster, StoragePolicy: h.StoragePolicy, ColdAfter: h.ColdAfter.Std(),
		TTL:        clickhouse.TTL{Cells: h.TTL.Std(), Rankings: h.TTL.Std(), DeadLetters: h.TTL.Std(), Refused: h.TTL.Std()},
		Generation: s.Generation, Source: s.SourceName(), Dimensions: s.Dimensions(), Boards: s.Rankings(), Timeout: h.Timeout.Std(), Logger: logger,
	})
}

// Migrate brings the schema of the history up to date, and returns what it has applied. It can be called at any time, also by several.
func Migrate(ctx context.Context, s settings.Settings, logger *slog.Logger) ([]string, error) {
	if len(s.ClickHouse.Addresses) == 0 {
		return nil, errors.New("clickhouse.addresses: there is no ClickHouse in the settings")
	}
	sink, err := openHistory(s, logger)
	if err != nil {
		return nil, err
	}
	applied, err := sink.Migrate(ctx)
	return applied, errors.Join(err, sink.Close())
}

// prepareHistory brings the schema up to date and says which generation is active there, as soon as ClickHouse can be reached; nothing else waits for it. Inserts fail
// until then, and are repeated.
func (p *Pipeline) prepareHistory(ctx context.Context) {
	try := func() error {
		if p.settings.ClickHouse.Migrate {
			applied, err := p.history.Migrate(ctx)
			if err != nil {
				return fmt.Errorf("bringing the schema up to date: %w", err)
			}
			if len(applied) > 0 {
				p.logger.Info("the history's schema was brought up to date", watermill.LogFields{"applied": applied})
			}
		}
		return p.showHistory(ctx, p.generations.now())
	}
	untilDone(ctx, func(err error) { p.logger.Error("the history isn't ready yet; will try again", err, nil) }, try)
}

// showHistory has views show the active generation.
func (p *Pipeline) showHistory(ctx context.Context, active Activation) error {
	err := p.history.SetActive(ctx, active.Generation, active.Epoch)
	if errors.Is(err, clickhouse.ErrSuperseded) {
		return nil // somebody knows of a later one
	}
	return err
}

// untilDone tries something until it works, or ctx is done.
func untilDone(ctx context.Context, failed func(error), try func() error) {
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { // it ends without an error, or with ctx
		err := try()
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0))
}
