package operators

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/millrank/millrank/event"
)

// scriptShard is a shard: its partition of the updates topic, and its ranking.
type scriptShard struct {
	log    []event.Update // offsets are indexes
	taken  int
	rank   *Rank
	run    uint64
	commit Resume
	state  shardState
}

// shardState is what a shard's partition of the updates topic does to flushes.
type shardState string

const (
	shardUp      shardState = "up"
	shardDown    shardState = "down"     // nothing arrives, and the sender hears that it failed
	shardAckLost shardState = "ack-lost" // all arrives, but the sender hears that it failed
	shardHangs   shardState = "hangs"    // the sender hears nothing; all arrives when the shard is up again
)

// scriptMerge is the rankings topic, the merge of the shards' lists, and a sink.
type scriptMerge struct {
	log    []event.Rankings
	taken  int
	merge  *Merge
	commit Resume
	sink   map[event.ListKey]event.Ranking
}

// doFlow runs the commands about what flows between the stages.
func (w *scriptWorld) doFlow(a *arguments) {
	switch a.command {
	case "flush": // [partition=0] [idle-for=10s]: all the way to the sink; prints the lists that it gets
		w.flush(a)
	case "shard": // 1 up, down, ack-lost or hangs
		w.setShard(a)
	case "lists": // as the sink has them
		w.printLists(slices.Collect(maps.Values(w.merge.sink)))
	case "closing": // what shards and merge have closed and dropped
		w.printClosing()
	case "room": // how much of their budgets the shards use
		for i, s := range w.shards {
			held, limit, gone := s.rank.Room()
			w.printf("shard %d: %d of %d cells held, %d gone", i, held, limit, gone)
		}
	case "letters-acked": // all dead letters of a partition, or those up to through=
		s := w.source(a)
		s.fold.LettersAcked(a.number("through", s.log[len(s.log)-1].Offset))
	case "checkpoint": // of a partition, as of its last record
		w.printCheckpoint(w.source(a).fold.Checkpoint())
	case "commit", "restart": // partition=0, shard=0 or merge; restart until=4 reads a partition again up to there
		w.commitOrRestart(a)
	default:
		mistakenf("there is no such command")
	}
}

// flush flushes one partition or all, and lets what arrives flow on.
func (w *scriptWorld) flush(a *arguments) {
	idleFor := a.duration("idle-for", 0)
	only := a.number("partition", -1)
	for i, s := range w.sources {
		if only < 0 || only == int64(i) {
			w.flushSource(i, s, idleFor)
		}
	}
	w.flow()
}

func (w *scriptWorld) flushSource(source int, s *scriptSource, idleFor time.Duration) {
	flushes := map[int][]event.Update{}
	began := s.fold.Flush(source, s.run, idleFor > 0, idleFor.Milliseconds(), func(shard int, head event.Part, cells []event.Cell) {
		own := slices.Clone(cells)
		for i := range own {
			own[i].Group, own[i].Item = slices.Clone(own[i].Group), slices.Clone(own[i].Item)
		}
		slices.SortFunc(own, func(a, b event.Cell) int {
			return cmp.Or(cmp.Compare(a.Pane, b.Pane), slices.Compare(a.Group, b.Group), slices.Compare(a.Item, b.Item))
		})
		Split(head, own, w.partCells, func(*event.Cell) int { return 1 }, func(part event.Part, cells []event.Cell) {
			flushes[shard] = append(flushes[shard], event.Update{Part: part, Cells: cells})
		})
	})
	if !began && s.fold.Replaying() {
		w.printf("partition %d is replaying, and flushes nothing", source)
	} else if !began {
		w.printf("partition %d flushes nothing, since no shard has acknowledged its last flush", source)
	}
	for shard, flush := range flushes {
		w.deliver(s, shard, flush)
	}
}

func (w *scriptWorld) deliver(s *scriptSource, shard int, flush []event.Update) {
	to := w.shards[shard]
	if to.state == shardHangs {
		s.held[shard] = flush
		return
	}
	if to.state != shardDown {
		to.log = append(to.log, flush...)
	}
	if to.state == shardDown || to.state == shardAckLost {
		s.fold.Failed(shard)
	} else {
		s.fold.Acked(shard)
	}
}

// setShard changes what a shard does. What hung arrives when it is up again.
func (w *scriptWorld) setShard(a *arguments) {
	shard, err := strconv.Atoi(a.word(""))
	if err != nil {
		mistakenf("%v", err)
	}
	state := shardState(a.word(""))
	if !slices.Contains([]shardState{shardUp, shardDown, shardAckLost, shardHangs}, state) {
		mistakenf("a shard is up, down, ack-lost or hangs")
	}
	w.shards[shard].state = state
	for _, s := range w.sources {
		if held, ok := s.held[shard]; ok && state == shardUp {
			delete(s.held, shard)
			w.deliver(s, shard, held)
		}
	}
}

// flow lets shards and merge take what there is, and flush once each.
func (w *scriptWorld) flow() {
	for i, s := range w.shards {
		s.take()
		s.rank.Flush(i, s.run, func(_ int, head event.Part, lists []event.Ranking) {
			head.Last = true // in one part
			w.merge.log = append(w.merge.log, event.Rankings{Part: head, Lists: lists})
		})
		if s.rank.out.lanes[0].busy {
			s.rank.Acked(0)
		}
	}
	w.merge.take()
	published := false
	if w.merge.merge.Flush(func(lists []event.Ranking) {
		published = len(lists) > 0
		w.printLists(lists)
		for _, l := range lists {
			w.merge.sink[l.ListKey] = l
		}
	}) {
		w.merge.merge.Acked()
	}
	if !published {
		w.printf("no list has changed")
	}
}

func (s *scriptShard) take() {
	for ; s.taken < len(s.log); s.taken++ {
		if err := s.rank.Take(int64(s.taken), &s.log[s.taken]); err != nil {
			mistakenf("%v", err)
		}
	}
}

func (m *scriptMerge) take() {
	for ; m.taken < len(m.log); m.taken++ {
		message := m.log[m.taken]
		message.Lists = slices.Clone(message.Lists)
		if err := m.merge.Take(int64(m.taken), &message); err != nil {
			mistakenf("%v", err)
		}
	}
}

// printLists prints lists: board, group, window, state, and entries, best first.
func (w *scriptWorld) printLists(lists []event.Ranking) {
	slices.SortFunc(lists, func(a, b event.Ranking) int { return a.ListKey.Compare(b.ListKey) })
	for _, l := range lists {
		group := "global"
		if l.By != "" {
			group = fmt.Sprint(l.By, "=", l.Group.Values()[0])
		}
		state := "interim"
		if l.Final {
			state = "final"
		}
		if !l.Exact {
			state += ", inexact"
			if !math.IsInf(l.MaxError, 1) {
				state += fmt.Sprintf(", off by at most %g", l.MaxError)
			}
		}
		if l.Duplicates > 0 {
			state += fmt.Sprintf(", duplicates %d", l.Duplicates)
		}
		line := fmt.Sprintf("%s %s %s %s, revision %d:", l.Board, group, clockSpan(l.Start, l.End), state, l.Revision)
		for _, e := range l.Entries {
			line += fmt.Sprintf(" %s=%s", e.Item, strconv.FormatFloat(e.Score, 'g', -1, 64))
		}
		w.printf("%s", line)
	}
}

func (w *scriptWorld) printClosing() {
	for i, s := range w.shards {
		w.printf("shard %d: closed through %s, dropped through %s, after final %d", i, clock(s.rank.ClosedThrough()), clock(s.rank.DroppedThrough()), s.rank.AfterFinal())
	}
	w.printf("merge: closed through %s", clock(w.merge.merge.ClosedThrough()))
}
