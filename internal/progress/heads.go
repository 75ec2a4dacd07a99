package progress

import (
	"context"
	"errors"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/logread"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/wire"
)

// head is what the newest flush of a source partition says.
type head struct {
	heard  bool
	part   event.Part
	sent   time.Time
	offset int64
}

// heads are the newest flushes of all source partitions, as they stand in one partition of the updates topic: just what rank sees, since each flush goes to
// every shard. They are read backwards from the log's end, in growing steps; when they are read again, only what has come since.
type heads struct {
	sender wire.Sender // who may speak; any partition
	of     []head
	end    int64 // what is before this was read
	start  int64 // and what is from this on
}

func newHeads(sender wire.Sender) *heads {
	return &heads{sender: sender, of: make([]head, sender.SourcePartitions), end: -1}
}

// How many records the first step back takes for each source, and at least; and by what steps grow.
const (
	stepPerSource = 8
	stepMin       = 64
	stepGrows     = 4
)

// backMax bounds how long is looked back for a partition that may never have spoken.
const backMax = 10 * time.Second

// read takes in what the log holds from one offset to before another: not before from, since nothing there counts any more.
func (h *heads) read(ctx context.Context, c microbatch.Connection, topic string, from, end int64) error {
	if h.end >= 0 {
		newest, err := h.stretch(ctx, c, topic, max(h.end, from), end)
		h.merge(newest)
		if err == nil {
			h.end = max(h.end, end)
		}
		return err
	}
	h.end, h.start = end, end
	ctx, cancel := context.WithTimeout(ctx, backMax)
	defer cancel()
	for step := int64(max(stepMin, stepPerSource*len(h.of))); h.start > from && !h.all(); step *= stepGrows {
		next := max(from, h.start-step)
		newest, err := h.stretch(ctx, c, topic, next, h.start)
		h.merge(newest)
		switch {
		case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return nil // one that was not found by now is taken for silent
		case err != nil:
			return err
		}
		h.start = next
	}
	return nil
}

// all reports whether every source was heard from.
func (h *heads) all() bool {
	for _, one := range h.of {
		if !one.heard {
			return false
		}
	}
	return true
}

// stretch returns the newest whole flush of each source in a stretch of the log.
func (h *heads) stretch(ctx context.Context, c microbatch.Connection, topic string, from, to int64) ([]head, error) {
	newest := make([]head, len(h.of))
	for r, err := range logread.Range(ctx, c, topic, 0, from, to) {
		if err != nil {
			return newest, err
		}
		by, _, update, err := wire.DecodeUpdate(r.Value)
		want := h.sender
		want.Partition = by.Partition
		if err != nil || by != want || !update.Last {
			continue // rank leaves it out, too, or waits for the rest of it
		}
		take(&newest[by.Partition], head{true, update.Part, r.Timestamp, r.Offset})
	}
	return newest, nil
}

// merge takes in what is the newest of another stretch.
func (h *heads) merge(newest []head) {
	for i := range newest {
		if newest[i].heard {
			take(&h.of[i], newest[i])
		}
	}
}

// take keeps the greater as-of; of the same, which differ in idleness only, the later one.
func take(have *head, other head) {
	if !have.heard || other.part.AsOf > have.part.AsOf || other.part.AsOf == have.part.AsOf && other.offset > have.offset {
		*have = other
	}
}
