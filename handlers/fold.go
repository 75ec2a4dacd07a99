package handlers

import (
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/watermark"
	"github.com/millrank/millrank/wire"
)

// fold is what the handlers keep of one claim of a source partition.
type fold struct {
	stage       // its mu guards also what comes after batch
	intake      *Intake
	topic       string
	source      int
	incarnation uint64

	// chain is held while a message goes through both handlers, so that batches stay in order.
	chain sync.Mutex
	batch batch // in the chain

	turn      int64 // of the batch in the chain; each time that it comes is another one
	part      *operators.Partition
	idle      watermark.Idle
	encoder   *wire.Encoder
	cellsMax  int     // bytes of cells in an update
	replay    *replay // while it replays
	committed operators.Checkpoint
	seen      int64 // last offset deduplicated
	at        int64 // last offset counted
	unsafe    bool  // dead letters at or before that are not published yet
	logEnd    int64
	behind    bool    // when the last batch was read, there were more records in the log
	ahead     []ahead // plain messages in the chain
	pause     pause
}

// replay is what is logged of a replay.
type replay struct {
	began   time.Time
	from    int64
	through int64
	records int64
}

func newFold(in *Intake, claim *microbatch.Claim) (*fold, error) {
	from := operators.CheckpointAt(claim.Start.Offset)
	if claim.Start.Resumed {
		var err error
		if from, err = parseCheckpoint(claim.Start.Offset, claim.Start.State); err != nil {
			return nil, fmt.Errorf("topic %s partition %d: %w; run a new generation", claim.Topic, claim.Partition, err)
		}
	}
	f, err := in.newFold(claim.Topic, int(claim.Partition), claim.Partitions, claim.Incarnation, from)
	if err != nil {
		return nil, err
	}
	f.claim, f.logEnd = claim, claim.Start.LogEnd
	if f.part.Replaying() {
		f.replay = &replay{began: in.config.Now(), from: from.LowWater, through: from.ProcessedThrough}
		f.logger.Info("replaying: open panes and the seen event IDs are built up again; nothing is published before that is done", watermill.LogFields{
			"from": from.LowWater, "count_from": from.CountFrom, "through": from.ProcessedThrough,
			"records_max": from.ProcessedThrough - from.LowWater + 1, "log_end": claim.Start.LogEnd,
		})
	}
	return f, nil
}

func (in *Intake) newFold(topic string, source, sources int, incarnation uint64, from operators.Checkpoint) (*fold, error) {
	sender := wire.Sender{
		Source: in.config.Source, Generation: in.config.Generation,
		Partition: source, SourcePartitions: sources, ShardPartitions: in.config.Shards,
	}
	encoder, err := wire.NewEncoder(sender)
	if err != nil {
		return nil, err
	}
	f := &fold{
		intake: in, topic: topic, source: source, incarnation: incarnation,
		batch:     batch{decoder: in.config.Codec.New()},
		part:      operators.NewPartition(in.config.Settings, in.config.Shards, from),
		idle:      watermark.NewIdle(in.config.IdleTimeout.Milliseconds(), in.clock()),
		encoder:   encoder,
		cellsMax:  in.config.UpdateBytesMax - sender.HeadSize(),
		committed: from, seen: from.LowWater - 1, at: from.LowWater - 1, logEnd: -1,
	}
	f.logger = in.config.Logger.With(watermill.LogFields{"topic": topic, "partition": source})
	f.tel = in.tel
	f.init(f, "updates", "shard", in.config.Shards, flushing{in.config.FlushInterval, in.config.FlushCells, in.config.PendingCells}, in.config.Now)
	return f, nil
}

// commit hands on what may be committed. mu is held.
func (f *fold) commit() {
	c, ok := f.part.Commit()
	if !ok {
		return
	}
	f.committed = c
	if f.claim == nil {
		return
	}
	if err := f.claim.Commit(c.LowWater, checkpointState(c)); err != nil {
		f.logger.Error("commit", err, nil)
	}
}

// PartitionStatus is how far a source partition is.
type PartitionStatus struct {
	Topic            string
	Partition        int
	Offset           int64 // of the last record counted
	LogEnd           int64 // or -1 where it isn't known
	Watermark        int64 // Unix milliseconds, or event.NoTime
	LowWater         int64 // to be committed, with ProcessedThrough
	ProcessedThrough int64
	Replaying        bool
	ReplayThrough    int64 // of a replay: the offset at which it is done
	PendingCells     int
	PausedUntil      time.Time // reading pauses, since too many records were bad (DeadLetterShare); zero: it doesn't
	Idle             bool
	IdleFor          time.Duration
	OpenPanes        int
	LiveIDs          int // sightings of event IDs that are remembered
}

// Status returns how far each partition is that this process owns.
func (in *Intake) Status() []PartitionStatus {
	folds := in.folds.all()
	in.mu.Lock()
	if in.plain != nil {
		folds = append(folds, in.plain.fold)
	}
	in.mu.Unlock()
	list := make([]PartitionStatus, 0, len(folds))
	for _, f := range folds {
		list = append(list, f.status())
	}
	sortStatus(list)
	return list
}

func (f *fold) status() PartitionStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := PartitionStatus{
		Topic: f.topic, Partition: f.source, Offset: f.at, LogEnd: f.logEnd,
		Watermark: f.part.Watermark(), LowWater: f.committed.LowWater, ProcessedThrough: f.committed.ProcessedThrough,
		Replaying: f.replay != nil,
	}
	if f.intake.config.Now().Before(f.pause.until) {
		s.PausedUntil = f.pause.until
	}
	if f.replay != nil {
		s.ReplayThrough = f.replay.through
	}
	s.PendingCells, _ = f.pending()
	s.OpenPanes, s.LiveIDs = f.part.Held()
	quiet, idle := f.idle.For()
	s.Idle, s.IdleFor = idle, time.Duration(quiet)*time.Millisecond
	return s
}

// Decided returns how many records had each decision, and how many duplicates differed from
// the record that they repeat, since the start of the process. Replayed ones are counted as such.
func (in *Intake) Decided() (decisions [event.Decisions]int64, conflicts int64) {
	for i := range decisions {
		decisions[i] = in.decided[i].Load()
	}
	return decisions, in.conflicts.Load()
}
