package operators_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// crowd is a shard's input: items of many groups, each with one cell of a pane.
type crowd struct {
	rng   *rand.Rand
	items [][]event.Cell // by group, by item: as told last
	zipf  *rand.Zipf
	asOf  int64
}

func newCrowd(groups, items int) *crowd {
	c := &crowd{rng: rand.New(rand.NewPCG(7, 8)), items: make([][]event.Cell, groups)}
	c.zipf = rand.NewZipf(c.rng, 1.1, 1, uint64(items-1))
	for g := range c.items {
		group := []byte(event.NewGroup(fmt.Sprintf("region-%d", g)))
		for i := range items {
			count := 1 + int64(items)/int64(i+1) + c.rng.Int64N(3)
			item := fmt.Appendf(nil, "post-%d-%d", g, i)
			c.items[g] = append(c.items[g], event.Cell{Group: group, Item: item, Count: count, Sum: count * (50 + c.rng.Int64N(100))})
		}
	}
	return c
}

// all tells every item's cell, in a pane.
func (c *crowd) all(pane int64) *event.Update {
	var cells []event.Cell
	for _, group := range c.items {
		for _, cell := range group {
			cell.Pane = pane
			cells = append(cells, cell)
		}
	}
	return c.tell(pane, cells)
}

// some has a number of items in each group counted more, by Zipf's law: mostly those that are listed.
func (c *crowd) some(perGroup int) *event.Update {
	var cells []event.Cell
	for _, group := range c.items {
		for range perGroup {
			cell := &group[c.zipf.Uint64()]
			cell.Count++
			cell.Sum += 50 + c.rng.Int64N(100)
			cells = append(cells, *cell)
		}
	}
	return c.tell(0, cells)
}

func (c *crowd) tell(watermark int64, cells []event.Cell) *event.Update {
	c.asOf++
	return &event.Update{Part: event.Part{AsOf: c.asOf, Last: true, ClosedThrough: watermark, DroppedThrough: watermark}, Cells: cells}
}

// ranked are boards by count, sum and average, per region.
func ranked(w operators.Window) operators.Boards {
	b := operators.Boards{Pane: time.Minute, ReviseFor: 10 * time.Minute, Dimensions: []string{"region"}}
	for name, measure := range []operators.Measure{operators.Count, operators.Sum, operators.Average} {
		b.Boards = append(b.Boards, operators.Board{
			Name: fmt.Sprint("board-", name), Window: w, Measure: measure, K: 100, By: [][]string{{"region"}},
		})
	}
	return b
}

// BenchmarkRankFlush flushes 300 lists of 100, of 100 regions with 2,000 items each, of
// which 1 % have changed. One op is one flush; taking the changes in doesn't count.
func BenchmarkRankFlush(b *testing.B) {
	c := newCrowd(100, 2000)
	r := operators.NewRank(ranked(operators.Window{Size: time.Minute}), 1, 4, operators.ResumeAt(0))
	takeAndFlush(b, r, 0, c.all(0))
	var used time.Duration
	for at := int64(1); b.Loop(); at++ {
		b.StopTimer()
		u := c.some(20)
		if err := r.Take(at, u); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		start := cpu()
		r.Flush(0, 1, func(int, event.Part, []event.Ranking) {})
		used += cpu() - start
		for lane := range 4 {
			r.Acked(lane)
		}
	}
	b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// BenchmarkWindowBegins has a window begin that slides over five panes of 100,000 cells, and
// makes its lists. One op is one window.
func BenchmarkWindowBegins(b *testing.B) {
	const minute = int64(time.Minute / time.Millisecond)
	c := newCrowd(100, 1000)
	r := operators.NewRank(ranked(operators.Window{Size: 6 * time.Minute, Slide: time.Minute}), 1, 4, operators.ResumeAt(0))
	var at int64
	for ; at < 20; at += 2 { // the first windows have been dropped
		takeAndFlush(b, r, at, c.all(at/2*minute))
		takeAndFlush(b, r, at+1, c.tell((at/2+1)*minute, nil))
	}
	var took, flushed time.Duration
	for ; b.Loop(); at += 2 {
		b.StopTimer()
		takeAndFlush(b, r, at, c.all(at/2*minute))
		begins := c.tell((at/2+1)*minute, nil)
		b.StartTimer()
		start := cpu()
		if err := r.Take(at+1, begins); err != nil {
			b.Fatal(err)
		}
		took += cpu() - start
		start = cpu()
		r.Flush(0, 1, func(int, event.Part, []event.Ranking) {})
		flushed += cpu() - start
		for lane := range 4 {
			r.Acked(lane)
		}
	}
	b.ReportMetric(took.Seconds()*1e3/float64(b.N), "take-cpu-ms/op")
	b.ReportMetric(flushed.Seconds()*1e3/float64(b.N), "flush-cpu-ms/op")
}

// BenchmarkMerge merges 100 lists of eight shards, K = 100, of which one shard's have
// changed. One op is one flush.
func BenchmarkMerge(b *testing.B) {
	const shards = 8
	boards := ranked(operators.Window{Size: time.Minute})
	boards.Boards = boards.Boards[:1]
	m := operators.NewMerge(boards, shards, operators.ResumeAt(0))
	messages := make([]event.Rankings, shards)
	rng := rand.New(rand.NewPCG(9, 10))
	for shard := range messages {
		messages[shard].Part = event.Part{Source: shard, Last: true, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime}
		for g := range 100 {
			key := event.ListKey{Board: boards.Boards[0].Name, By: "region", Group: event.NewGroup(fmt.Sprintf("region-%d", g))}
			l := event.Ranking{ListKey: key, End: 60_000, Exact: true}
			for i := range 100 {
				l.Entries = append(l.Entries, event.Entry{Item: fmt.Sprintf("post-%d", rng.Uint32()), Score: float64((100-i)*10 + rng.IntN(10))})
			}
			messages[shard].Lists = append(messages[shard].Lists, l)
		}
	}
	var at int64
	take := func() {
		u := &messages[at%shards]
		u.AsOf = at
		if err := m.Take(at, u); err != nil {
			b.Fatal(err)
		}
		at++
	}
	for range shards {
		take()
	}
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		take()
		m.Flush(func([]event.Ranking) {})
		m.Acked()
	}
	b.ReportMetric((cpu()-start).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}
