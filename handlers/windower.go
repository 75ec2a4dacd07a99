package handlers

import (
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

func withFold(ctx context.Context, f *fold) context.Context {
	return context.WithValue(ctx, foldKey{}, f)
}

// Window is the second handler of the chain: it counts a message's records in their cells,
// publishes what has changed as updates, when that is due, and what is malformed, from the future or late as dead letters. It
// takes its messages from Deduplicate, through the link.
//
// It returns when the dead letters are safe. Updates it doesn't wait for, unless too many cells are pending; they are
// published by and by, and only what has arrived is committed.
func (in *Intake) Window(msg *message.Message) error {
	f, ok := msg.Context().Value(foldKey{}).(*fold)
	if !ok {
		return errors.New("windower: this message doesn't come from the deduplicate handler, through the Intake's link")
	}
	letters, err := f.count(msg.Payload)
	if err != nil {
		return err
	}
	if err := f.sendLetters(msg.Context(), letters); err != nil {
		return err
	}
	if err := f.flushIfDue(msg.Context()); err != nil {
		return err
	}
	if f.batch.head.Leaving {
		f.drain(msg.Context())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ahead = f.ahead[:0]
	return nil
}

// count counts the batch, and returns the dead letters.
func (f *fold) count(payload []byte) ([]deadletters.Letter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, f.broken)
	}
	defer func() { f.guard(recover()) }()
	var dead []operators.Outcome
	var decided [event.Decisions]int64
	var conflicts int64
	counted := f.at // what is at or before this comes again, though a dead letter's outcome says what it was
	for i := range f.batch.records {
		out := f.part.Count(&f.batch.records[i])
		if out.Offset <= counted {
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
	if len(dead) == 0 {
		return nil, nil
	}
	return f.letters(payload, dead)
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
	}
	switch {
	case head.Count > 0 || head.Unsure:
		f.idle.Active(in.clock())
	case head.Quiet:
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
func (f *fold) letters(payload []byte, dead []operators.Outcome) ([]deadletters.Letter, error) {
	records, err := microbatch.Open(payload)
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
		Timestamp: raw.Time, Key: raw.Key, Value: raw.Value,
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

// sendLetters publishes the batch's dead letters, and notes that all up to its last record are safe.
func (f *fold) sendLetters(ctx context.Context, letters []deadletters.Letter) error {
	if len(letters) > 0 {
		messages := make([]*message.Message, len(letters))
		for i := range letters {
			messages[i] = letters[i].Message()
		}
		sent := make(chan error, 1)
		go func() { sent <- f.intake.config.DeadLetters.Publish(f.intake.config.DeadLettersTopic, messages...) }()
		select {
		case err := <-sent:
			if err != nil {
				return fmt.Errorf("%d dead letters: %w", len(letters), err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.part.LettersAcked(f.at)
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
