package operators_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// modelled holds Rank against rankModel. What is compared is not only where it all
// ends, but what a receiver of its lists holds after each flush, whoever sent it: a list that
// was left out because the sender had said the same before is a list that another run may have overwritten.
type modelled struct {
	t       *testing.T
	rng     *rand.Rand
	boards  operators.Boards
	sources int
	lanes   int
	log     []message[event.Cell]
	after   []instant          // the model's, by message
	commits []operators.Resume // an uninterrupted Rank's checkpoints, by message
}

func newModelled(t *testing.T, seed uint64) *modelled {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 5))
	traffic := someTraffic(rng)
	g := &modelled{t: t, rng: rng, boards: traffic.boards, sources: traffic.sources, lanes: 1 + rng.IntN(2), log: traffic.updates(rng)}
	m := newRankModel(g.boards, g.sources)
	for x, msg := range g.log {
		g.after = append(g.after, m.take(int64(x), msg))
	}
	return g
}

// step takes message x in, and compares what is not in lists.
func (g *modelled) step(r *operators.Rank, x int) {
	if err := r.Take(int64(x), &event.Update{Part: g.log[x].part, Cells: ownCells(g.log[x].content)}); err != nil {
		g.t.Errorf("message %d: %v", x, err)
	}
	if want := &g.after[x]; !r.Replaying() && (r.ClosedThrough() != want.closed || r.DroppedThrough() != want.dropped) {
		g.t.Errorf("message %d: closed and dropped through %d, %d, want %d, %d", x, r.ClosedThrough(), r.DroppedThrough(), want.closed, want.dropped)
	}
}

// uninterrupted runs to the end in one go, and notes the checkpoint after each message.
func (g *modelled) uninterrupted() {
	r := operators.NewRank(g.boards, g.sources, g.lanes, operators.ResumeAt(0))
	to := g.receivers(-1)
	for x := range g.log {
		g.step(r, x)
		commit := r.Checkpoint()
		if low := g.after[x].low; commit.LowWater != low {
			g.t.Errorf("message %d: low-water %d, want %d", x, commit.LowWater, low)
		}
		g.commits = append(g.commits, commit)
		g.flush(r, to)
	}
}

// restarted runs from the checkpoint after a message. The run that was killed had flushed that far,
// or even some messages further, though it didn't get to commit it.
func (g *modelled) restarted(stop int) {
	from := g.commits[stop]
	r := operators.NewRank(g.boards, g.sources, g.lanes, from)
	to := g.receivers(min(len(g.log)-1, stop+g.rng.IntN(5)))
	for x := int(from.LowWater); x < len(g.log) && !g.t.Failed(); x++ {
		g.step(r, x)
		if low := r.Checkpoint().LowWater; x >= stop && low > g.after[x].low {
			g.t.Errorf("message %d: low-water %d is beyond %d", x, low, g.after[x].low)
		}
		g.flush(r, to)
	}
	if g.t.Failed() {
		g.t.Logf("restarted after message %d from %+v", stop, from)
	}
}

// flush publishes now and then. Now and then it doesn't arrive, or only its acknowledgement doesn't.
func (g *modelled) flush(r *operators.Rank, to []*lists) {
	if g.rng.IntN(3) == 0 {
		return
	}
	sent := map[int]message[event.Ranking]{}
	r.Flush(0, 1, func(lane int, head event.Part, content []event.Ranking) {
		head.Last = true
		sent[lane] = message[event.Ranking]{head, slices.Clone(content)}
	})
	for _, lane := range slices.Sorted(maps.Keys(sent)) {
		fate := g.rng.IntN(6)
		if fate > 0 {
			to[lane].take(sent[lane])
		}
		if fate > 1 {
			r.Acked(lane)
		} else {
			r.Failed(lane)
		}
	}
}

// mortal runs to the end through up to a dozen kills, each a little further on than the last commit,
// with flushes split, lost, cut short, and zombies' arriving among their successors'.
func (g *modelled) mortal() {
	life := &ranking{
		t: g.t, rng: g.rng, boards: g.boards, sources: g.sources, log: g.log, commit: operators.ResumeAt(0),
		rankings: &hop[event.Ranking]{lanes: make([][]message[event.Ranking], g.lanes)},
	}
	for range g.rng.IntN(12) {
		life.run(min(len(g.log)-1, int(life.commit.PublishedThrough)+1+g.rng.IntN(8)))
	}
	life.run(len(g.log))
	for lane, to := range g.receivers(-1) {
		for _, m := range life.rankings.lanes[lane] {
			to.take(m)
		}
		if to.asOf != int64(len(g.log)-1) {
			g.t.Errorf("lane %d: in the end its lists are as of %d of %d messages", lane, to.asOf, len(g.log))
		}
	}
}

// lists is what a lane's receiver holds: the newest of each list, of whole flushes only.
type lists struct {
	*modelled
	lane   int
	flying flying[event.Ranking]
	at     int64
	asOf   int64
	held   map[event.ListKey]event.Ranking
}

// receivers returns a receiver for each lane that has been told everything through a message, or nothing with -1.
func (g *modelled) receivers(through int) []*lists {
	var to []*lists
	for lane := range g.lanes {
		l := &lists{modelled: g, lane: lane, flying: flying[event.Ranking]{}, asOf: math.MinInt64, held: map[event.ListKey]event.Ranking{}}
		if through >= 0 {
			l.asOf = int64(through)
			maps.Copy(l.held, l.want())
		}
		to = append(to, l)
	}
	return to
}

// want returns the model's lists of the lane as of what the receiver has.
func (l *lists) want() map[event.ListKey]event.Ranking {
	want := map[event.ListKey]event.Ranking{}
	for key, list := range l.after[l.asOf].lists {
		if operators.Lane(key, l.lanes) == l.lane {
			want[key] = list
		}
	}
	return want
}

// take takes a message in, and compares all lists with the model's when that has made a newer flush whole.
func (l *lists) take(m message[event.Ranking]) {
	l.at++
	whole := l.flying.take(l.at, m)
	if whole == nil || whole.asOf <= l.asOf || whole.asOf < 0 || l.t.Failed() { // as of -1 nothing was taken yet
		return
	}
	l.asOf = whole.asOf
	l.flying.void(m.part.Source, l.asOf)
	for _, list := range whole.content {
		if list.Revision != l.asOf {
			l.t.Errorf("a list of revision %d in a flush as of %d: %+v", list.Revision, l.asOf, list)
		}
		l.held[list.ListKey] = list
	}
	if now := &l.after[l.asOf]; m.part.ClosedThrough != now.closed || m.part.DroppedThrough != now.dropped {
		l.t.Errorf("a flush as of %d, closed and dropped through %d, %d, want %d, %d", l.asOf, m.part.ClosedThrough, m.part.DroppedThrough, now.closed, now.dropped)
	}
	l.compare(l.want())
	if l.t.Failed() {
		l.t.Logf("lane %d as of %d, run %d", l.lane, l.asOf, m.part.Incarnation)
	}
}

// compare holds the lists against the model's. Where a sum has run over, only that must be known.
func (l *lists) compare(want map[event.ListKey]event.Ranking) {
	for key, w := range want {
		held, ok := l.held[key]
		if !ok {
			l.t.Errorf("a list is missing: %+v", w)
			return
		}
		if !w.Exact && !held.Exact {
			held.Entries = w.Entries
		}
		held.Revision = 0
		if !slices.Equal(w.Entries, held.Entries) || w.End != held.End || w.Final != held.Final || w.Exact != held.Exact || w.Duplicates != held.Duplicates {
			l.t.Errorf("%+v (-want +got):\n%s", key, gocmp.Diff(w, held))
			return
		}
	}
	for key := range l.held {
		if _, ok := want[key]; !ok {
			l.t.Errorf("a list that shouldn't be: %+v", l.held[key])
		}
	}
}

// TestRankEqualsModel draws boards and updates of all sorts, with restarted sources, zombies, split flushes,
// idleness and waking, and ranks them in one go, with kills, and from a restart after each message.
func TestRankEqualsModel(t *testing.T) {
	eachSeed(t, seeds(700), func(t *testing.T, seed uint64) {
		g := newModelled(t, seed)
		g.uninterrupted()
		for range 4 {
			g.mortal()
		}
		for stop := range g.log {
			if len(g.log) < 40 && !t.Failed() {
				g.restarted(stop)
			}
		}
		if t.Failed() {
			t.Logf("%d sources, %d messages; boards %+v", g.sources, len(g.log), g.boards)
		}
	})
}
