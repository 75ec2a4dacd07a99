package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// RankConfig holds a Rank's settings. Start from DefaultRankConfig.
type RankConfig struct {
	Boards operators.Boards

	Source     string // name of the stream, as in IntakeConfig
	Generation uint32
	Sources    int // partitions of the events topic
	Shards     int // partitions of the updates topic
	Lanes      int // partitions of the rankings topic

	Rankings         message.Publisher // of microbatch, or any that puts the metadata "kafka.partition" to use
	RankingsTopic    string
	RankingsBytesMax int // at most so many bytes in a message of rankings: below the broker's max.message.bytes

	FlushInterval time.Duration // how often lists that have changed are published (rank_flush)
	PendingLists  int           // when so many lists wait for an acknowledgement, reading stops until there are fewer

	Now    func() time.Time
	Logger watermill.LoggerAdapter

	Telemetry Telemetry
}

// DefaultRankConfig returns the defaults; boards, source, numbers of partitions, topic and publisher are still due.
func DefaultRankConfig() RankConfig {
	return RankConfig{
		RankingsBytesMax: 900_000,
		FlushInterval:    250 * time.Millisecond,
		PendingLists:     20_000,
		Now:              time.Now,
		Logger:           watermill.NopLogger{},
	}
}

// Validate reports all that is wrong, at once.
func (c RankConfig) Validate() error {
	errs := []error{c.Boards.Validate()}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Source == "", "source: missing")
	wrong(len(c.Source) > sourceBytesMax || !utf8.ValidString(c.Source), "source: %.100q is not UTF-8 of at most %d bytes", c.Source, sourceBytesMax)
	wrong(c.Sources < 1 || c.Sources > 1<<16, "sources: %d is not 1 to 65536", c.Sources)
	wrong(c.Shards < 1 || c.Shards > 1<<15, "shards: %d is not 1 to 32768", c.Shards)
	wrong(c.Lanes < 1 || c.Lanes > 1<<15, "lanes: %d is not 1 to 32768", c.Lanes)
	wrong(c.Rankings == nil || c.RankingsTopic == "", "rankings: publisher or topic missing")
	wrong(c.RankingsBytesMax < 10_000, "rankings bytes: %d is below 10000", c.RankingsBytesMax)
	wrong(c.FlushInterval <= 0, "flush interval: %v is not above 0", c.FlushInterval)
	wrong(c.PendingLists < 1, "pending lists: %d is not above 0", c.PendingLists)
	wrong(c.Now == nil, "now: missing")
	wrong(c.Logger == nil, "logger: missing")
	return errors.Join(errs...)
}

// Identity is what the commits of the updates topic belong to: give it to its Subscriber.
func (c RankConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation, Settings: boardsFingerprint(c.Boards, c.Sources), Outputs: c.Lanes}
}

// boardsFingerprint is a short text that changes with every setting of boards that decides results, where there is room for all items.
func boardsFingerprint(b operators.Boards, inputs int) string {
	b.RankItems = 0
	return fmt.Sprintf("%016x", xxh3.HashString(fmt.Sprintf("%+v|%d", b, inputs)))
}

// Rank is the handler that turns updates into rankings: for each shard, a partition of the updates topic, it keeps the cells of all kept
// windows, and publishes the shard's lists to the rankings topic. A Rank is safe for concurrent use: shards go side by side.
type Rank struct {
	config RankConfig
	tel    *instruments
	shards claims[*shard]
}

// NewRank returns a Rank.
func NewRank(c RankConfig) (*Rank, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tel, err := c.Telemetry.newInstruments(rankName, c.RankingsTopic)
	if err != nil {
		return nil, err
	}
	return &Rank{config: c, tel: tel}, nil
}

// rankName is what Rank is called in a router, and in logs.
const rankName = "rank"

// AddTo adds the handler to a router as "rank": it reads the updates topic by a microbatch.Subscriber.
func (r *Rank) AddTo(router *message.Router, updatesTopic string, updates message.Subscriber) *message.Handler {
	return router.AddConsumerHandler(rankName, updatesTopic, updates, r.Handle)
}

// Handle takes a message's updates in, and publishes what they change when that is due. Messages must come from a microbatch.Subscriber.
// It doesn't wait until rankings have arrived, unless too many are pending; only what has arrived is committed.
//
// An error means that the same message must come again: nothing is lost by that.
func (r *Rank) Handle(msg *message.Message) error { return handleOf(&r.shards, msg, r.newShard) }

// shard is what Rank keeps of one claim.
type shard struct {
	hop
	config   *RankConfig
	sender   wire.Sender
	encoder  *wire.RankingsEncoder
	rank     *operators.Rank
	wanted   wire.Sender // who may speak
	caughtUp bool        // it has passed where the log's end was when the claim began
	crowded  time.Time   // when it was last said that there is no room,
	evicted  int64       // and how many had found none by then
}

func (r *Rank) newShard(claim *microbatch.Claim) (*shard, error) {
	c := &r.config
	if claim.Partitions != c.Shards {
		return nil, fmt.Errorf("topic %s has %d partitions, but the settings say %d shards; set it back, or run a new generation", claim.Topic, claim.Partitions, c.Shards)
	}
	s := &shard{config: c, wanted: wire.Sender{Source: c.Source, Generation: c.Generation, SourcePartitions: c.Sources, ShardPartitions: c.Shards}}
	s.tel = r.tel
	from, err := s.begins(claim, c.Lanes, c.Logger, c.Now)
	if err != nil {
		return nil, err
	}
	s.sender = wire.Sender{Source: c.Source, Generation: c.Generation, Partition: int(claim.Partition), SourcePartitions: c.Shards, ShardPartitions: c.Lanes}
	if s.encoder, err = wire.NewRankingsEncoder(s.sender); err != nil {
		return nil, err
	}
	s.rank = operators.NewRank(c.Boards, c.Sources, c.Lanes, from)
	s.hop.take, s.hop.replaying = s.take, s.rank.Replaying
	s.init(s, "rankings", "rankings_partition", c.Lanes, flushing{c.FlushInterval, c.PendingLists, c.PendingLists}, c.Now)
	return s, nil
}

func (s *shard) take(r *microbatch.Record) error {
	offset := r.Offset
	by, to, update, err := wire.DecodeUpdate(r.Value)
	if err != nil {
		return fmt.Errorf("%w: offset %d: %w", errForeign, offset, err)
	}
	if err := spoken(by, s.wanted, to, int(s.claim.Partition)); err != nil {
		return fmt.Errorf("offset %d: %w", offset, err)
	}
	if err := s.rank.Take(offset, &update); err != nil {
		return err
	}
	// Where there was no room, two runs let different items go. What this one's predecessor has said last, and not committed, was said as
	// of an offset up to here, so what this one has said since was not heard.
	if _, _, evicted := s.rank.Room(); evicted > 0 && !s.caughtUp && offset >= s.claim.Start.LogEnd-1 {
		s.rank.Republish()
	}
	s.caughtUp = s.caughtUp || offset >= s.claim.Start.LogEnd-1
	return nil
}

// What a stage asks of a shard.

func (s *shard) pending() (lists int, urgent bool) { return s.rank.Pending(), false }

func (s *shard) begin(give func(lane, entries int, send func(context.Context) error)) {
	if !s.news() {
		return
	}
	s.sayCrowded()
	s.rank.Flush(int(s.claim.Partition), s.claim.Incarnation, func(lane int, head event.Part, lists []event.Ranking) {
		messages, err := s.encode(lane, head, lists)
		s.gives(lane)
		give(lane, len(lists), s.publishing(s.config.Rankings, s.config.RankingsTopic, messages, err))
	})
}

func (s *shard) acked(lane int) {
	s.lands(lane, true)
	s.rank.Acked(lane)
}

func (s *shard) failed(lane int) {
	s.lands(lane, false)
	s.rank.Failed(lane)
}

func (s *shard) commit() { s.committed(s.rank.Commit()) }

// encode makes the messages of one lane's flush. A list that is too large for one goes into several, piece by piece (operators.Merge).
func (s *shard) encode(lane int, head event.Part, lists []event.Ranking) (messages []*message.Message, err error) {
	sizeMax := s.config.RankingsBytesMax - s.sender.HeadSize()
	operators.Split(head, pieces(lists, sizeMax), sizeMax, wire.RankingSize, func(part event.Part, lists []event.Ranking) {
		payload, e := s.encoder.Append(nil, lane, part, lists)
		if e != nil {
			err = e
			return
		}
		messages = append(messages, partMessage(s.claim.Topic, int(s.claim.Partition), head.AsOf, lane, part.Number, payload))
	})
	return messages, err
}

// pieces cuts lists that are larger than a message.
func pieces(lists []event.Ranking, sizeMax int) []event.Ranking {
	if !slices.ContainsFunc(lists, func(r event.Ranking) bool { return wire.RankingSize(&r) > sizeMax }) {
		return lists
	}
	var all []event.Ranking
	for _, r := range lists {
		entries := r.Entries
		for wire.RankingSize(&r) > sizeMax && len(r.Entries) > 1 {
			piece := r
			for wire.RankingSize(&piece) > sizeMax && len(piece.Entries) > 1 {
				piece.Entries = piece.Entries[:len(piece.Entries)/2]
			}
			all = append(all, piece)
			entries = entries[len(piece.Entries):]
			r.Entries = entries
		}
		all = append(all, r)
	}
	return all
}

// ShardStatus is how far a shard is, and how full.
type ShardStatus struct {
	HopStatus
	Items   int   // cells held: one per pane, group, item and source partition
	Room    int   // how many may be: limits.rank_items; 0: any number
	Evicted int64 // how many were let go for want of room, since the claim began

	HeldBackBy int // source partition that holds the closing watermark back; -1: all are idle
}

// Status returns how far each shard is that this process owns, in the order of their partitions.
func (r *Rank) Status() []ShardStatus {
	var list []ShardStatus
	for _, s := range r.shards.all() {
		s.mu.Lock()
		status := ShardStatus{HopStatus: s.status()}
		status.ClosedThrough, status.AfterFinal = s.rank.ClosedThrough(), s.rank.AfterFinal()
		status.Items, status.Room, status.Evicted = s.rank.Room()
		status.HeldBackBy = s.rank.HeldBackBy()
		s.mu.Unlock()
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b ShardStatus) int { return compareHops(a.HopStatus, b.HopStatus) })
	return list
}

func compareHops(a, b HopStatus) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return a.Partition - b.Partition
}

// crowdedEvery is how often it is said that there is no room.
const crowdedEvery = time.Minute

// sayCrowded warns when items find no room.
func (s *shard) sayCrowded() {
	held, room, evicted := s.rank.Room()
	if evicted == s.evicted || s.now().Sub(s.crowded) < crowdedEvery {
		return
	}
	s.crowded, s.evicted = s.now(), evicted
	s.logger.Error("there are more items than this shard has room for; lists that this can touch say so (exact=false, max_error)",
		errors.New("raise limits.rank_items, or spread items over more shards in a new generation"),
		watermill.LogFields{"limits.rank_items": room, "items": held, "evicted": evicted})
}
