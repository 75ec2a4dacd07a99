package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// ListWriter writes merged lists to a store, such as Redis (sinks/redis). Lists are absolute, and their revision says which of
// two is newer: to write one twice does no harm, and an older one is not to replace a newer one. A ListWriter serves one goroutine.
type ListWriter interface {
	// Write writes lists, which may be none. They are as of an offset of the rankings topic, up to which all was written when it returns nil. Watermark is
	// the closing watermark as of then, Unix milliseconds, or event.NoTime.
	//
	// Nil says that all of them are written, or that the store has newer ones. Behind says that the store lacks what
	// this writer, or the one before it, has written: it was emptied, or replaced by an older copy. It stays true
	// until Filled, also for the writers to come.
	Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (behind bool, err error)
	// Filled says that all that the store lacked when Write first returned behind, or Filled was called last, has been written.
	// It may be called while Write runs.
	Filled()
}

// LeaderboardConfig holds a Leaderboard's settings. Start from DefaultLeaderboardConfig.
type LeaderboardConfig struct {
	Name   string // of the handler, in the router and in logs; "": leaderboard
	Boards operators.Boards

	Source     string // name of the stream, as in IntakeConfig
	Generation uint32
	Shards     int // partitions of the updates topic
	Lanes      int // partitions of the rankings topic

	// Open returns a writer for the lists of one partition of the rankings topic. Through is the offset through which
	// the group has written before; -1: it has written nothing.
	Open func(partition int, through int64) ListWriter
	// Fill returns a writer that fills in what the store lacks, beside the ones that Open has returned; it is never behind. Without Fill
	// and Read, nothing is ever filled in: for stores that are never behind.
	Fill func() ListWriter
	// Read reads a partition of the rankings topic from its first record to where its end is at the time of the call, and calls take for each record in turn (microbatch.ReadPartition does). It is for a
	// store that was emptied: what isn't in it any more is taken from there.
	Read func(ctx context.Context, partition int32, take func(microbatch.Record) error) error

	FlushInterval time.Duration // how often lists that have changed are written
	PendingLists  int           // when so many lists wait to be written, reading stops until there are fewer
	RefillMin     time.Duration // at least so long lies between two refills of an emptied store
	// RefillGrace is how long, by the records' timestamps, after the start of a topic that retention has cut off a shard's flushes count as
	// its first ones; all shards must have flushed by then. In a refill, windows that close in this time are left out.
	RefillGrace time.Duration

	Now    func() time.Time
	Logger watermill.LoggerAdapter

	Telemetry Telemetry
}

// DefaultLeaderboardConfig returns the defaults; boards, source, numbers of partitions, Open, Fill and Read are still due.
func DefaultLeaderboardConfig() LeaderboardConfig {
	return LeaderboardConfig{
		FlushInterval: 250 * time.Millisecond,
		PendingLists:  20_000,
		RefillMin:     5 * time.Second,
		RefillGrace:   time.Minute,
		Now:           time.Now,
		Logger:        watermill.NopLogger{},
	}
}

// Validate reports all that is wrong, at once.
func (c LeaderboardConfig) Validate() error {
	errs := []error{c.Boards.Validate()}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Source == "", "source: missing")
	wrong(len(c.Source) > sourceBytesMax || !utf8.ValidString(c.Source), "source: %.100q is not UTF-8 of at most %d bytes", c.Source, sourceBytesMax)
	wrong(c.Shards < 1 || c.Shards > 1<<15, "shards: %d is not 1 to 32768", c.Shards)
	wrong(c.Lanes < 1 || c.Lanes > 1<<15, "lanes: %d is not 1 to 32768", c.Lanes)
	wrong(c.Open == nil, "open: missing")
	wrong(c.Fill == nil && c.Read != nil, "fill: missing, but there is a read; have both, or neither for a store that is never behind")
	wrong(c.Read == nil && c.Fill != nil, "read: missing, but there is a fill; have both, or neither for a store that is never behind")
	wrong(c.FlushInterval <= 0, "flush interval: %v is not above 0", c.FlushInterval)
	wrong(c.PendingLists < 1, "pending lists: %d is not above 0", c.PendingLists)
	wrong(c.RefillGrace < 0, "refill grace: %v is below 0", c.RefillGrace)
	wrong(c.RefillMin < 0, "refill min: %v is below 0", c.RefillMin)
	wrong(c.Now == nil, "now: missing")
	wrong(c.Logger == nil, "logger: missing")
	return errors.Join(errs...)
}

// Identity is what the commits of the rankings topic belong to: give it to its Subscriber.
func (c LeaderboardConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation, Settings: boardsFingerprint(c.Boards, c.Shards)}
}

// Leaderboard is the handler that merges the shards' lists, and writes them to a store. While the store is
// away, it keeps the newest state of what is to be written, up to PendingLists; no other handler waits for it. A Leaderboard is safe for
// concurrent use: partitions go side by side.
type Leaderboard struct {
	config  LeaderboardConfig
	tel     *instruments
	breaker breaker
	parts   claims[*part]
	refills atomic.Int64
	filling chan struct{} // holds one for each refill that runs
}

// fillingMax is how many partitions are filled in at a time: each holds a merge of its own.
const fillingMax = 2

// NewLeaderboard returns a Leaderboard.
func NewLeaderboard(c LeaderboardConfig) (*Leaderboard, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Name = cmp.Or(c.Name, "leaderboard")
	tel, err := c.Telemetry.newInstruments(c.Name, "")
	if err != nil {
		return nil, err
	}
	return &Leaderboard{config: c, tel: tel, breaker: newBreaker(c.Name, c.Logger), filling: make(chan struct{}, fillingMax)}, nil
}

// AddTo adds the handler to a router by its name: it reads the rankings topic by a microbatch.Subscriber.
func (l *Leaderboard) AddTo(router *message.Router, rankingsTopic string, rankings message.Subscriber) *message.Handler {
	return router.AddConsumerHandler(l.config.Name, rankingsTopic, rankings, l.Handle)
}

// Handle takes a message's rankings in, and has what they change written when that is due. Messages must come from a
// microbatch.Subscriber. It doesn't wait for the store, unless too many lists are pending; only what is written is committed.
//
// An error means that the same message must come again: nothing is lost by that.
func (l *Leaderboard) Handle(msg *message.Message) error { return handleOf(&l.parts, msg, l.newPart) }

// part is what Leaderboard keeps of one claim.
type part struct {
	hop
	board     *Leaderboard
	merge     *operators.Merge
	writer    ListWriter
	refilling bool
}

func (l *Leaderboard) newPart(claim *microbatch.Claim) (*part, error) {
	c := &l.config
	if claim.Partitions != c.Lanes {
		return nil, fmt.Errorf("topic %s has %d partitions, but the settings say %d; set it back, or run a new generation", claim.Topic, claim.Partitions, c.Lanes)
	}
	p := &part{board: l}
	p.tel = l.tel
	from, err := p.begins(claim, 1, c.Logger, c.Now)
	if err != nil {
		return nil, err
	}
	through := int64(-1)
	if claim.Start.Resumed {
		through = from.PublishedThrough
	}
	p.merge, p.writer = operators.NewMerge(c.Boards, c.Shards, from), c.Open(int(claim.Partition), through)
	p.hop.take, p.hop.replaying = p.take, p.merge.Replaying
	p.init(p, c.Name+": lists", "store", 1, flushing{c.FlushInterval, c.PendingLists, c.PendingLists}, c.Now)
	return p, nil
}

func (p *part) take(r *microbatch.Record) error {
	rankings, err := p.board.decode(r.Offset, r.Value, int(p.claim.Partition))
	if err != nil {
		return err
	}
	return p.merge.Take(r.Offset, &rankings)
}

// decode makes rankings of a record of a partition.
func (l *Leaderboard) decode(offset int64, value []byte, partition int) (event.Rankings, error) {
	by, to, rankings, err := wire.DecodeRankings(value)
	if err != nil {
		return rankings, fmt.Errorf("%w: offset %d: %w", errForeign, offset, err)
	}
	c := &l.config
	wanted := wire.Sender{Source: c.Source, Generation: c.Generation, SourcePartitions: c.Shards, ShardPartitions: c.Lanes}
	if err := spoken(by, wanted, to, partition); err != nil {
		return rankings, fmt.Errorf("offset %d: %w", offset, err)
	}
	return rankings, nil
}

// What a stage asks of a part.

func (p *part) pending() (lists int, urgent bool) { return p.merge.Pending(), false }

// begin gives the lists that have changed to the store; also where there are none, for the writer to see whether all is there still.
func (p *part) begin(give func(lane, entries int, send func(context.Context) error)) {
	p.merge.Flush(func(lists []event.Ranking) {
		p.gives(0)
		asOf, watermark := p.at, p.merge.ClosedThrough()
		give(0, len(lists), func(ctx context.Context) error { return p.write(ctx, asOf, watermark, lists) })
	})
}

func (p *part) acked(int) {
	p.lands(0, true)
	p.merge.Acked()
}

func (p *part) failed(int) {
	p.lands(0, false)
	p.merge.Failed()
}

func (p *part) commit() { p.committed(p.merge.Commit()) }

func (p *part) write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) error {
	behind, err := p.board.write(ctx, p.writer, asOf, watermark, lists)
	if behind && p.board.config.Fill != nil {
		p.refill()
	}
	return err
}

// write writes lists to the store, unless the circuit breaker is open. Where there are none, the writer is called all the same.
func (l *Leaderboard) write(ctx context.Context, to ListWriter, asOf, watermark int64, lists []event.Ranking) (behind bool, err error) {
	err = l.breaker.do(func() (err error) {
		behind, err = to.Write(ctx, asOf, watermark, lists)
		return err
	})
	if err != nil {
		return behind, fmt.Errorf("%d lists: %w", len(lists), err)
	}
	return behind, nil
}

// PartStatus is how far a partition of the rankings topic is.
type PartStatus struct {
	HopStatus
	Refilling bool // what the store has lost is being filled in
}

// Status returns how far each partition is that this process owns, in their order; and how the store's circuit breaker stands: closed (it
// writes), half-open or open.
func (l *Leaderboard) Status() (list []PartStatus, breaker string) {
	for _, p := range l.parts.all() {
		p.mu.Lock()
		status := PartStatus{HopStatus: p.status(), Refilling: p.refilling}
		status.ClosedThrough, status.AfterFinal = p.merge.ClosedThrough(), p.merge.AfterFinal()
		p.mu.Unlock()
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b PartStatus) int { return compareHops(a.HopStatus, b.HopStatus) })
	return list, l.breaker.state()
}

// Refills returns how often a partition's lists were filled in anew, since the start of the process.
func (l *Leaderboard) Refills() int64 { return l.refills.Load() }
