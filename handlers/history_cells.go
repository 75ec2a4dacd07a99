package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/wire"
)

// CellRow is what a source partition has counted of one (pane, group, item): absolute, and right as of an offset of that partition.
// Of two rows of the same cell the one with the greater AsOf counts; with the same AsOf they are the same.
type CellRow struct {
	Partition  int32 // of the source
	Pane       int64 // where it begins, Unix milliseconds
	Group      event.Group
	Item       string
	Count      int64
	Sum        int64 // of the events' values; saturates at the ends of int64
	Min, Max   int64
	Duplicates int64
	AsOf       int64
}

// CellsConfig holds a Cells' settings. Start from DefaultCellsConfig.
type CellsConfig struct {
	Source     string // name of the stream, as in IntakeConfig
	Generation uint32
	Sources    int // partitions of the events topic
	Shards     int // partitions of the updates topic

	Pane            time.Duration
	AllowedLateness time.Duration

	// Write writes rows to the store, and returns nil when they are safe there. With any other error, all of them come again, with those that were
	// overtaken meanwhile left out. It is called from several goroutines, one for each shard, and must not keep the rows.
	Write func(ctx context.Context, rows []CellRow) error

	// FlushInterval is how often cells that have changed are written, while their panes are open (history_flush). When panes close, what has changed is written
	// within a tenth of it.
	FlushInterval time.Duration
	FlushRows     int // when so many rows of a shard wait, they are written at once
	// PendingRows bounds memory: when so many rows of a shard wait, or are being written, reading stops until there are fewer. A row takes
	// some 250 bytes, and the bytes of its item and group.
	PendingRows int

	Now    func() time.Time
	Logger watermill.LoggerAdapter

	Telemetry Telemetry
}

// DefaultCellsConfig returns the defaults; source, numbers of partitions, pane, lateness and Write are still due.
func DefaultCellsConfig() CellsConfig {
	return CellsConfig{
		FlushInterval: 10 * time.Second,
		FlushRows:     100_000,
		PendingRows:   250_000,
		Now:           time.Now,
		Logger:        watermill.NopLogger{},
	}
}

// Validate reports all that is wrong, at once.
func (c CellsConfig) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Source == "", "source: missing")
	wrong(len(c.Source) > sourceBytesMax || !utf8.ValidString(c.Source), "source: %.100q is not UTF-8 of at most %d bytes", c.Source, sourceBytesMax)
	wrong(c.Sources < 1 || c.Sources > 1<<16, "sources: %d is not 1 to 65536", c.Sources)
	wrong(c.Shards < 1 || c.Shards > 1<<15, "shards: %d is not 1 to 32768", c.Shards)
	wrong(c.Pane < time.Millisecond, "pane: %v is below 1ms", c.Pane)
	wrong(c.AllowedLateness < 0, "allowed lateness: %v is below 0", c.AllowedLateness)
	wrong(c.Write == nil, "write: missing")
	wrong(c.FlushInterval <= 0, "flush interval: %v is not above 0", c.FlushInterval)
	wrong(c.FlushRows < 1, "flush rows: %d is not above 0", c.FlushRows)
	wrong(c.PendingRows < 1, "pending rows: %d is not above 0", c.PendingRows)
	wrong(c.Now == nil, "now: missing")
	wrong(c.Logger == nil, "logger: missing")
	return errors.Join(errs...)
}

// Identity is what the commits of the updates topic belong to: give it to its Subscriber.
func (c CellsConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation, Settings: "pane:" + c.Pane.String()}
}

// cellsName is what Cells is called in a router, and in logs.
const cellsName = "history-cells"

// Cells is the handler that writes the history's cells: for each shard, a partition of the updates topic, it keeps the newest of each cell
// that has changed, and writes them, many at a time. It commits what is written. A Cells is safe for concurrent use: shards go side by side.
//
// It takes each message as it comes, also of flushes that are never whole: every cell is right as of its offset.
type Cells struct {
	config  CellsConfig
	tel     *instruments
	breaker breaker
	shards  claims[*cellShard]
}

// NewCells returns a Cells.
func NewCells(c CellsConfig) (*Cells, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tel, err := c.Telemetry.newInstruments(cellsName, "")
	if err != nil {
		return nil, err
	}
	return &Cells{config: c, tel: tel, breaker: newBreaker(cellsName, c.Logger)}, nil
}

// AddTo adds the handler to a router as "history-cells": it reads the updates topic by a microbatch.Subscriber, in a group of its own.
func (c *Cells) AddTo(router *message.Router, updatesTopic string, updates message.Subscriber) *message.Handler {
	return router.AddConsumerHandler(cellsName, updatesTopic, updates, c.Handle)
}

// Handle takes a message's updates in, and has cells written when that is due. Messages must come from a microbatch.Subscriber. It
// doesn't wait for the store, unless too many rows are pending; only what is written is committed.
//
// An error means that the same message must come again: nothing is lost by that.
func (c *Cells) Handle(msg *message.Message) error { return handleOf(&c.shards, msg, c.newShard) }

// Status returns how far each shard is that this process owns, in the order of their partitions; and how the store's circuit breaker stands: closed (it
// writes), half-open or open.
func (c *Cells) Status() (list []RowsStatus, breaker string) {
	for _, s := range c.shards.all() {
		list = append(list, s.rowsStatus())
	}
	return sortRows(list), c.breaker.state()
}

// cellShard is what Cells keeps of one claim.
type cellShard struct {
	recorder[CellRow]
	wanted wire.Sender // who may speak
	cells  *waitingCells
}

func (c *Cells) newShard(claim *microbatch.Claim) (*cellShard, error) {
	config := &c.config
	if claim.Partitions != config.Shards {
		return nil, fmt.Errorf("topic %s has %d partitions, but the settings say %d shards; set it back, or run a new generation", claim.Topic, claim.Partitions, config.Shards)
	}
	s := &cellShard{
		wanted: wire.Sender{Source: config.Source, Generation: config.Generation, SourcePartitions: config.Sources, ShardPartitions: config.Shards},
		cells:  newWaitingCells(config.Sources, (config.Pane + config.AllowedLateness).Milliseconds()),
	}
	s.tel = c.tel
	s.rows, s.breaker, s.write, s.hop.take = s.cells, c.breaker, config.Write, s.take
	err := s.begins(claim, cellsName, flushing{config.FlushInterval, config.FlushRows, config.PendingRows}, config.Logger, config.Now)
	return s, err
}

func (s *cellShard) take(r *microbatch.Record) error {
	by, to, update, err := wire.DecodeUpdate(r.Value)
	if err != nil {
		return fmt.Errorf("%w: offset %d: %w", errForeign, r.Offset, err)
	}
	if err := spoken(by, s.wanted, to, int(s.claim.Partition)); err != nil {
		return fmt.Errorf("offset %d: %w", r.Offset, err)
	}
	s.cells.add(&update)
	if s.cells.soon() {
		s.hasten()
	}
	return nil
}
