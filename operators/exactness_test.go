package operators_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// mingle mixes several senders' logs of one lane, each in its own order.
func mingle[C any](rng *rand.Rand, logs [][]message[C]) []message[C] {
	var mixed []message[C]
	left := make([][]message[C], 0, len(logs))
	for _, l := range logs {
		if len(l) > 0 {
			left = append(left, l)
		}
	}
	for len(left) > 0 {
		i := rng.IntN(len(left))
		n := 1 + rng.IntN(min(len(left[i]), 1+rng.IntN(20)))
		mixed, left[i] = append(mixed, left[i][:n]...), left[i][n:]
		if len(left[i]) == 0 {
			left = append(left[:i], left[i+1:]...)
		}
	}
	return mixed
}

// ranking is a shard's life through crashes and restarts.
type ranking struct {
	t        *testing.T
	rng      *rand.Rand
	boards   operators.Boards
	shard    int
	sources  int
	log      []message[event.Cell]
	commit   operators.Resume
	rankings *hop[event.Ranking]
	zombies  []*sending[event.Ranking]
	runs     uint64
}

// run ranks from the last commit up to message until, and is killed there; with until at the log's end it finishes.
func (g *ranking) run(until int) {
	g.runs++
	r := operators.NewRank(g.boards, g.sources, len(g.rankings.lanes), g.commit)
	s := newSending(g.rng, g.rankings, r.Acked, r.Failed)
	flush := func() {
		r.Flush(g.shard, g.runs, func(lane int, head event.Part, lists []event.Ranking) { s.send(lane, head, lists) })
	}
	for x := int(g.commit.LowWater); x < until; x++ {
		m := g.log[x]
		if err := r.Take(int64(x), &event.Update{Part: m.part, Cells: ownCells(m.content)}); err != nil {
			g.t.Error(err)
		}
		if g.rng.IntN(8) == 0 { // a redelivery
			if err := r.Take(int64(x), &event.Update{Part: m.part, Cells: ownCells(m.content)}); err != nil {
				g.t.Error(err)
			}
		}
		for _, z := range g.zombies {
			z.haunt()
		}
		if g.rng.IntN(4) == 0 {
			flush()
		}
		s.deliver(false)
		if ck, ok := r.Commit(); ok && g.rng.IntN(4) > 0 {
			g.commit = ck
		}
	}
	if until < len(g.log) {
		g.zombies = append(g.zombies, s)
		return
	}
	for range 8 {
		for _, z := range g.zombies {
			z.haunt()
		}
	}
	s.deliver(true)
	flush()
	s.deliver(true)
}

// store is what the leaderboard writes to: the newest revision of each list.
type store struct {
	t     *testing.T
	lists map[event.ListKey]event.Ranking
}

// write refuses what is older, as the Redis script does. The same revision must be the same list.
func (s *store) write(lists []event.Ranking, k map[string]int) {
	for _, l := range lists {
		before, ok := s.lists[l.ListKey]
		switch {
		case ok && l.Revision < before.Revision:
			continue
		case ok && l.Revision == before.Revision && !reflect.DeepEqual(l, before):
			s.t.Errorf("two lists of revision %d:\n%+v\n%+v", l.Revision, before, l)
		case ok && before.Final && !l.Final:
			s.t.Errorf("a final list became interim: %+v", l)
		}
		if len(l.Entries) > k[l.Board] {
			s.t.Errorf("%d entries: %+v", len(l.Entries), l)
		}
		s.lists[l.ListKey] = l
	}
}

// merging is the life of the leaderboard of one lane through crashes and restarts.
type merging struct {
	t      *testing.T
	rng    *rand.Rand
	boards operators.Boards
	shards int
	log    []message[event.Ranking]
	commit operators.Resume
	store  *store
}

func (g *merging) run(until int) {
	m := operators.NewMerge(g.boards, g.shards, g.commit)
	k := map[string]int{}
	for _, b := range g.boards.Boards {
		k[b.Name] = b.K
	}
	for x := int(g.commit.LowWater); x < until; x++ {
		msg := g.log[x]
		if err := m.Take(int64(x), &event.Rankings{Part: msg.part, Lists: append([]event.Ranking(nil), msg.content...)}); err != nil {
			g.t.Error(err)
		}
		if g.rng.IntN(3) > 0 && x < len(g.log)-1 {
			continue
		}
		for range 3 { // the last one gets through
			began := m.Flush(func(lists []event.Ranking) { g.store.write(lists, k) })
			if began && g.rng.IntN(4) > 0 {
				m.Acked()
			} else if began {
				m.Failed()
			}
		}
		if ck, ok := m.Commit(); ok && g.rng.IntN(3) > 0 {
			g.commit = ck
		}
	}
}

// pipeline runs logs through everything, killing each stage now and then, and returns the store.
func pipeline(t *testing.T, rng *rand.Rand, s operators.Settings, b operators.Boards, shards, lanes int, logs [][]sim.Record, kills int) map[event.ListKey]event.Ranking {
	t.Helper()
	updates := make([][][]message[event.Cell], shards)
	for source, log := range logs {
		f := newFolding(t, rng, s, source, shards, log)
		for range rng.IntN(kills + 1) {
			f.run(rng.IntN(len(log)))
		}
		f.run(len(log))
		for i, lane := range f.updates.lanes {
			updates[i] = append(updates[i], lane)
		}
	}
	rankings := make([][][]message[event.Ranking], lanes)
	for shard := range updates {
		g := &ranking{
			t: t, rng: rng, boards: b, shard: shard, sources: len(logs), log: mingle(rng, updates[shard]),
			commit: operators.ResumeAt(0), rankings: &hop[event.Ranking]{lanes: make([][]message[event.Ranking], lanes)},
		}
		for range rng.IntN(kills + 1) {
			g.run(rng.IntN(len(g.log)))
		}
		g.run(len(g.log))
		for i, lane := range g.rankings.lanes {
			rankings[i] = append(rankings[i], lane)
		}
	}
	out := &store{t, map[event.ListKey]event.Ranking{}}
	for lane := range rankings {
		g := &merging{t: t, rng: rng, boards: b, shards: shards, log: mingle(rng, rankings[lane]), commit: operators.ResumeAt(0), store: out}
		for range rng.IntN(kills + 1) {
			g.run(rng.IntN(len(g.log)))
		}
		g.run(len(g.log))
	}
	return out.lists
}

// wanted returns the oracle's lists.
func wanted(s operators.Settings, b operators.Boards, partitions []sim.Cells) map[event.ListKey]event.Ranking {
	lists := map[event.ListKey]event.Ranking{}
	for _, board := range b.Boards {
		for _, by := range board.By {
			var dims []int
			name := ""
			for i, dimension := range by {
				for d := range b.Dimensions {
					if b.Dimensions[d] == dimension {
						dims = append(dims, d)
					}
				}
				if i > 0 {
					name += ","
				}
				name += dimension
			}
			slide := board.Window.Slide
			if slide == 0 {
				slide = board.Window.Size
			}
			for _, l := range sim.Rankings(s.Pane, sim.Board{
				Size: board.Window.Size, Slide: slide, Offset: board.Window.Offset, Dims: dims,
				Measure: sim.Measure(board.Measure), Scale: b.ValueScale, MinCount: board.MinCount, Order: board.Order, K: board.K,
			}, partitions...) {
				key := event.ListKey{Board: board.Name, By: name, Group: l.Group, Start: l.Start}
				lists[key] = event.Ranking{ListKey: key, End: l.End, Entries: l.Entries, Final: true, Exact: l.Exact, Duplicates: l.Duplicates}
			}
		}
	}
	return lists
}

// compareLists holds published lists against the oracle's. Where a sum has run over, only that must be known.
func compareLists(t *testing.T, want, got map[event.ListKey]event.Ranking) {
	t.Helper()
	for _, key := range slices.SortedFunc(maps.Keys(want), event.ListKey.Compare) {
		w := want[key]
		g, ok := got[key]
		g.Revision = 0
		if ok && !g.Exact && !w.Exact {
			continue
		}
		if len(w.Entries)+len(g.Entries) == 0 {
			w.Entries, g.Entries = nil, nil
		}
		if d := gocmp.Diff(w, g); d != "" {
			t.Errorf("%+v (-want +got):\n%s", key, d)
			return
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("a list that shouldn't be: %+v", got[key])
		}
	}
}

// someBoards draws boards of all sorts over panes of this length.
func someBoards(rng *rand.Rand, s operators.Settings, dims int) operators.Boards {
	pick := func(n ...int) time.Duration { return time.Duration(n[rng.IntN(len(n))]) * s.Pane }
	all := [][]string{{}, {"region"}, {"category"}, {"region", "category"}, {"category", "region"}}
	if dims == 1 {
		all = all[:2]
	}
	b := operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness,
		ReviseFor: time.Hour, ValueScale: rng.IntN(3), Dimensions: []string{"region", "category"}[:dims],
	}
	for i := range 1 + rng.IntN(4) {
		board := operators.Board{
			Name: string(rune('a' + i)), Measure: operators.Measure(rng.IntN(3)), Order: event.Order(rng.IntN(2)),
			K: 1 + rng.IntN(5), MinCount: int64(rng.IntN(3)),
		}
		switch rng.IntN(3) {
		case 0:
			board.Window.Size = pick(1, 2, 5)
		case 1:
			board.Window.Slide = pick(1, 2)
			board.Window.Size = board.Window.Slide * time.Duration(1+rng.IntN(4))
		case 2: // the slide doesn't divide the size, and both are shifted
			board.Window.Slide, board.Window.Size = 2*s.Pane, pick(3, 5)
			board.Window.Offset = pick(-1, 0, 1)
		}
		for _, j := range rng.Perm(len(all))[:1+rng.IntN(len(all))] {
			board.By = append(board.By, all[j])
		}
		b.Boards = append(b.Boards, board)
	}
	return b
}

// TestRankingsEqualOracle runs 1,000 seeds' logs of one to three source partitions through fold, rank and
// merge, with 1 to 7 shards, sources interleaved at random, flushes split, lost, cut
// short, repeated and mixed with zombies', and every stage killed and restarted. Each final list must be the oracle's.
func TestRankingsEqualOracle(t *testing.T) {
	eachSeed(t, seeds(1000), func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 2))
		o := sim.SharpOptions(rng)
		if seed%10 == 0 {
			o = sim.OverflowOptions(rng)
		}
		o.Records = 60 + rng.IntN(80)
		dims := 1
		if o.Categories > 0 {
			dims = 2
		}
		b := someBoards(rng, o.Settings, dims)
		logs := sim.Generate(seed, o)
		got := pipeline(t, rng, o.Settings, b, 1+rng.IntN(7), 1+rng.IntN(3), logs, 2)
		var cells []sim.Cells
		for _, log := range logs {
			cells = append(cells, sim.CellsOf(o.Settings, log, sim.Decide(o.Settings, log)))
		}
		compareLists(t, wanted(o.Settings, b, cells), got)
		if t.Failed() {
			t.Logf("settings %+v\nboards %+v", o.Settings, b)
		}
	})
}
