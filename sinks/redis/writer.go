package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrank/millrank/event"
)

// Writer writes the lists of one partition of the rankings topic, and notices when Redis has lost some. It
// serves one goroutine, but for Filled. When the partition is somebody else's, it is garbage.
//
// What it returns as behind says that Redis lacks something that was written before: it was emptied, restarted without its
// data, failed over to a replica that had not got everything, or has evicted or expired a key too soon. The caller then
// has to write again all that there should be, and then call Filled. Until then behind stays true, also for
// the partition's writers to come, since Redis holds a note of it. Writing all again without need does no harm.
type Writer struct {
	sink   *Sink
	memory *memory
	guard  *guard // nil for one that only fills in

	lost   bool        // Redis is behind
	noted  bool        // and every sentinel holds a note of it, or one is missing something itself
	again  bool        // it has lost something since filling it began
	filled atomic.Bool // Filled was called
}

// Writer returns a writer for a partition of the rankings topic. writtenThrough is the rankings offset up to which
// everything was written before, as the commit has it (operators.Resume.PublishedThrough), or -1 if nothing was: if Redis
// doesn't know of it, it is behind.
func (s *Sink) Writer(partition int, writtenThrough int64) *Writer {
	w := s.Filler()
	w.guard = &guard{sink: s, partition: partition, through: writtenThrough}
	return w
}

// Filler returns a writer that writes lists without noting how far it has come, and is never behind. It is for filling in what
// Redis lacks, beside the partitions' own writers.
func (s *Sink) Filler() *Writer {
	return &Writer{sink: s, memory: newMemory(s.config.Remember, func() { s.counts.forgotten.Add(1) })}
}

// Write writes lists, each in its board's order, and the other keys that show them. They are as of an offset of the rankings
// topic, asOf; watermark is the closing watermark, Unix milliseconds, or event.NoTime. Nothing of lists is kept.
//
// It returns nil only if Redis holds each list, or a newer one. After an error some may have been written: the
// same lists, or newer ones, must be written again, which does no harm. behind is described at Writer; it can be
// true with an error, too.
//
// Call it for a flush without lists, too: it notes how far everything has been written, which a restart is held against.
// It does a round trip for the lists (more if they are very many), one for those whose deltas don't
// fit, if any, and one for the note.
func (w *Writer) Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (behind bool, err error) {
	if err := w.write(ctx, asOf, watermark, lists); err != nil {
		return w.lost, fmt.Errorf("lists as of offset %d were not written: %w", asOf, err)
	}
	return w.lost, nil
}

func (w *Writer) write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) error {
	now := w.sink.config.Now()
	targets, err := w.sink.targets(lists)
	if err != nil {
		return err
	}
	if w.guard != nil {
		lost, err := w.guard.open(ctx)
		w.found(lost, "mark")
		if err != nil {
			return err
		}
	}
	lost, err := w.send(ctx, targets, watermark, now)
	if w.guard == nil {
		return err
	}
	if lost {
		w.found(true, "list")
		w.noted = false
	}
	if w.lost && !w.noted {
		_, loseErr := w.guard.askAll(ctx, lose, -1)
		w.noted = loseErr == nil
		err = errors.Join(err, loseErr)
	}
	if err != nil {
		return err
	}
	w.sink.counts.lists.Add(int64(len(lists)))
	return w.mark(ctx, asOf)
}

// mark notes that all is written as of an offset, unless Redis is behind.
func (w *Writer) mark(ctx context.Context, asOf int64) error {
	action := raise
	switch {
	case w.lost && w.filled.Load() && w.again: // there is something to be filled in since
		w.again = false
		w.filled.Store(false)
		action = hold
	case w.lost && w.filled.Load():
		action = fill
	case w.lost:
		action = hold
	}
	lost, err := w.guard.askAll(ctx, action, asOf)
	w.found(lost, "mark")
	switch {
	case action != fill:
	case lost:
		w.again = false
		w.filled.Store(false)
	case err == nil:
		w.lost = false
		w.sink.config.Logger.Info("Redis has been filled in", map[string]any{"partition": w.guard.partition})
	}
	return err
}

// Filled says that all that Redis lacked when Write first returned behind, or when Filled was called last, has been written
// since. The next Write takes note of it, and looks whether Redis has lost something meanwhile; if so, it is behind still. Filled
// may be called while Write runs.
func (w *Writer) Filled() { w.filled.Store(true) }

// Check asks Redis whether it still holds what was written, once a second at most; it is for when there is nothing to
// write, and nothing to note.
func (w *Writer) Check(ctx context.Context) (behind bool, err error) {
	if w.lost || w.guard == nil || !w.guard.due() {
		return w.lost, nil
	}
	lost, err := w.guard.askAll(ctx, look, -1)
	w.found(lost, "mark")
	if err != nil {
		return w.lost, fmt.Errorf("what Redis holds was not checked: %w", err)
	}
	return w.lost, nil
}

// found takes note of a loss. A sentinel, once asked, has a note of it already.
func (w *Writer) found(lost bool, what string) {
	if !lost {
		return
	}
	w.memory.clear()
	if w.lost {
		w.again = true
		return
	}
	w.lost, w.noted, w.again = true, true, false
	w.filled.Store(false)
	w.sink.config.Logger.Info("Redis lacks something that was written, and has to be filled in",
		map[string]any{"partition": w.guard.partition, "missing_or_older": what})
}
