package operators

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

// TestHalvesApart lets the first half of the fold run ahead of the second, and flushes between
// the two: a flush and its checkpoint are as of the last record counted, as if nothing were ahead.
func TestHalvesApart(t *testing.T) {
	eachTrace(t, foldTraces, func(t *testing.T, tr *trace) {
		const ahead = 5
		p := NewPartition(tr.settings(), 1, CheckpointAt(0))
		for i := range tr.Log {
			for k := i; i%ahead == 0 && k < min(i+ahead, len(tr.Log)); k++ {
				p.Deduplicate(&tr.Log[k].Record)
			}
			p.Count(&tr.Log[i].Record)
			row := &tr.After[i]
			if got := p.Checkpoint(); got != row.checkpoint() {
				t.Errorf("offset %d: checkpoint %+v, want %+v", i, got, row.checkpoint())
			}
			p.Flush(0, 1, false, 0, func(_ int, head event.Part, _ []event.Cell) {
				if w := orNoTime(row.W); head.AsOf != int64(i) || head.ClosedThrough != w || head.DroppedThrough != w {
					t.Errorf("offset %d: a flush says %+v, want W %d", i, head, w)
				}
			})
			p.Acked(0)
		}
	})
}

// TestNothingIsPublishedTwice restarts each stage from its last commit, everything having been
// acknowledged: after the replay its heartbeat goes out, and holds nothing.
func TestNothingIsPublishedTwice(t *testing.T) {
	t.Run("partition", func(t *testing.T) {
		eachTrace(t, foldTraces, func(t *testing.T, tr *trace) {
			p := NewPartition(tr.settings(), 1, tr.After[len(tr.After)-1].checkpoint())
			for i := p.counted + 1; i < int64(len(tr.Log)); i++ {
				p.Step(&tr.Log[i].Record)
			}
			sent := -1
			p.Flush(0, 1, true, 1, func(_ int, _ event.Part, cells []event.Cell) { sent = len(cells) })
			if sent != 0 {
				t.Errorf("%d cells in the flush after a replay, want a flush with none", sent)
			}
		})
	})
	t.Run("rank and merge", func(t *testing.T) {
		eachTrace(t, rankTraces, func(t *testing.T, tr *rankTrace) {
			r, rankings := NewRank(tr.boards(), tr.Settings.Sources, 1, ResumeAt(0)), []event.Rankings{}
			flush := func() {
				r.Flush(0, 1, func(_ int, head event.Part, lists []event.Ranking) {
					head.Last = true
					rankings = append(rankings, event.Rankings{Part: head, Lists: lists})
				})
				r.Acked(0)
			}
			for x := range tr.Log {
				take(t, r, tr, x)
			}
			flush()
			flush() // as of the same offset: a heartbeat
			from, _ := r.Commit()
			r = NewRank(tr.boards(), tr.Settings.Sources, 1, from)
			for x := int(from.LowWater); x < len(tr.Log); x++ {
				take(t, r, tr, x)
				if r.Flush(0, 1, nil) {
					t.Fatalf("offset %d: a flush in a replay", x)
				}
			}
			newer := tr.update(len(tr.Log) - 1) // the last heartbeat, as of a later offset
			newer.AsOf++
			if err := r.Take(int64(len(tr.Log)), newer); err != nil {
				t.Fatal(err)
			}
			flush()
			if last := rankings[len(rankings)-1]; len(last.Lists) > 0 {
				t.Errorf("rank publishes after a replay: %+v", last.Lists)
			}
			mergesOnce(t, tr.boards(), rankings)
		})
	})
}

func take(t *testing.T, r *Rank, tr *rankTrace, x int) {
	t.Helper()
	if err := r.Take(int64(x), tr.update(x)); err != nil {
		t.Fatal(err)
	}
}

// mergesOnce merges one shard's messages, of which the last one is a heartbeat, and restarts before that.
func mergesOnce(t *testing.T, b Boards, messages []event.Rankings) {
	t.Helper()
	m, last := NewMerge(b, 1, ResumeAt(0)), len(messages)-1
	takeRankings(t, m, messages, 0, last)
	m.Flush(func([]event.Ranking) {})
	m.Acked()
	from, _ := m.Commit()
	m = NewMerge(b, 1, from)
	takeRankings(t, m, messages, int(from.LowWater), last)
	if m.Flush(func([]event.Ranking) {}) {
		t.Error("merge flushes in a replay")
	}
	takeRankings(t, m, messages, last, last+1)
	m.Flush(func(lists []event.Ranking) {
		if len(lists) > 0 {
			t.Errorf("merge publishes after a replay: %+v", lists)
		}
	})
}

func takeRankings(t *testing.T, m *Merge, messages []event.Rankings, from, until int) {
	t.Helper()
	for x := from; x < until; x++ {
		u := messages[x]
		u.Lists = slices.Clone(u.Lists)
		if err := m.Take(int64(x), &u); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIDsThatAgreeInHalf: an ID is all of its 128 bits, of which the index holds 32.
func TestIDsThatAgreeInHalf(t *testing.T) {
	d := newDedup(DefaultSettings())
	for i, id := range []event.ID{{1 << 40, 1}, {1 << 40, 2}, {1<<40 + 1, 1}} {
		if duplicate, _ := d.see(int64(i), 0, 0, id, 0); duplicate {
			t.Errorf("ID %x is taken for another", id)
		}
	}
}

// TestSplit: no part is over the limit, but for one of a single entry; their numbers rise, and only the last one says so.
func TestSplit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	for range 1000 {
		sizes := make([]int, rng.IntN(12))
		for i := range sizes {
			sizes[i] = 1 + rng.IntN(9)
		}
		limit, number, last := 1+rng.IntN(20), 0, false
		var got []int
		Split(event.Part{AsOf: 7}, sizes, limit, func(n *int) int { return *n }, func(head event.Part, part []int) {
			sum := 0
			for _, n := range part {
				sum += n
			}
			if sum > limit && len(part) > 1 || head.Number != number || head.AsOf != 7 || last {
				t.Errorf("limit %d: part %+v of %v", limit, head, part)
			}
			number, last = number+1, head.Last
			got = append(got, part...)
		})
		if !last || !slices.Equal(got, sizes) {
			t.Errorf("limit %d: %v became %v, last %v", limit, sizes, got, last)
		}
	}
}

// TestCommitOfAnOlderFlush: however far one lane is ahead, the newest flush that all lanes
// have isn't forgotten, nor the one that the slow lane has been given.
func TestCommitOfAnOlderFlush(t *testing.T) {
	s := NewSender[int, int](2, 0, func(int) bool { return true }, func(int) {})
	give := func(int, []int) {}
	s.Begin(1, 11, give)
	s.Acked(0)
	s.Acked(1)
	s.Begin(2, 22, give)
	for asOf := int64(3); asOf < 3*begunMax; asOf++ {
		s.Acked(0)
		s.Begin(asOf, 0, give)
	}
	if ck, ok := s.Commit(9); !ok || ck != 11 {
		t.Errorf("commit %d, %v, want that of the first flush, 11", ck, ok)
	}
	s.Acked(1)
	if ck, ok := s.Commit(9); !ok || ck != 22 {
		t.Errorf("commit %d, %v, want that of the second flush, 22", ck, ok)
	}
}

// TestTakeRefusesStrangers: what isn't from this exchange is an error, and nothing of it is taken.
func TestTakeRefusesStrangers(t *testing.T) {
	b := Boards{Pane: time.Second, Dimensions: []string{"region"}, Boards: []Board{{Name: "a", Window: Window{Size: time.Second}, K: 1, By: [][]string{{}}}}}
	cell := event.Cell{Item: []byte("x"), Group: []byte(event.NewGroup("eu")), Count: 1, Sum: 1}
	off, negative := cell, cell
	off.Pane, negative.Count = 1, -1
	for i, u := range []event.Update{
		{Part: event.Part{Source: 2, Last: true}, Cells: []event.Cell{cell}},
		{Part: event.Part{Source: -1, Last: true}, Cells: []event.Cell{cell}},
		{Part: event.Part{Last: true}, Cells: []event.Cell{cell, off}},
		{Part: event.Part{Last: true}, Cells: []event.Cell{cell, negative}},
	} {
		r := NewRank(b, 2, 1, ResumeAt(0))
		if err := r.Take(0, &u); err == nil || len(r.panes) > 0 || r.in.At() >= 0 {
			t.Errorf("update %d: error %v, %d panes, at %d", i, err, len(r.panes), r.in.At())
		}
	}
	for i, u := range []event.Rankings{
		{Part: event.Part{Source: 2, Last: true}, Lists: []event.Ranking{{ListKey: event.ListKey{Board: "a"}}}},
		{Part: event.Part{Last: true}, Lists: []event.Ranking{{ListKey: event.ListKey{Board: "b"}}}},
		{Part: event.Part{Last: true}, Lists: []event.Ranking{{ListKey: event.ListKey{Board: "a"}, Entries: []event.Entry{{Item: "x", Score: 1}, {Item: "y", Score: 2}}}}},
	} {
		m := NewMerge(b, 2, ResumeAt(0))
		if err := m.Take(0, &u); err == nil || len(m.lists) > 0 || m.in.At() >= 0 {
			t.Errorf("rankings %d: error %v, %d lists, at %d", i, err, len(m.lists), m.in.At())
		}
	}
}

// TestWindowsOfAnInstant holds the windows' arithmetic against a search, before the epoch too.
func TestWindowsOfAnInstant(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	for range 2000 {
		slide := 1 + rng.Int64N(6)
		w := Window{Slide: time.Duration(slide) * time.Millisecond, Size: time.Duration(slide+rng.Int64N(12)) * time.Millisecond}
		w.Offset = time.Duration(rng.Int64N(2*slide-1)-slide+1) * time.Millisecond
		s, at := w.span(), rng.Int64N(60)-30
		var starts []int64
		for start := at - s.size + 1; start <= at; start++ {
			if (start-w.Offset.Milliseconds())%slide == 0 {
				starts = append(starts, start)
			}
		}
		if s.first(at) != starts[0] || s.last(at) != starts[len(starts)-1] {
			t.Errorf("%v at %d: windows from %d to %d, want %v", w, at, s.first(at), s.last(at), starts)
		}
	}
}

// TestIndex adds and removes under few hashes and many, and looks every position up again each time.
func TestIndex(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 9))
		hashes, held, ix := 1+rng.IntN(40), map[uint32]uint32{}, index{}
		for position := range uint32(400) {
			hash := uint32(mix(uint64(rng.IntN(hashes)+1))) | uint32(rng.IntN(2))*0xf000_0000 // half of them at the end, where a search wraps
			held[position] = hash
			ix.add(hash, position)
			for p, h := range held {
				if len(held) > 20 && rng.IntN(3) == 0 {
					ix.remove(h, p)
					delete(held, p)
				}
				if !ix.holdsAll(held) {
					t.Fatalf("seed %d: a position isn't found any more", seed)
				}
			}
		}
		if ix.used != len(held) {
			t.Errorf("seed %d: %d used, want %d", seed, ix.used, len(held))
		}
	}
}

func (ix *index) holdsAll(held map[uint32]uint32) bool {
	for position, hash := range held {
		probe, found := ix.probe(hash), false
		for at, ok := probe.next(); ok && !found; at, ok = probe.next() {
			found = at == position
		}
		if !found {
			return false
		}
	}
	return true
}
