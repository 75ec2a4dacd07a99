package handlers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// batch is the records of one message, decoded. Its memory is used again for the next one.
type batch struct {
	decoder event.Decoder
	payload []byte
	head    microbatch.Batch
	records []operators.Record
	wrong   []wrong // what can't be read, in order
}

// wrong is why a record can't be read.
type wrong struct {
	offset int64
	err    string
}

// warmChunk is how many records are warmed, then folded, at a time.
const warmChunk = 64

// Deduplicate is the first handler of the chain: it decodes a message's records, finds
// those that can't be read, are from the future, or came before, and passes the message on to Window. It returns
// when Window has taken it in. Add it to a router with AddTo, or AddConsumerHandler.
//
// An error means that the same message must come again: nothing is lost by that, and nothing counted twice.
func (in *Intake) Deduplicate(msg *message.Message) error {
	f, err := in.foldOf(msg.Context())
	if err != nil {
		return err
	}
	return f.process(msg, func(ctx context.Context) error { return f.pass(ctx, msg) })
}

// pass passes a message on, within the span of ctx.
func (f *fold) pass(ctx context.Context, msg *message.Message) error {
	receipt := f.intake.config.Now()
	if err := f.unacknowledged(msg); err != nil {
		return err
	}
	f.chain.Lock()
	defer f.chain.Unlock()
	payload := []byte(msg.Payload)
	if err := f.paused(payload); err != nil {
		return err
	}
	if f.claim == nil {
		payload = f.frame(msg)
	}
	turn, err := f.deduplicate(payload)
	if err != nil {
		return err
	}
	turn.origin = f.origin(ctx, receipt)
	next := message.NewMessageWithContext(context.WithValue(ctx, foldKey{}, turn), msg.UUID, payload)
	next.Metadata = maps.Clone(msg.Metadata) // middleware of both handlers may write into it
	if err := f.intake.link.Publish(Deduplicated, next); err != nil {
		return fmt.Errorf("windower: %w", err)
	}
	return nil
}

func (f *fold) deduplicate(payload []byte) (turn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return turn{}, f.broken
	}
	f.turn++
	if err := f.batch.read(payload); err != nil {
		return turn{}, err
	}
	if f.skipped() {
		f.giveUp(errSkipped)
		return turn{}, f.broken
	}
	defer func() { f.guard(recover()) }()
	for rest := f.batch.records; len(rest) > 0; {
		chunk := rest[:min(warmChunk, len(rest))]
		rest = rest[len(chunk):]
		f.part.Warm(chunk)
		for i := range chunk {
			f.part.Deduplicate(&chunk[i])
		}
	}
	if n := len(f.batch.records); n > 0 {
		f.seen = max(f.seen, f.batch.records[n-1].Offset)
	}
	return turn{fold: f, number: f.turn}, nil
}

var errSkipped = errors.New("a batch was acknowledged that the handlers had refused, which would lose its dead letters, or what it counts: " +
	"have no middleware swallow errors (PoisonQueue, IgnoreErrors)")

// skipped reports whether this batch comes after one that is not done with, and that must have been
// acknowledged all the same. Plain messages that were refused come with the next one (frame).
func (f *fold) skipped() bool {
	return f.claim != nil && len(f.batch.records) > 0 && f.batch.records[0].Offset > f.seen && (f.seen > f.at || f.unsafe)
}

// read decodes a frame's records.
func (b *batch) read(payload []byte) error {
	var err error
	if b.head, err = microbatch.Open(payload); err != nil {
		return err
	}
	b.payload = payload
	b.wrong = b.wrong[:0]
	if cap(b.records) < b.head.Count {
		b.records = append(b.records[:cap(b.records)], make([]operators.Record, b.head.Count-cap(b.records))...)
	}
	b.records = b.records[:b.head.Count]
	var raw microbatch.Record
	for i := range b.records {
		if !b.head.Next(&raw) {
			b.records = b.records[:0]
			return b.head.Err()
		}
		r := &b.records[i]
		r.Offset, r.Time, r.Kind = raw.Offset, raw.Time, operators.KindEvent
		text, ok := b.decode(&raw, r)
		if ok && raw.Time == microbatch.NoTimestamp {
			text, ok = noTimestamp, false
		}
		if !ok {
			r.Kind = operators.KindMalformed
			b.wrong = append(b.wrong, wrong{raw.Offset, text})
		}
	}
	return nil
}

const noTimestamp = "the Kafka record has no timestamp; set message.timestamp.type=LogAppendTime on the topic, or have the producer set one"

// decode reads one record, or says what is wrong with it. A decoder's panic makes it a dead letter, where the partition
// would else stand still for ever; so does that of its error.
func (b *batch) decode(raw *microbatch.Record, r *operators.Record) (wrong string, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			wrong, ok = fmt.Sprintf("the decoder panicked: %v", p), false
		}
	}()
	var err error
	if advance, found := advanceOf(raw); found {
		r.Kind = operators.KindPunctuation
		r.Advance, err = parseAdvance(advance)
	} else {
		err = b.decoder.Decode(raw.Value, &r.Event)
	}
	if err != nil {
		return err.Error(), false
	}
	return "", true
}

// advanceOf returns the header of a punctuation.
func advanceOf(raw *microbatch.Record) (advance string, found bool) {
	if raw.Value != nil {
		return "", false
	}
	for _, h := range raw.Headers {
		if string(h.Name) == AdvanceWatermark {
			return string(h.Value), true
		}
	}
	return "", false
}

// parseAdvance reads the time of a punctuation.
func parseAdvance(text string) (int64, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("header %s: %q is neither RFC 3339 nor Unix milliseconds", AdvanceWatermark, text)
	}
	return t.UnixMilli(), nil
}
