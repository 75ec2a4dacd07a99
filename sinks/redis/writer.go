package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/millrank/millrank/event"
)

// Flush is what is written at a time: the lists that have changed, as of an offset of the rankings log.
type Flush struct {
	// AsOf is the rankings offset that the lists are as of, at least each of their revisions.
	AsOf int64
	// Watermark is the closing watermark, Unix milliseconds, or event.NoTime.
	Watermark int64
	// Lists are the lists, in their boards' order. The Writer keeps nothing of them.
	Lists []event.Ranking
}

// Writer writes the lists of one partition of the rankings topic, and notices when Redis has lost some. It
// serves one goroutine. When the partition is somebody else's, it is garbage.
//
// What it returns as behind says that Redis lacks something that was written before: it was emptied, restarted without its
// data, failed over to a replica that had not got everything, or has evicted a key. The caller then has to fill it
// again: the next Write must hold every list that is kept (Merge.Republish, then Flush). Until such a
// Write has succeeded, behind stays true, and Redis holds a note of it, so that a restart in between finds it too.
// Filling Redis again without need does no harm.
type Writer struct {
	sink   *Sink
	memory *memory
	guard  guard
	lost   bool // Redis was found behind, and has not been filled again
}

// Writer returns a writer for a partition of the rankings topic. writtenThrough is the rankings offset up to which
// everything was written before, as the commit has it (operators.Resume.PublishedThrough), or -1: if Redis
// doesn't know of it, it is behind.
func (s *Sink) Writer(partition int32, writtenThrough int64) *Writer {
	w := &Writer{sink: s, memory: newMemory(s.config.Remember, func() { s.counts.forgotten.Add(1) })}
	w.guard = newGuard(s, partition, writtenThrough)
	return w
}

// Write writes all lists of a flush, and what else shows them. It returns nil only if Redis holds each of them, or something
// newer. After an error some may have been written: the same lists, or newer ones, must be written
// again, which does no harm. behind is described at Writer; it can be true with an error, too.
//
// Call it for a flush without lists, too: what it notes is what a restart is held against. It
// does a round trip for the lists, a second one for those whose deltas don't fit, and one for the note.
func (w *Writer) Write(ctx context.Context, flush Flush) (behind bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.sink.config.Timeout)
	defer cancel()
	if err := w.write(ctx, flush); err != nil {
		return w.lost, fmt.Errorf("lists as of offset %d were not written: %w", flush.AsOf, err)
	}
	return w.lost, nil
}

func (w *Writer) write(ctx context.Context, flush Flush) error {
	now := w.sink.config.Now()
	targets, err := w.sink.targets(flush.Lists)
	if err != nil {
		return err
	}
	if w.lost { // this is what fills Redis again
		w.memory.clear()
		if err := w.guard.drop(ctx); err != nil {
			return err
		}
	}
	if err := w.guard.open(ctx); err != nil {
		return err
	}
	lost, err := w.send(ctx, w.changes(targets), flush.Watermark, now)
	w.lost = w.lost && err != nil || lost
	if err != nil {
		return err
	}
	w.sink.counts.lists.Add(int64(len(flush.Lists)))
	if lost {
		w.note("a list is missing, or older than it was")
		return w.guard.drop(ctx)
	}
	lost, err = w.guard.raise(ctx, flush.AsOf)
	if lost {
		w.note("a writer's mark is missing, or older than it was")
	}
	w.lost = lost
	return err
}

// Check asks Redis whether it still holds what was written; it is for when there is nothing to write. It asks once
// a second at most.
func (w *Writer) Check(ctx context.Context) (behind bool, err error) {
	if w.lost {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.sink.config.Timeout)
	defer cancel()
	lost, err := w.guard.look(ctx)
	if err != nil {
		return false, fmt.Errorf("what Redis holds was not checked: %w", err)
	}
	if lost {
		w.lost = true
		w.note("a writer's mark is missing, or older than it was")
	}
	return lost, nil
}

func (w *Writer) note(what string) {
	w.sink.config.Logger.Info("Redis lacks something that was written, and has to be filled again", map[string]any{"partition": w.guard.partition, "found": what})
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
