package operators_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// roomed runs a shard's log with a budget, and holds what it says against the truth.
type roomed struct {
	t       *testing.T
	rng     *rand.Rand
	boards  operators.Boards
	sources int
	log     []message[event.Cell]
	commits []operators.Resume
	tolds   []map[event.ListKey]event.Ranking // after each message
	gone    int64

	exact, inexact *atomic.Int64 // lists that were true
}

// take takes message x in. Neither a message nor what it makes go may hold too many cells.
func (g *roomed) take(r *operators.Rank, x int) {
	g.t.Helper()
	if err := r.Take(int64(x), &event.Update{Part: g.log[x].part, Cells: ownCells(g.log[x].content)}); err != nil {
		g.t.Errorf("message %d: %v", x, err)
	}
	if held, limit, _ := r.Room(); limit > 0 && held > limit {
		g.t.Errorf("message %d: %d cells, the budget is %d", x, held, limit)
	}
}

// flush publishes now and then; sometimes it doesn't arrive.
func (g *roomed) flush(r *operators.Rank, told map[event.ListKey]event.Ranking) {
	if g.rng.IntN(3) == 0 {
		return
	}
	arrived, began := g.rng.IntN(5) > 0, false
	r.Flush(0, 1, func(_ int, _ event.Part, lists []event.Ranking) {
		began = true
		for i := range lists {
			if i > 0 && lists[i].ListKey == lists[i-1].ListKey {
				g.t.Errorf("a flush has two lists of %+v", lists[i].ListKey)
			}
			if arrived {
				told[lists[i].ListKey] = lists[i]
			}
		}
	})
	switch {
	case began && arrived:
		r.Acked(0)
	case began:
		r.Failed(0)
	}
}

// check holds everything that the receiver has against the truth now: also what was told long ago.
func (g *roomed) check(o *roomOracle, told map[event.ListKey]event.Ranking, x int) {
	for _, l := range told {
		if err := o.check(&l); err != nil {
			g.t.Errorf("message %d: %+v: %v", x, l, err)
		}
		if l.Exact {
			g.exact.Add(1)
		} else {
			g.inexact.Add(1)
		}
	}
}

// settle tells everything.
func (g *roomed) settle(r *operators.Rank, told map[event.ListKey]event.Ranking) bool {
	return r.Flush(0, 1, func(_ int, _ event.Part, lists []event.Ranking) {
		for i := range lists {
			if i > 0 && lists[i].ListKey == lists[i-1].ListKey {
				g.t.Errorf("a flush has two lists of %+v", lists[i].ListKey)
			}
			told[lists[i].ListKey] = lists[i]
		}
		r.Acked(0)
	})
}

// run goes from a checkpoint to the end. Now and then everything is told, and then all of it must be true.
func (g *roomed) run(from operators.Resume, told map[event.ListKey]event.Ranking, after func(x int, r *operators.Rank)) {
	r := operators.NewRank(g.boards, g.sources, 1, from)
	o := newRoomOracle(g.boards, g.sources)
	for x := range g.log {
		if g.t.Failed() {
			return
		}
		o.take(int64(x), g.log[x])
		if int64(x) < from.LowWater {
			continue
		}
		g.take(r, x)
		g.flush(r, told)
		if g.rng.IntN(2) == 0 && g.settle(r, told) {
			g.check(o, told, x)
		}
		after(x, r)
	}
	g.settle(r, told)
	g.check(o, told, len(g.log)-1)
	_, _, gone := r.Room()
	g.gone += gone
}

// cellsMost returns the most cells that are held with no budget.
func (g *roomed) cellsMost() int {
	r, most := operators.NewRank(g.boards, g.sources, 1, operators.ResumeAt(0)), 0
	for x := range g.log {
		g.take(r, x)
		held, _, _ := r.Room()
		most = max(most, held)
	}
	return most
}

// enough returns a budget with which nothing goes: the most cells that are held after a message, or a few more for those that come
// before time has moved and others are dropped.
func (g *roomed) enough() int {
	g.boards.RankItems = max(1, g.cellsMost())
	for {
		r := operators.NewRank(g.boards, g.sources, 1, operators.ResumeAt(0))
		for x := range g.log {
			g.take(r, x)
		}
		if _, limit, gone := r.Room(); gone == 0 {
			return limit
		}
		g.boards.RankItems++
	}
}

// TestRankRoomBounds draws boards and updates of all sorts, and budgets from one cell to all but one. Whatever
// a list says must be true, when it is published and for as long as it isn't published again: in one run, and after a restart at any message.
func TestRankRoomBounds(t *testing.T) {
	var exact, inexact, gone atomic.Int64
	eachSeed(t, seeds(300), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 22))
		traffic := someTraffic(rng)
		g := &roomed{t: t, rng: rng, boards: traffic.boards, sources: traffic.sources, log: traffic.updates(rng), exact: &exact, inexact: &inexact}
		most := g.cellsMost()
		if most < 2 {
			return
		}
		g.boards.RankItems = 1 + rng.IntN(most-1)
		told := map[event.ListKey]event.Ranking{}
		g.run(operators.ResumeAt(0), told, func(_ int, r *operators.Rank) {
			if !g.settle(r, told) {
				t.Errorf("nothing was flushed")
			}
			g.commits, g.tolds = append(g.commits, r.Checkpoint()), append(g.tolds, maps.Clone(told))
		})
		for range 3 {
			if stop := rng.IntN(len(g.commits)); !t.Failed() {
				g.run(g.commits[stop], maps.Clone(g.tolds[stop]), func(int, *operators.Rank) {})
				if t.Failed() {
					t.Logf("restarted after message %d from %+v", stop, g.commits[stop])
				}
			}
		}
		gone.Add(g.gone)
		if t.Failed() {
			t.Logf("%d sources, %d messages, budget %d of %d; boards %+v", g.sources, len(g.log), g.boards.RankItems, most, g.boards)
		}
	})
	t.Logf("%d exact lists, %d inexact ones, %d cells went", exact.Load(), inexact.Load(), gone.Load())
}

// mortal runs to the end through kills, with flushes lost and zombies, and holds every list that any run
// publishes against the truth as of its revision.
func (g *roomed) mortal() {
	life := &ranking{
		t: g.t, rng: g.rng, boards: g.boards, sources: g.sources, log: g.log, commit: operators.ResumeAt(0),
		rankings: &hop[event.Ranking]{lanes: make([][]message[event.Ranking], 2)},
	}
	for range g.rng.IntN(8) {
		life.run(min(len(g.log)-1, int(life.commit.PublishedThrough)+1+g.rng.IntN(8)))
	}
	life.run(len(g.log))
	published := map[int64][]event.Ranking{}
	for _, lane := range life.rankings.lanes {
		for _, m := range lane {
			published[m.part.AsOf] = append(published[m.part.AsOf], m.content...)
		}
	}
	o := newRoomOracle(g.boards, g.sources)
	for x := range g.log {
		o.take(int64(x), g.log[x])
		for _, l := range published[int64(x)] {
			if err := o.check(&l); err != nil {
				g.t.Errorf("message %d: %+v: %v", x, l, err)
				return
			}
		}
	}
}

// TestRankRoomThroughKills draws the same, and kills: what any run says is true as of its revision.
func TestRankRoomThroughKills(t *testing.T) {
	eachSeed(t, seeds(300), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 24))
		traffic := someTraffic(rng)
		g := &roomed{t: t, rng: rng, boards: traffic.boards, sources: traffic.sources, log: traffic.updates(rng)}
		most := g.cellsMost()
		if most < 2 {
			return
		}
		g.boards.RankItems = 1 + rng.IntN(most-1)
		g.mortal()
	})
}

// TestRankRoomUnused: a budget that just suffices changes nothing.
func TestRankRoomUnused(t *testing.T) {
	eachSeed(t, seeds(200), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 23))
		traffic := someTraffic(rng)
		g := &roomed{t: t, rng: rng, boards: traffic.boards, sources: traffic.sources, log: traffic.updates(rng)}
		g.boards.RankItems = g.enough()
		var runs [2]*operators.Rank
		for i := range runs {
			runs[i] = operators.NewRank(g.boards, g.sources, 1, operators.ResumeAt(0))
			g.boards.RankItems = 0
		}
		for x := range g.log {
			var flushed [2][]event.Ranking
			ack := rng.IntN(4) > 0
			for i, r := range runs {
				g.take(r, x)
				r.Flush(0, 1, func(_ int, _ event.Part, lists []event.Ranking) { flushed[i] = slices.Clone(lists) })
				if ack {
					r.Acked(0)
				} else {
					r.Failed(0)
				}
			}
			if !reflect.DeepEqual(flushed[0], flushed[1]) {
				t.Errorf("message %d (-with +without a budget):\n%s", x, gocmp.Diff(flushed[0], flushed[1]))
				return
			}
		}
	})
}
