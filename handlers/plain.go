package handlers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// plainFold is the fold of messages that don't come from a microbatch.Subscriber: each is one
// record of the one partition that there is. They get offsets in the order in which they come, and the time
// of their arrival as their timestamp. No message without records comes when none does, so it flushes by itself.
type plainFold struct {
	*fold
	stopped chan struct{}
	done    chan struct{}
}

func newPlainFold(in *Intake) *plainFold {
	// Offsets begin at the clock, so that whoever receives updates takes a restart's as newer.
	from := operators.CheckpointAt(in.start.UnixMicro())
	f, err := in.newFold(in.config.Source, 0, 1, uint64(from.LowWater), from)
	if err != nil {
		panic(err) // partition 0 of 1 is never wrong, and Validate saw to the rest
	}
	p := &plainFold{fold: f, stopped: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// closeTimeout bounds how long Close waits for updates to be published.
const closeTimeout = 10 * time.Second

// ahead is a plain message that has been given an offset, and has not been acknowledged.
type ahead struct {
	uuid   string
	record microbatch.Record
}

// frame makes a frame of a plain message. Those before it that were refused, and have not come again yet,
// go first: both halves of the fold see every record, and what comes again has the offset that it had.
func (f *fold) frame(msg *message.Message) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := microbatch.Record{Offset: f.at + 1, Time: f.intake.config.Now().UnixMilli(), Value: bytes.Clone(msg.Payload)}
	if len(msg.Payload) == 0 {
		r.Value = nil
	}
	for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
		r.Headers = append(r.Headers, microbatch.Header{Name: []byte(name), Value: []byte(msg.Metadata[name])})
	}
	if !slices.ContainsFunc(f.ahead, func(a ahead) bool { return a.is(msg.UUID, &r) }) {
		if n := len(f.ahead); n > 0 {
			r.Offset = f.ahead[n-1].record.Offset + 1
		}
		f.ahead = append(f.ahead, ahead{msg.UUID, r})
	}
	records := make([]microbatch.Record, len(f.ahead))
	for i := range f.ahead {
		records[i] = f.ahead[i].record
	}
	return microbatch.Encode(records...)
}

// is reports whether a message is this one, that comes again.
func (a *ahead) is(uuid string, r *microbatch.Record) bool {
	return a.uuid == uuid && bytes.Equal(a.record.Value, r.Value) &&
		(uuid != "" || slices.EqualFunc(a.record.Headers, r.Headers, func(x, y microbatch.Header) bool {
			return bytes.Equal(x.Name, y.Name) && bytes.Equal(x.Value, y.Value)
		}))
}

func (p *plainFold) run() {
	defer close(p.done)
	ticker := time.NewTicker(p.intake.config.FlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.tick()
		case <-p.stopped:
			return
		}
	}
}

// tick flushes. A panic there ends up as an error of the next message.
func (p *plainFold) tick() {
	defer func() {
		if r := recover(); r != nil {
			p.logger.Error("flush", fmt.Errorf("panic: %v", r), nil)
		}
	}()
	p.beQuiet()
	p.flushAll()
}

// beQuiet notes that nothing comes. A message that waits in the handlers, or to come again, is something.
func (p *plainFold) beQuiet() {
	free := p.chain.TryLock()
	if free {
		defer p.chain.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if free && len(p.ahead) == 0 {
		p.idle.Quiet(p.intake.clock(), 0)
	} else {
		p.idle.Active(p.intake.clock())
	}
}

// stop publishes what is left, and waits until it has arrived, for a while.
func (p *plainFold) stop() {
	close(p.stopped)
	<-p.done
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	p.drain(ctx)
}
