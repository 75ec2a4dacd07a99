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

// switchesMax is how often lists are written anew, since a generation was activated meanwhile.
const switchesMax = 5

// send writes lists where they belong. lost says that Redis lacked something that the writer remembers.
//
// On a single server a script refuses to write where a list doesn't belong. In a cluster it sees what others have written in the same slot only; so it
// is asked afterwards whether another generation was activated meanwhile. Then what was written is in the wrong place, maybe, and what looked lost
// has only moved: all is written once more.
func (w *Writer) send(ctx context.Context, targets []target, watermark int64, now time.Time) (lost bool, err error) {
	s := w.sink
	changes := w.changes(targets)
	if s.config.Generation == 0 {
		_, lacking, err := w.sendTo(ctx, changes, s.only, watermark, now)
		s.counts.lost.Add(lacking)
		return lacking > 0, err
	}
	cluster, err := s.clustered(ctx)
	if err != nil {
		return false, err
	}
	for try := range switchesMax {
		at, err := s.where(ctx)
		if err != nil {
			return lost, err
		}
		if cluster && (at.moving || try > 0) {
			if err := s.show(ctx, at, keysOf(changes)); err != nil {
				return lost, err
			}
		}
		misplaced, lacking, err := w.sendTo(ctx, changes, func(key string) place { return s.place(key, at, cluster) }, watermark, now)
		if err == nil && len(changes) > 0 && (cluster || len(misplaced) > 0) {
			var after pointer
			if after, err = s.readPointer(ctx); cluster && after.epoch != at.epoch {
				misplaced, lacking = changes, 0
			}
		}
		lost = lost || lacking > 0
		s.counts.lost.Add(lacking)
		s.counts.misplaced.Add(int64(len(misplaced)))
		if err != nil || len(misplaced) == 0 {
			return lost, err
		}
		if cluster {
			for _, c := range misplaced {
				w.memory.drop(c.key)
				c.base = nil
			}
		}
		changes = misplaced
	}
	return lost, errSwitching
}

func keysOf(changes []*change) []string {
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = c.key
	}
	return keys
}

// sendTo writes changes, those whose deltas don't fit a second time, as whole lists. It returns those that belong somewhere else, and how many keys lacked
// something that the writer remembers.
func (w *Writer) sendTo(ctx context.Context, changes []*change, to func(key string) place, watermark int64, now time.Time) (misplaced []*change, lacking int64, err error) {
	for len(changes) > 0 && err == nil {
		calls := make([]*call, len(changes))
		for i, c := range changes {
			c.call = w.call(c, to(c.key), watermark, now)
			calls[i] = c.call
		}
		err = w.sink.run(ctx, calls)
		var again []*change
		for _, c := range changes {
			if c.call.err == nil && c.call.answer == statusMisplaced {
				misplaced = append(misplaced, c)
				continue
			}
			resend, lacked := w.settle(c, now)
			if lacked {
				lacking++
			}
			if resend {
				c.base, c.whole = nil, true
				again = append(again, c)
			}
		}
		changes = again
	}
	return misplaced, lacking, err
}

// What list.lua answers.
const (
	statusWritten     = 1
	statusRepeat      = 2
	statusOlder       = 3
	statusOtherBase   = 4
	statusLost        = 5
	statusWrittenLost = 6
	statusMisplaced   = 7
)

// settle takes in what came of a change: whether it must be sent again as a whole, and whether Redis lacked what
// the writer remembers.
func (w *Writer) settle(c *change, now time.Time) (resend, lost bool) {
	counts := &w.sink.counts
	// A key that nobody has written for so long has expired. (The clocks' rates can differ a little.)
	expired := c.base != nil && now.Sub(c.base.at) >= w.sink.config.TTL-w.sink.config.TTL/16
	if c.call.err != nil { // it may have been written or not: the next one's base shows
		return false, false
	}
	switch c.call.answer {
	case statusOlder:
		counts.older.Add(1)
		w.memory.drop(c.key)
		return false, false
	case statusOtherBase, statusLost:
		counts.resent.Add(1)
		w.memory.drop(c.key)
		return true, c.call.answer == statusLost && !expired
	case statusRepeat:
		counts.repeats.Add(1)
	case statusWrittenLost:
		lost = !expired
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
func (w *Writer) call(c *change, to place, watermark int64, now time.Time) *call {
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
	args := make([]any, 0, 19+len(gone)+2*len(changed))
	args = append(args,
		formatTime(c.list.Start), decimal(c.list.Revision), decimal(w.sink.config.TTL.Milliseconds()), flag(c.whole),
		baseStart, baseRevision, baseCard,
		strconv.Itoa(len(c.entries)), strconv.Itoa(len(gone)), flag(!c.alias),
		formatTime(c.list.End), formatTime(watermark), flag(c.list.Final), formatTime(now.UnixMilli()),
		flag(c.list.Exact), formatScore(c.list.MaxError), decimal(c.list.Duplicates),
		to.generation, to.asOf)
	for _, item := range gone {
		args = append(args, item)
	}
	for _, e := range changed {
		args = append(args, formatScore(e.Score), e.Item)
	}
	return &call{script: listScript, keys: to.keys, args: args}
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
