package wire

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrank/millrank/event"
)

// benchCells draws the cells of a flush, in no order: 50 groups, items that are the more
// often there the more popular they are, in 3 panes.
func benchCells(n int, values bool) []event.Cell {
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, 1.1, 8, 100000)
	var cells []event.Cell
	seen := map[string]bool{}
	for len(cells) < n {
		c := event.Cell{
			Pane:  1795300020000 + 60000*int64(rng.IntN(3)),
			Group: []byte(event.NewGroup(fmt.Sprintf("region-%d", rng.IntN(50)))),
			Item:  fmt.Appendf(nil, "post-%07d", zipf.Uint64()*7919%10000000),
			Count: 1 + int64(rng.ExpFloat64()*3), Min: 1, Max: 1,
		}
		key := fmt.Sprint(c.Pane, string(c.Group), string(c.Item))
		if seen[key] {
			continue
		}
		seen[key] = true
		c.Sum = c.Count
		if values {
			c.Min, c.Max = rng.Int64N(100), 100+rng.Int64N(10000)
			c.Sum, c.Duplicates = c.Count*(c.Min+c.Max)/2, rng.Int64N(2)
		}
		cells = append(cells, c)
	}
	return cells
}

func benchUpdates(b *testing.B, run func(b *testing.B, cells []event.Cell)) {
	for _, values := range []bool{false, true} {
		for _, n := range []int{100, 5000, 50000} {
			name := fmt.Sprintf("counts/%d", n)
			if values {
				name = fmt.Sprintf("values/%d", n)
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				run(b, benchCells(n, values))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/cell")
			})
		}
	}
}

// BenchmarkUpdateEncode: one op is one update. It says how many bytes a cell takes, and its CellSize.
func BenchmarkUpdateEncode(b *testing.B) {
	benchUpdates(b, func(b *testing.B, cells []event.Cell) {
		s := testSender()
		e := newEncoder(b, s)
		var message []byte
		for b.Loop() {
			var err error
			if message, err = e.Append(message[:0], 0, event.Part{Source: s.Partition}, cells); err != nil {
				b.Fatal(err)
			}
		}
		bound := 0
		for i := range cells {
			bound += CellSize(&cells[i])
		}
		b.ReportMetric(float64(len(message))/float64(len(cells)), "B/cell")
		b.ReportMetric(float64(bound)/float64(len(cells)), "CellSize")
	})
}

// BenchmarkUpdateDecode: one op is one update.
func BenchmarkUpdateDecode(b *testing.B) {
	benchUpdates(b, func(b *testing.B, cells []event.Cell) {
		s := testSender()
		message := encode(b, newEncoder(b, s), 0, event.Update{Part: event.Part{Source: s.Partition}, Cells: cells})
		for b.Loop() {
			if _, _, _, err := DecodeUpdate(message); err != nil {
				b.Fatal(err)
			}
		}
	})
}
