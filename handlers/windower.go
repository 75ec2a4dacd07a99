package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/deadletters"
)

// turn is a batch on its way through both handlers.
type turn struct {
	*fold
	number int64 // of the batch
	origin cargo // where what it changes comes from
}

// counted is what came of a batch.
type counted struct {
	letters []deadletters.Letter
	through int64 // the last record's offset
	leaving bool  // it is the last of its claim
}

// Window is the second handler of the chain: it counts a message's records in their cells,
// publishes what has changed as updates, when that is due, and what is malformed, from the future or late as dead letters. It
// takes its messages from Deduplicate, through the link.
//
// It returns when the dead letters are safe. Updates it doesn't wait for, unless too many cells are pending; they are
// published by and by, and only what has arrived is committed.
func (in *Intake) Window(msg *message.Message) error {
	t, ok := msg.Context().Value(foldKey{}).(turn)
	if !ok {
		return errors.New("windower: this message doesn't come from the deduplicate handler, through the Intake's link")
	}
	c, err := t.count()
	if err != nil {
		return err
	}
	if err := t.sendLetters(msg.Context(), c); err != nil {
		return err
	}
	if err := t.flushIfDue(msg.Context()); err != nil {
		return err
	}
	if c.leaving {
		t.drain(msg.Context())
	}
	t.handled()
	return nil
}

// handled notes that all is done for the batch. Plain messages among it need no longer be remembered.
func (t turn) handled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.number == t.turn {
		t.ahead = t.ahead[:0]
	}
}

// errGivenUp is the error of a batch that comes to the windower after deduplicate has given it up, as it does
// when the message's context ends (by a middleware's timeout). It comes again, or is on its way again.
var errGivenUp = errors.New("windower: the message was given up in the meantime")

// count counts the batch.
func (t turn) count() (counted, error) {
	f := t.fold
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return counted{}, f.broken
	}
	if t.number != f.turn {
		return counted{}, errGivenUp
	}
	defer func() { f.guard(recover()) }()
	var dead []operators.Outcome
	var decided [event.Decisions]int64
	var conflicts int64
	before := f.at // what is at or before this comes again, though a dead letter's outcome says what it was
	for i := range f.batch.records {
		out := f.part.Count(&f.batch.records[i])
		if out.Offset <= before {
			decided[event.Repeated]++
		} else {
			decided[out.Decision]++
		}
		if out.Conflict {
			conflicts++
		}
		if out.Decision.DeadLetter() {
			dead = append(dead, out)
		}
	}
	f.note(decided, conflicts)
	if decided[event.Counted]+decided[event.Duplicate] > 0 {
		f.freight.fresh.add(t.origin)
	}
	f.judge(decided)
	c := counted{through: f.at, leaving: f.batch.head.Leaving}
	if len(dead) == 0 {
		return c, nil
	}
	f.unsafe = true
	var err error
	c.letters, err = f.letters(dead)
	return c, err
}

// note keeps count, and notes whether the partition is quiet.
func (f *fold) note(decided [event.Decisions]int64, conflicts int64) {
	in, head := f.intake, &f.batch.head
	for d, n := range decided {
		if n > 0 {
			in.decided[d].Add(n)
		}
	}
	if conflicts > 0 {
		in.conflicts.Add(conflicts)
	}
	if head.LogEnd >= 0 {
		f.logEnd = head.LogEnd
	}
	if n := len(f.batch.records); n > 0 {
		f.at = max(f.at, f.batch.records[n-1].Offset)
		f.behind = f.at+1 < head.LogEnd
	}
	switch {
	case head.Count > 0 || head.Unsure:
		f.idle.Active(in.clock())
	case head.Quiet:
		f.behind = false // what is left in the log are marks of transactions
		f.idle.Quiet(in.clock(), head.LogEnd)
	}
	if f.replay == nil {
		return
	}
	f.replay.records += decided[event.Replayed]
	if !f.part.Replaying() {
		took := in.config.Now().Sub(f.replay.began)
		f.logger.Info("replayed", watermill.LogFields{
			"from": f.replay.from, "through": f.replay.through, "records": f.replay.records, "took": took.String(),
			"records_per_second": int64(float64(f.replay.records) / max(took.Seconds(), 1e-6)),
		})
		f.replay = nil
	}
}

// letters makes dead letters of outcomes, which are in the order of offsets.
func (f *fold) letters(dead []operators.Outcome) ([]deadletters.Letter, error) {
	records, err := microbatch.Open(f.batch.payload)
	if err != nil {
		return nil, err
	}
	letters := make([]deadletters.Letter, 0, len(dead))
	var raw microbatch.Record
	for i := 0; len(letters) < len(dead) && records.Next(&raw); i++ {
		out := dead[len(letters)]
		if raw.Offset == out.Offset {
			letters = append(letters, f.letter(&raw, &f.batch.records[i], out))
		}
	}
	return letters, records.Err()
}

func (f *fold) letter(raw *microbatch.Record, r *operators.Record, out operators.Outcome) deadletters.Letter {
	l := deadletters.Letter{
		Reason: out.Decision, Topic: f.topic, Partition: int32(f.source), Offset: out.Offset,
		Timestamp: raw.Time, Key: raw.Key, Generation: f.intake.config.Generation,
		Value:     bytes.Clone(raw.Value), // publishers may keep it, and the batch's memory may be used again
		EventTime: event.NoTime, Watermark: out.Watermark, Pane: event.NoTime,
	}
	for _, h := range raw.Headers {
		l.Headers = append(l.Headers, deadletters.Header{Key: string(h.Name), Value: h.Value})
	}
	switch out.Decision {
	case event.Malformed:
		l.Error = f.batch.whatIsWrong(out.Offset)
	case event.Future:
		l.EventTime = eventTime(r)
		l.Error = fmt.Sprintf("its time is %d ms ahead of the Kafka record's, and at most %d ms are accepted", l.EventTime-raw.Time, f.intake.config.Settings.MaxAhead.Milliseconds())
	case event.Late:
		l.EventTime, l.Pane, l.Lateness = r.Event.Time, out.Pane, out.Lateness
		l.Error = fmt.Sprintf("it came %d ms after the end of its pane in watermark time, and at most %d ms are accepted", out.Lateness, f.intake.config.Settings.AllowedLateness.Milliseconds())
	}
	return l
}

func eventTime(r *operators.Record) int64 {
	if r.Kind == operators.KindPunctuation {
		return r.Advance
	}
	return r.Event.Time
}

func (b *batch) whatIsWrong(offset int64) string {
	i, ok := slices.BinarySearchFunc(b.wrong, offset, func(w wrong, offset int64) int { return int(w.offset - offset) })
	if !ok {
		return "its time is out of range"
	}
	return b.wrong[i].err
}

// sendLetters publishes the batch's dead letters, and notes that they are safe.
func (f *fold) sendLetters(ctx context.Context, c counted) error {
	if len(c.letters) == 0 {
		return nil
	}
	messages := make([]*message.Message, len(c.letters))
	for i := range c.letters {
		messages[i] = c.letters[i].Message()
	}
	sent := make(chan error, 1)
	go func() {
		sent <- recovered(func() error {
			return f.tel.publish(ctx, f.intake.config.DeadLetters, f.intake.config.DeadLettersTopic, messages)
		})
	}()
	select {
	case err := <-sent:
		if err != nil {
			return fmt.Errorf("%d dead letters: %w", len(messages), err)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.tel.lettersSent(ctx, c.letters)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.part.LettersAcked(c.through)
	f.unsafe = false
	f.commit()
	return nil
}

func sortStatus(list []PartitionStatus) {
	slices.SortFunc(list, func(a, b PartitionStatus) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return a.Partition - b.Partition
	})
}
