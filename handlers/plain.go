package handlers

import (
	"bytes"
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

// frame makes a frame of a plain message. Records that were deduplicated, and could not be counted then,
// go first: both halves see every record.
func (f *fold) frame(msg *message.Message) []byte {
	n := len(f.ahead)
	if n > 0 && bytes.Equal(f.ahead[n-1].Value, msg.Payload) {
		return microbatch.Encode(f.ahead...) // it comes again
	}
	f.mu.Lock()
	offset := f.at + 1 + int64(n)
	f.mu.Unlock()
	r := microbatch.Record{Offset: offset, Time: f.intake.config.Now().UnixMilli(), Value: bytes.Clone(msg.Payload)}
	if len(msg.Payload) == 0 {
		r.Value = nil
	}
	for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
		r.Headers = append(r.Headers, microbatch.Header{Name: []byte(name), Value: []byte(msg.Metadata[name])})
	}
	f.ahead = append(f.ahead, r)
	return microbatch.Encode(f.ahead...)
}

func (p *plainFold) run() {
	defer close(p.done)
	ticker := time.NewTicker(p.intake.config.FlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.mu.Lock()
			if p.broken == nil {
				p.idle.Quiet(p.intake.clock(), 0)
				p.flush(p.intake.config.Now())
			}
			p.mu.Unlock()
		case <-p.stopped:
			return
		}
	}
}

func (p *plainFold) stop() {
	close(p.stopped)
	<-p.done
}
