package handlers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrank/millrank/event"
)

// TestWaitingCells compares it with a map of the newest cells, over updates in any order, writes that fail, and ones that succeed.
func TestWaitingCells(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const sources, panes, closeAfter = 3, 4, 10
	for range 200 {
		w := newWaitingCells(sources, closeAfter)
		type id struct {
			source, pane int64
			item         string
		}
		waits, closed := map[id]int64{}, make([]int64, sources) // as-ofs
		for i := range closed {
			closed[i] = event.NoTime
		}
		var flying []CellRow
		for range 200 {
			switch rng.IntN(5) {
			case 0:
				if flying == nil {
					flying = w.give()
					if w.size() > 0 || w.soon() {
						t.Fatal("something is left")
					}
					if len(flying) != len(waits) {
						t.Fatalf("%d rows, want %d", len(flying), len(waits))
					}
					for _, r := range flying {
						at := id{int64(r.Partition), r.Pane, r.Item}
						if r.AsOf != waits[at] || r.Count != r.AsOf || r.Group != event.NewGroup(r.Item[:1]) {
							t.Fatalf("row %+v, want it as of %d", r, waits[at])
						}
					}
					clear(waits)
				}
			case 1:
				if rng.IntN(2) == 0 {
					w.reuse(flying)
				} else {
					for _, r := range flying {
						at := id{int64(r.Partition), r.Pane, r.Item}
						waits[at] = max(waits[at], r.AsOf)
					}
					w.restore(flying)
				}
				flying = nil
			default:
				u := event.Update{Part: event.Part{Source: rng.IntN(sources), AsOf: 1 + rng.Int64N(100), ClosedThrough: rng.Int64N(30), Last: true}}
				for range rng.IntN(4) {
					item := fmt.Sprint(rng.IntN(3))
					u.Cells = append(u.Cells, event.Cell{Pane: rng.Int64N(panes) * 5, Group: []byte(event.NewGroup(item)), Item: []byte(item), Count: u.AsOf})
					at := id{int64(u.Source), u.Cells[len(u.Cells)-1].Pane, item}
					waits[at] = max(waits[at], u.AsOf)
				}
				closed[u.Source] = max(closed[u.Source], u.ClosedThrough)
				w.add(&u)
			}
			soon := false
			for at := range waits {
				soon = soon || at.pane+closeAfter <= closed[at.source]
			}
			if w.size() != len(waits) || w.soon() != soon {
				t.Fatalf("%d rows, soon %v; want %d, %v", w.size(), w.soon(), len(waits), soon)
			}
		}
	}
}

// updateOfCells is one of n cells, which are not the same as another number's.
func updateOfCells(number, n int) *event.Update {
	u := &event.Update{Part: event.Part{AsOf: int64(number), Last: true, ClosedThrough: event.NoTime}}
	group := []byte(event.NewGroup("eu"))
	for i := range n {
		u.Cells = append(u.Cells, event.Cell{Group: group, Item: fmt.Appendf(nil, "item-%d-%06d", number, i), Count: 1})
	}
	return u
}

// TestWaitingCellsAllocates: a cell that waits already allocates nothing, and a new one its item's bytes.
func TestWaitingCellsAllocates(t *testing.T) {
	const n = 1000
	w := newWaitingCells(1, 0)
	u := updateOfCells(1, n)
	w.add(u)
	if allocs := testing.AllocsPerRun(10, func() { u.AsOf++; w.add(u) }); allocs > 0 {
		t.Errorf("%v allocations for %d cells that are known", allocs, n)
	}
	w.reuse(w.give())
	if allocs := testing.AllocsPerRun(10, func() { w.add(u); w.reuse(w.give()) }); allocs > n+3 {
		t.Errorf("%v allocations for %d new cells", allocs, n)
	}
}

// BenchmarkWaitingCells takes cells in, of which one in four is new.
func BenchmarkWaitingCells(b *testing.B) {
	const n = 10_000
	updates := slices.Collect(func(yield func(*event.Update) bool) {
		for i := range 8 {
			yield(updateOfCells(i, n))
		}
	})
	w := newWaitingCells(1, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u := updates[i/4%len(updates)]
		u.AsOf++
		w.add(u)
		if w.size() >= 40_000 {
			w.reuse(w.give())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/cell")
}
