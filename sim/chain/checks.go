package chain

import (
	"math"
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// durable checks what an instance may commit: M.
func (w *world) durable(in *instance, c commit) {
	switch in.group.stage {
	case Intake:
		w.durableIntake(in.partition, c)
	case Rank:
		w.durableRank(in.partition, c)
	case Board:
		w.durableLists(in, c, w.redis.written)
	case History:
		w.durableLists(in, c, w.history.written)
	default:
		w.durableCells(in.partition, c)
	}
}

// durableIntake: all shards have the cells as of processed-through, the dead letters are there, and the state is the specification's.
func (w *world) durableIntake(partition int, c commit) {
	log, f := w.source[partition], c.fold.ProcessedThrough
	if f < 0 { // nothing has come, so nothing must have arrived
		return
	}
	for shard, t := range w.shards {
		if t.sources[partition].asOf < f {
			w.failf("M", "intake/%d commits as of %d, but updates/%d is as of %d", partition, f, shard, t.sources[partition].asOf)
		}
	}
	for i, o := range log.truth.outcomes {
		if o.Offset > f {
			break
		}
		if _, there := w.letters[place{partition, o.Offset}]; o.Decision.DeadLetter() && !there {
			w.failf("M", "intake/%d commits as of %d, but the dead letter of offset %d is not published", partition, f, o.Offset)
		}
		if o.Offset == f && c.fold != log.truth.checkpoints[i] {
			w.failf("M", "intake/%d commits %+v, want %+v", partition, c.fold, log.truth.checkpoints[i])
		}
	}
	for key, versions := range log.truth.history {
		if versions[0].offset > f {
			continue
		}
		said := int64(0)
		for _, t := range w.shards {
			said += t.cells[partition][key].Count
		}
		if want := log.truth.at(key, f); said < want.Count {
			w.failf("M", "intake/%d commits as of %d, but of %+v the updates say %d of %d events", partition, f, key, said, want.Count)
		}
	}
}

// durableRank: all lanes have the lists as of published-through, and a restart can build the rest again.
func (w *world) durableRank(partition int, c commit) {
	x, t := c.hop.PublishedThrough, w.shards[partition]
	if x < 0 {
		return
	}
	for lane, l := range w.lanes {
		if l.sources[partition].asOf < x {
			w.failf("M", "rank/%d commits as of %d, but rankings/%d is as of %d", partition, x, lane, l.sources[partition].asOf)
		}
	}
	w.resumable(Rank, partition, c, t.closed, t.dropped, t.low)
}

// durableLists: the store has had a revision of each list that is as of what last touched it, or newer.
func (w *world) durableLists(in *instance, c commit, written map[event.ListKey]int64) {
	x, t := c.hop.PublishedThrough, w.lanes[in.partition]
	for at, keys := range t.touched[:max(0, min(x+1, int64(len(t.touched))))] {
		for _, key := range keys {
			if revision, there := written[key]; !there || revision < int64(at) {
				w.failf("M", "%v/%d commits as of %d, but of list %+v, which offset %d changed, the store has revision %d (%t)", in.group.stage, in.partition, x, key, at, revision, there)
			}
		}
	}
	w.resumable(in.group.stage, in.partition, c, t.closed, t.dropped, t.low)
}

// resumable checks a hop's state.
func (w *world) resumable(stage Place, partition int, c commit, closed, dropped, low []int64) {
	x := c.hop.PublishedThrough
	if x < 0 {
		return
	}
	if x >= int64(len(low)) || c.hop.ClosedThrough != closed[x] || c.hop.DroppedThrough != dropped[x] || c.low > low[x] {
		x = min(x, int64(len(low)-1))
		w.failf("M", "%v/%d commits %+v, want at most %d, closed and dropped through %d, %d", stage, partition, c.hop, low[x], closed[x], dropped[x])
	}
}

// durableCells: ClickHouse has each cell as of its last message below the committed offset, or newer.
func (w *world) durableCells(partition int, c commit) {
	for _, m := range w.updates[partition].messages[:c.low] {
		for i := range m.content {
			row, there := w.history.cells[sourced{m.part.Source, cellKey(&m.content[i])}]
			if !there || row.asOf < m.part.AsOf {
				w.failf("M", "archive/%d commits %d, but %+v as of %d is not in ClickHouse", partition, c.low, cellKey(&m.content[i]), m.part.AsOf)
			}
		}
	}
}

// finished checks L and B, when all is drained.
func (w *world) finished() {
	for stage, g := range w.groups {
		for partition := range g.claims {
			c := &g.claims[partition]
			at, last := c.owner.machine.at(), w.end(Place(stage), partition)
			if at != last || c.owner.machine.pending() > 0 || c.owner.told != nil {
				w.failf("L", "%v/%d is at %d of %d, with %d pending, when all should be done", Place(stage), partition, at, last, c.owner.machine.pending())
			}
			through := c.committed.hop.PublishedThrough
			switch Place(stage) {
			case Intake:
				through = c.committed.fold.ProcessedThrough
			case Archive:
				through = c.committed.low - 1
			}
			if through != last {
				w.failf("L", "%v/%d has committed as of %d, want %d", Place(stage), partition, through, last)
			}
			if low := w.lowMin(Place(stage), partition); c.committed.low < low {
				w.failf("B", "%v/%d has committed low-water %d, which should be at least %d", Place(stage), partition, c.committed.low, low)
			}
		}
	}
}

// end returns the last offset that a stage is to read.
func (w *world) end(stage Place, partition int) int64 {
	switch stage {
	case Intake:
		return w.source[partition].last()
	case Rank, Archive:
		return w.updates[partition].end() - 1
	default:
		return w.rankings[partition].end() - 1
	}
}

// lowMin returns how far a low-water must have come when all is drained, and each sender has spoken in the last rounds.
func (w *world) lowMin(stage Place, partition int) int64 {
	low := int64(math.MinInt64)
	switch stage {
	case Rank:
		low = w.shards[partition].low[w.end(stage, partition)]
	case Board, History:
		low = w.lanes[partition].low[w.end(stage, partition)]
	default:
	}
	return low
}

// exact checks O, when all is drained: every cell, dead letter and list.
func (w *world) exact() {
	k := &w.scenario.Knobs
	letters := 0
	rows := 0
	for p, log := range w.source {
		for _, o := range log.truth.outcomes {
			if !o.Decision.DeadLetter() {
				continue
			}
			letters++
			if reason, there := w.letters[place{p, o.Offset}]; !there || reason != o.Decision {
				w.failf("O", "source/%d offset %d has dead letter %v (%t), want %v", p, o.Offset, reason, there, o.Decision)
			}
		}
		rows += len(log.truth.cells)
		for key, want := range log.truth.cells {
			if got := w.history.cells[sourced{p, key}].totals; got != want {
				w.failf("O", "ClickHouse has for source/%d and %+v %+v, want %+v", p, key, got, want)
			}
			said := sim.Totals{}
			for _, t := range w.shards {
				if c, there := t.cells[p][key]; there {
					said = c
				}
			}
			if said != want {
				w.failf("O", "the updates say of source/%d and %+v %+v, want %+v", p, key, said, want)
			}
		}
	}
	if rows != len(w.history.cells) || letters != len(w.letters) {
		w.failf("O", "there are %d cells and %d dead letters, want %d and %d", len(w.history.cells), len(w.letters), rows, letters)
	}
	want := lists(k, w.shards)
	w.stored(want, nil, func(sim.List) bool { return true })
	for _, t := range w.shards {
		if t.refused > 0 {
			w.cover.note(AfterFinal)
			return
		}
	}
	w.whole(want)
}

// whole checks that, where nothing came after a window was dropped, the lists are those of all cells: nothing that the models have in common with
// the machines can hide a loss.
func (w *world) whole(lists map[event.ListKey]sim.List) {
	k := &w.scenario.Knobs
	var cells []sim.Cells
	for _, log := range w.source {
		cells = append(cells, log.truth.cells)
	}
	n := 0
	for i := range k.Boards {
		b := &k.Boards[i]
		for _, by := range b.By {
			for _, want := range sim.Rankings(k.Fold.Pane, k.oracleBoard(b, by), cells...) {
				n++
				got, there := lists[event.ListKey{Board: b.Name, By: joined(by), Group: want.Group, Start: want.Start}]
				if !there || !slices.Equal(got.Entries, want.Entries) || got.Exact != want.Exact || got.Duplicates != want.Duplicates {
					w.failf("O", "the updates come to %+v (%t), want %+v", got, there, want)
				}
			}
		}
	}
	if n != len(lists) {
		w.failf("O", "the updates come to %d lists, want %d", len(lists), n)
	}
}

// interim checks O, when all that has come has gone through, though not all windows have closed: lists are as they should be by then.
func (w *world) interim() {
	k := &w.scenario.Knobs
	want, between := lists(k, w.shards), map[event.ListKey]bool{}
	closed, first, last := int64(math.MaxInt64), int64(math.MaxInt64), event.NoTime
	for _, t := range w.shards {
		at, _ := t.now()
		closed = min(closed, at)
		for _, s := range t.sources {
			if s.closed != event.NoTime {
				at = max(at, s.closed+k.Fold.OutOfOrderness.Milliseconds())
			}
		}
		first, last = min(first, at), max(last, at)
	}
	for key := range want {
		board := k.Boards[slices.IndexFunc(k.Boards, func(b operators.Board) bool { return b.Name == key.Board })]
		s := spanOf(board.Window)
		if begins := key.Start + s.size - s.slide; s.slide < s.size && begins > first { // it is not ranked yet, or not in all shards: they can have heard of idleness at different times
			delete(want, key)
			between[key] = begins <= last
		}
	}
	w.stored(want, between, func(l sim.List) bool { return l.End+k.Fold.AllowedLateness.Milliseconds() <= closed })
}

// stored compares the stores' lists with those that they should have; some may be as they like.
func (w *world) stored(want map[event.ListKey]sim.List, may map[event.ListKey]bool, final func(l sim.List) bool) {
	newest := map[event.ListKey]event.ListKey{}
	for _, key := range sortedKeys(want) {
		w.same("ClickHouse", key, w.history.lists[key], want[key], final(want[key]))
		unstarted := key
		unstarted.Start = 0
		newest[unstarted] = key // the last one has the latest start
	}
	for key, got := range w.history.lists {
		if _, wanted := want[key]; !wanted && !may[key] {
			w.failf("O", "ClickHouse has %+v, which shouldn't be there", got)
		}
	}
	for at, got := range w.redis.lists {
		if key, wanted := newest[at]; wanted && !may[got.ListKey] {
			w.same("Redis", key, got, want[key], final(want[key]))
		} else if !may[got.ListKey] {
			w.failf("O", "Redis has %+v, which shouldn't be there", got)
		}
	}
	for at, key := range newest {
		if _, there := w.redis.lists[at]; !there {
			w.failf("O", "Redis lacks %+v", key)
		}
	}
}

// same compares a list in a store with the oracle's.
func (w *world) same(store string, key event.ListKey, got event.Ranking, want sim.List, final bool) {
	entries := slices.Equal(got.Entries, want.Entries) || !want.Exact && !got.Exact
	if !entries || got.Start != key.Start || got.End != want.End || got.Exact != want.Exact || got.Duplicates != want.Duplicates || got.Final != final {
		w.failf("O", "%s has %+v, want %+v, final %t", store, got, want, final)
	}
}
