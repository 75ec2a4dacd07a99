package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// hop is a stage that a topic of ours feeds: all but the intake's. Each record of its claim is a message of another
// stage, which it takes in as it comes. What was taken is ignored when it comes again.
type hop struct {
	stage
	// take takes a record in, which is lent. The error is errForeign where the record is none of ours; any other one means that going
	// on would give wrong results.
	take func(r *microbatch.Record) error
	// replaying reports whether records are still taken in silence.
	replaying func() bool

	at      int64 // last offset taken
	logEnd  int64
	foreign int64     // records that are none of ours
	said    time.Time // when it was last said that there are some
	replay  *replay   // while it replays
	told    []told    // by lane
	durable operators.Resume
}

// told is what a lane has been told.
type told struct {
	busy           bool  // it has been given a flush, and has not answered
	given, arrived int64 // the offsets that the flush given last is as of, and the one acknowledged last
}

// errForeign says that a record is not a message of ours.
var errForeign = errors.New("not a message of Millrank's")

// begins sets the hop up for a claim, and returns where its machine begins.
func (h *hop) begins(claim *microbatch.Claim, lanes int, logger watermill.LoggerAdapter, now func() time.Time) (operators.Resume, error) {
	from := operators.ResumeAt(claim.Start.Offset)
	if claim.Start.Resumed {
		var err error
		if from, err = parseResume(claim.Start.Offset, claim.Start.State); err != nil {
			return from, fmt.Errorf("topic %s partition %d: %w; run a new generation", claim.Topic, claim.Partition, err)
		}
	}
	h.claim, h.logEnd, h.durable = claim, claim.Start.LogEnd, from
	h.at, h.told = from.LowWater-1, make([]told, lanes)
	for i := range h.told {
		h.told[i].arrived = max(from.PublishedThrough, h.at)
	}
	h.logger = logger.With(watermill.LogFields{"topic": claim.Topic, "partition": claim.Partition})
	if from.PublishedThrough >= from.LowWater {
		h.replay = &replay{began: now(), from: from.LowWater, through: from.PublishedThrough}
		h.logger.Info("replaying: kept windows are built up again; nothing is published before that is done", watermill.LogFields{
			"from": from.LowWater, "through": from.PublishedThrough, "records_max": from.PublishedThrough - from.LowWater + 1, "log_end": claim.Start.LogEnd,
		})
	}
	return from, nil
}

// handle takes a message's records in, and flushes when that is due.
func (h *hop) handle(msg *message.Message) error {
	return h.tel.processClaimed(msg, h.claim, func(context.Context) error { return h.takeIn(msg) })
}

func (h *hop) takeIn(msg *message.Message) error {
	if err := h.unacknowledged(msg); err != nil {
		return err
	}
	batch, err := microbatch.Open(msg.Payload)
	if err != nil {
		return err
	}
	if err := h.takeAll(&batch); err != nil {
		return err
	}
	if err := h.flushIfDue(msg.Context()); err != nil {
		return err
	}
	if batch.Leaving {
		h.drain(msg.Context())
	}
	return nil
}

func (h *hop) takeAll(batch *microbatch.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return h.broken
	}
	defer func() { h.guard(recover()) }()
	var r microbatch.Record
	for batch.Next(&r) {
		if r.Offset <= h.at {
			continue
		}
		switch err := h.take(&r); {
		case errors.Is(err, errForeign):
			h.noteForeign(err)
		case err != nil:
			err = fmt.Errorf("topic %s partition %d: %w", h.claim.Topic, h.claim.Partition, err)
			h.claim.Refuse(err)
			h.broken = err
			return err
		}
		h.at = r.Offset
		if h.replay == nil && len(r.Headers) > 0 {
			h.freight.takes(&r)
		}
	}
	if batch.LogEnd >= 0 {
		h.logEnd = batch.LogEnd
	}
	h.noteReplay(batch.Count)
	return batch.Err()
}

// foreignEvery is how often foreign records are logged.
const foreignEvery = time.Minute

func (h *hop) noteForeign(err error) {
	h.foreign++
	if now := h.now(); now.Sub(h.said) >= foreignEvery {
		h.said = now
		h.logger.Error("records that Millrank has not written are left out: nothing else may write into this topic", err, watermill.LogFields{"records": h.foreign})
	}
}

func (h *hop) noteReplay(records int) {
	if h.replay == nil {
		return
	}
	h.replay.records += int64(records)
	if !h.replaying() {
		took := h.now().Sub(h.replay.began)
		h.logger.Info("replayed", watermill.LogFields{"from": h.replay.from, "through": h.replay.through, "records": h.replay.records, "took": took.String()})
		h.replay = nil
	}
}

// news reports whether there is anything to flush: something to send, or a later offset for a lane that is free.
func (h *hop) news() bool {
	pending, _ := h.machine.pending()
	return pending > h.lanes.flying || slices.ContainsFunc(h.told, func(t told) bool { return !t.busy && t.arrived < h.at })
}

// gives notes that a lane is given a flush as of the last offset taken; lands, what became of it.
func (h *hop) gives(lane int) { h.told[lane].busy, h.told[lane].given = true, h.at }

func (h *hop) lands(lane int, arrived bool) {
	t := &h.told[lane]
	if t.busy = false; arrived {
		t.arrived = t.given
	}
}

// committed hands on what may be committed.
func (h *hop) committed(c operators.Resume, ok bool) {
	if !ok {
		return
	}
	h.durable = c
	if err := h.claim.Commit(c.LowWater, resumeState(c)); err != nil {
		h.logger.Error("commit", err, nil)
	}
}

// spoken checks who speaks in a message: Partition may be any, all else must be as the settings have it.
func spoken(by, want wire.Sender, to, partition int) error {
	want.Partition = by.Partition
	if by != want || to != partition {
		return fmt.Errorf("a message of source %q generation %d, from partition %d of %d to partition %d of %d, but the settings have source %q generation %d, %d partitions, and this is %d of %d: "+
			"the settings have changed, or another run writes into this topic; start a new generation",
			by.Source, by.Generation, by.Partition, by.SourcePartitions, to, by.ShardPartitions,
			want.Source, want.Generation, want.SourcePartitions, partition, want.ShardPartitions)
	}
	return nil
}

// resumeState writes a checkpoint as the state of a commit: all but its low-water, which is the committed offset.
func resumeState(c operators.Resume) string {
	return fmt.Sprintf("published-through:%d,closed-through:%d,dropped-through:%d", c.PublishedThrough, c.ClosedThrough, c.DroppedThrough)
}

// parseResume reads what resumeState wrote.
func parseResume(lowWater int64, state string) (operators.Resume, error) {
	c := operators.Resume{LowWater: lowWater}
	_, err := fmt.Sscanf(strings.ReplaceAll(state, ",", " "), "published-through:%d closed-through:%d dropped-through:%d", &c.PublishedThrough, &c.ClosedThrough, &c.DroppedThrough)
	switch {
	case err != nil:
		return c, fmt.Errorf("state %q of the committed offset: %w", state, err)
	case resumeState(c) != state: // the numbers are there, but not only they
		return c, fmt.Errorf("state %q of the committed offset: not as it is written", state)
	case c.LowWater < 0 || c.PublishedThrough < c.LowWater-1 || c.DroppedThrough > c.ClosedThrough:
		return c, fmt.Errorf("state %q can't go with the committed offset %d", state, lowWater)
	}
	return c, nil
}

// HopStatus is how far a partition of the updates or the rankings topic is.
type HopStatus struct {
	Topic            string
	Partition        int
	Offset           int64 // of the last record taken
	LogEnd           int64 // or -1 where it isn't known
	LowWater         int64 // to be committed, with PublishedThrough
	PublishedThrough int64
	ClosedThrough    int64 // the closing watermark, Unix milliseconds, or event.NoTime
	Replaying        bool
	ReplayThrough    int64 // of a replay: the offset at which it is done
	PendingLists     int   // to be published, or acknowledged
	Foreign          int64 // records that nobody of ours has written
	AfterFinal       int64 // cells or lists that came for a window that had been dropped
}

// status is what is the same in both. mu is held.
func (h *hop) status() HopStatus {
	pending, _ := h.machine.pending()
	s := HopStatus{
		Topic: h.claim.Topic, Partition: int(h.claim.Partition), Offset: h.at, LogEnd: h.logEnd,
		LowWater: h.durable.LowWater, PublishedThrough: h.durable.PublishedThrough, Replaying: h.replay != nil,
		PendingLists: pending, Foreign: h.foreign,
	}
	if h.replay != nil {
		s.ReplayThrough = h.replay.through
	}
	return s
}
