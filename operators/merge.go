package operators

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/watermark"
)

// Merge makes one list of the shards' lists (Rule 4). Shards are disjoint by item, so
// the best K of the union of their best K are the exact best K. (Merging lists of
// parts that share items would be wrong.) A merged list is final when all shards have
// closed its window. It is for one partition of the rankings topic.
//
// Take each message in the order of offsets; Flush from time to time, and tell Acked
// or Failed; commit what Commit returns. What is written is absolute and carries the
// rankings offset that it is as of as its revision, so writing it twice, or writing
// something older, does no harm. A Merge serves one goroutine.
type Merge struct {
	lateness   int64 // milliseconds
	boards     map[string]*Board
	in         *Receiver[[]event.Ranking]
	lists      map[event.ListKey]*merged
	out        *Sender[*merged, Resume] // one lane: the sink
	settled    bool                     // the replay is over: what changes is to be published
	republish  bool                     // Republish was called in the replay
	afterFinal int64
}

// merged is a list of all shards.
type merged struct {
	key     event.ListKey
	board   *Board
	closeAt int64
	first   int64 // log offset of the first part of the earliest-begun flush that touched it
	closed  bool
	shards  map[int]*event.Ranking // by shard
	changed bool                   // in the sender's list
}

// NewMerge returns the merge of this many shards' lists, to be stepped from from.LowWater on. It
// panics on boards that Validate refuses.
func NewMerge(b Boards, shards int, from Resume) *Merge {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	m := &Merge{
		lateness: b.AllowedLateness.Milliseconds(),
		boards:   map[string]*Board{},
		in:       NewReceiver[[]event.Ranking](shards, watermark.KeepFinal, from),
		lists:    map[event.ListKey]*merged{},
		settled:  from.LowWater > from.PublishedThrough,
	}
	for i := range b.Boards {
		m.boards[b.Boards[i].Name] = &b.Boards[i]
	}
	m.out = NewSender[*merged, Resume](1, from.PublishedThrough, (*merged).again, func(*merged) {})
	return m
}

// Take takes in the message at an offset of the rankings log. Its lists are Merge's
// from then on. An error means that the message isn't from the shards and boards that this is made
// for; nothing was taken.
func (m *Merge) Take(at int64, u *event.Rankings) error {
	for i := range u.Lists {
		l := &u.Lists[i]
		board := m.boards[l.Board]
		if board == nil {
			return fmt.Errorf("offset %d: a list of board %q, which the settings don't have; start a new generation", at, l.Board)
		}
		if !slices.IsSortedFunc(l.Entries, board.Order.Compare) { // which best relies on
			return fmt.Errorf("offset %d: a list of board %q is not in its order, %v: the settings have changed; start a new generation", at, l.Board, board.Order)
		}
	}
	if !m.settled && at > m.in.replayTo {
		m.settle()
	}
	flush, took, err := m.in.Take(at, u.Part, u.Lists)
	if err != nil || took == Partial {
		return err
	}
	var before *event.Ranking
	for _, lists := range flush.Parts {
		for i := range lists {
			m.apply(&lists[i], flush.Source, flush.First, before != nil && before.ListKey == lists[i].ListKey)
			before = &lists[i]
		}
	}
	if m.in.Advance() || took == Fresh {
		m.advance()
	}
	return nil
}

// apply replaces what a shard said of a list before. A list that is too large for a message comes in pieces, one after the other: those after
// the first add to it.
func (m *Merge) apply(r *event.Ranking, shard int, first int64, more bool) {
	l := m.lists[r.ListKey]
	if l == nil {
		l = &merged{
			key: r.ListKey, board: m.boards[r.Board], closeAt: r.End + m.lateness,
			first: first, shards: map[int]*event.Ranking{},
		}
		if l.closeAt <= m.in.DroppedThrough() {
			if m.settled {
				m.afterFinal++
			}
			return
		}
		m.lists[r.ListKey] = l
	}
	l.first = min(l.first, first)
	own := *r // not a pointer into the message, which would hold on to all of it
	if more {
		own.Entries = append(slices.Clip(l.shards[shard].Entries), r.Entries...)
	}
	l.shards[shard] = &own
	m.publish(l)
}

// advance closes lists and drops them, as time has come. What closes is published, once
// more, before it can be dropped.
func (m *Merge) advance() {
	for key, l := range m.lists {
		if l.closeAt <= m.in.ClosedThrough() && !l.closed {
			l.closed = true
			m.publish(l)
		}
		if l.closeAt <= m.in.DroppedThrough() {
			delete(m.lists, key)
		}
	}
}

// publish gives a list to the sink. In a replay it was published before.
func (m *Merge) publish(l *merged) {
	if m.settled && l.again() {
		m.out.Changed(0, l)
	}
}

func (m *Merge) settle() {
	m.settled = true
	if m.republish {
		m.Republish()
	}
}

// Republish makes the next flush hold every list that is kept, for a sink that has lost
// them; in a replay, the first flush after it.
func (m *Merge) Republish() {
	m.republish = !m.settled
	for _, l := range m.lists {
		m.publish(l)
	}
}

// Flush begins a flush as of the last message: it calls send with the lists that
// changed, in the order of their keys. Acked or Failed must follow. It does nothing and reports
// false when the last flush has not been acknowledged, or during a replay.
func (m *Merge) Flush(send func(lists []event.Ranking)) bool {
	if !m.settled {
		return false
	}
	return m.out.Begin(m.in.At(), m.Checkpoint(), func(_ int, changed []*merged) {
		slices.SortFunc(changed, func(a, b *merged) int { return a.key.Compare(b.key) })
		lists := make([]event.Ranking, 0, len(changed))
		for _, l := range changed {
			l.changed = false
			lists = append(lists, l.ranking(m.in.At()))
		}
		send(lists)
	})
}

// Pending returns how many lists wait to be flushed or acknowledged.
func (m *Merge) Pending() int { return m.out.Pending() }

// Acked notes that the sink has acknowledged the last flush.
func (m *Merge) Acked() { m.out.Acked(0) }

// Failed notes that the last flush may not have arrived; its lists join the next one, as they stand then.
func (m *Merge) Failed() { m.out.Failed(0) }

// Commit returns the checkpoint to commit: that of the newest flush that the sink has
// acknowledged. It reports false when there is nothing newer than it returned before.
func (m *Merge) Commit() (Resume, bool) { return m.out.Commit(math.MaxInt64) }

// Checkpoint returns the checkpoint as of the last message, as it would stand if everything up to
// there had been acknowledged. It is for flushes and for looking; only Commit's may be committed.
func (m *Merge) Checkpoint() Resume {
	kept := int64(math.MaxInt64)
	for _, l := range m.lists {
		kept = min(kept, l.first)
	}
	return m.in.Resume(kept)
}

// ClosedThrough returns the closing watermark, Unix milliseconds, or event.NoTime.
func (m *Merge) ClosedThrough() int64 { return m.in.ClosedThrough() }

// Replaying reports whether messages are still folded in silence, as they were before a restart.
func (m *Merge) Replaying() bool { return !m.settled }

// AfterFinal returns how many lists came for a window that had been dropped.
func (m *Merge) AfterFinal() int64 { return m.afterFinal }

// ranking merges the shards' lists, as of an offset of the rankings log.
func (l *merged) ranking(asOf int64) event.Ranking {
	r := event.Ranking{ListKey: l.key, Final: l.closed, Exact: true, Revision: asOf}
	parts := make([][]event.Entry, 0, len(l.shards))
	for _, part := range l.shards {
		r.End = part.End
		parts = append(parts, part.Entries)
		r.Exact = r.Exact && part.Exact
		r.MaxError = max(r.MaxError, part.MaxError)
		r.Duplicates += part.Duplicates
	}
	r.Entries = l.board.best(parts)
	return r
}

// best returns the best K entries of lists that are each best first. It uses up the slice of lists.
func (b *Board) best(lists [][]event.Entry) []event.Entry {
	k := 0
	for _, list := range lists {
		k += len(list)
	}
	k = min(k, b.K)
	entries := slices.Grow([]event.Entry(nil), k)
	for range k {
		best := 0
		for i, list := range lists {
			if len(list) > 0 && (len(lists[best]) == 0 || b.Order.Compare(list[0], lists[best][0]) < 0) {
				best = i
			}
		}
		entries = append(entries, lists[best][0])
		lists[best] = lists[best][1:]
	}
	return entries
}

// again marks a list as changed; false when it is already.
func (l *merged) again() bool {
	was := l.changed
	l.changed = true
	return !was
}
