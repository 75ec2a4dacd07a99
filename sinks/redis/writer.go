package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

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
	ctx, cancel := context.WithTimeout(ctx, w.sink.config.Timeout)
	defer cancel()
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
	lost, err := w.send(ctx, w.changes(targets), watermark, now)
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
	ctx, cancel := context.WithTimeout(ctx, w.sink.config.Timeout)
	defer cancel()
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

// target is a list and a key that it goes to.
type target struct {
	key   string
	list  *event.Ranking
	alias bool
}

// targets returns where lists go, each key once: the window's own key, and, of those that are the newest here, the others.
func (s *Sink) targets(lists []event.Ranking) ([]target, error) {
	targets := make([]target, 0, 2*len(lists))
	at := make(map[string]int, 2*len(lists))
	add := func(t target) {
		i, ok := at[t.key]
		switch {
		case !ok:
			at[t.key] = len(targets)
			targets = append(targets, t)
		case newer(t.list, targets[i].list):
			targets[i] = t
		}
	}
	for i := range lists {
		list := &lists[i]
		if err := s.check(list); err != nil {
			return nil, fmt.Errorf("board %q, by %q of %q from %d: %w", list.Board, list.By, list.Group.Values(), list.Start, err)
		}
		keys := s.Keys(list.Board, list.By, list.Group)
		add(target{key: keys.Window(list.Start), list: list})
		add(target{key: keys.Newest(), list: list, alias: true})
		if list.Final {
			add(target{key: keys.Final(), list: list, alias: true})
		}
		if list.Board == s.config.DefaultBoard {
			add(target{key: keys.Default(), list: list, alias: true})
		}
	}
	return targets, nil
}

// newer reports whether a replaces b where only the newest is shown.
func newer(a, b *event.Ranking) bool {
	return a.Start > b.Start || a.Start == b.Start && a.Revision > b.Revision
}

// check refuses lists that Redis could not hold as they are.
func (s *Sink) check(list *event.Ranking) error {
	const revisionMax = 1 << 53 // Lua's numbers are float64
	board := s.boards[list.Board]
	switch {
	case board == nil:
		return errors.New("there is no such board in the settings")
	case list.Start%1000 != 0:
		return errors.New("its window starts at no whole second")
	case list.Revision < 0 || list.Revision >= revisionMax:
		return fmt.Errorf("its revision is %d; it must be from 0 to below 2^53", list.Revision)
	case len(list.Entries) > board.K:
		return fmt.Errorf("it has %d entries, and the board has at most %d", len(list.Entries), board.K)
	}
	for i, e := range list.Entries {
		if math.IsNaN(e.Score) || math.IsInf(e.Score, 0) {
			return fmt.Errorf("item %q has the score %v", e.Item, e.Score)
		}
		if i > 0 && board.Order.Compare(list.Entries[i-1], e) >= 0 {
			return fmt.Errorf("items %q and %q are not in the board's order", list.Entries[i-1].Item, e.Item)
		}
	}
	return errors.Join(checkYear("start", list.Start), checkYear("end", list.End))
}

// change is a call that writes a list to a key.
type change struct {
	target
	entries []event.Entry // the list's, copied
	base    *remembered   // nil if the writer doesn't remember the key
	whole   bool
	call    *call
}

// changes returns what to write. Keys that are known to show a newer window are left out.
func (w *Writer) changes(targets []target) []*change {
	changes := make([]*change, 0, len(targets))
	copies := make(map[*event.Ranking][]event.Entry, len(targets))
	for _, t := range targets {
		base := w.memory.get(t.key)
		if base != nil && t.alias && base.start > t.list.Start {
			continue
		}
		entries, ok := copies[t.list]
		if !ok {
			entries = compact(t.list.Entries)
			copies[t.list] = entries
		}
		changes = append(changes, &change{target: t, entries: entries, base: base})
	}
	return changes
}

// send writes changes, those whose deltas don't fit a second time, as whole lists. lost says that Redis lacked
// something that the writer remembers. After an error, the writer remembers nothing of the keys of which it isn't sure.
func (w *Writer) send(ctx context.Context, changes []*change, watermark int64, now time.Time) (lost bool, err error) {
	for len(changes) > 0 && err == nil {
		calls := make([]*call, len(changes))
		for i, c := range changes {
			c.call = w.call(c, watermark, now)
			calls[i] = c.call
		}
		err = w.sink.run(ctx, calls)
		var again []*change
		for _, c := range changes {
			resend, lacked := w.settle(c, now)
			lost = lost || lacked
			if resend {
				c.base, c.whole = nil, true
				again = append(again, c)
			}
		}
		changes = again
	}
	return lost, err
}

// What list.lua answers.
const (
	statusWritten     = 1
	statusRepeat      = 2
	statusOlder       = 3
	statusOtherBase   = 4
	statusLost        = 5
	statusWrittenLost = 6
)

// settle takes in what came of a change: whether it must be sent again as a whole, and whether Redis lacked what
// the writer remembers.
func (w *Writer) settle(c *change, now time.Time) (resend, lost bool) {
	counts := &w.sink.counts
	// A key that nobody has written for so long has expired. (The clocks' rates can differ a little.)
	expired := c.base != nil && now.Sub(c.base.at) >= w.sink.config.TTL-w.sink.config.TTL/16
	lacked := func() {
		if !expired {
			lost = true
			counts.lost.Add(1)
		}
	}
	if c.call.err != nil { // it may have been written or not
		w.memory.drop(c.key)
		return false, false
	}
	switch c.call.answer {
	case statusOlder:
		counts.older.Add(1)
		w.memory.drop(c.key)
		return false, false
	case statusOtherBase, statusLost:
		counts.resent.Add(1)
		if c.call.answer == statusLost {
			lacked()
		}
		w.memory.drop(c.key)
		return true, lost
	case statusRepeat:
		counts.repeats.Add(1)
	case statusWrittenLost:
		lacked()
		counts.whole.Add(1)
	case statusWritten:
		if c.whole {
			counts.whole.Add(1)
		} else {
			counts.deltas.Add(1)
		}
	}
	w.memory.put(&remembered{key: c.key, start: c.list.Start, revision: c.list.Revision, entries: c.entries, at: now})
	return false, lost
}

// call makes the call of list.lua, which says what its arguments are.
func (w *Writer) call(c *change, watermark int64, now time.Time) *call {
	var gone []string
	changed := c.entries
	baseStart, baseRevision, baseCard := "", "", ""
	if c.base != nil {
		baseStart, baseRevision, baseCard = formatTime(c.base.start), decimal(c.base.revision), strconv.Itoa(len(c.base.entries))
		g, ch := delta(w.sink.boards[c.list.Board].Order, c.base.entries, c.entries)
		if len(g)+len(ch) < len(c.entries) || len(ch) == 0 {
			gone, changed = g, ch
		} else {
			c.whole = true
		}
	} else {
		c.whole = true
	}
	args := make([]any, 0, 17+len(gone)+2*len(changed))
	args = append(args,
		formatTime(c.list.Start), decimal(c.list.Revision), decimal(w.sink.config.TTL.Milliseconds()), flag(c.whole),
		baseStart, baseRevision, baseCard,
		strconv.Itoa(len(c.entries)), strconv.Itoa(len(gone)), flag(!c.alias),
		formatTime(c.list.End), formatTime(watermark), flag(c.list.Final), formatTime(now.UnixMilli()),
		flag(c.list.Exact), formatScore(c.list.MaxError), decimal(c.list.Duplicates))
	for _, item := range gone {
		args = append(args, item)
	}
	for _, e := range changed {
		args = append(args, formatScore(e.Score), e.Item)
	}
	return &call{script: listScript, keys: []string{c.key, Meta(c.key)}, args: args}
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
