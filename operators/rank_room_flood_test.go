package operators

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

// flooded is a shard of an hour's window with a budget, into which floods come.
type flooded struct {
	t     *testing.T
	r     *Rank
	at    int64
	empty float64 // heap before
	worst float64 // bytes per cell of the budget, after any message
	lists map[event.ListKey]event.Ranking
	hot   map[string]int64 // true counts of what leads, by item, in eu
}

const hotItems = 60

func newFlooded(t *testing.T, budget int, by ...[]string) *flooded {
	t.Helper()
	f := &flooded{t: t, empty: heapBytes(), lists: map[event.ListKey]event.Ranking{}, hot: map[string]int64{}}
	f.r = NewRank(Boards{
		Pane: time.Minute, ReviseFor: time.Minute, Dimensions: []string{"region"}, RankItems: budget,
		Boards: []Board{{Name: "posts", Window: Window{Size: time.Hour}, K: 50, By: by}},
	}, 1, 1, ResumeAt(0))
	return f
}

// take takes cells in, with what leads among them, and flushes.
func (f *flooded) take(cells []event.Cell) {
	f.t.Helper()
	for i := range int64(hotItems) {
		item := fmt.Sprintf("hot-%02d", i)
		f.hot[item] += 1000 / (i + 2)
		hot := cellOf(item, f.hot[item], 0)
		cells = append(cells, hot)
	}
	takeAll(f.t, f.r, f.at, tell(0, f.at, 0, cells...))
	for _, l := range flushed(f.t, f.r).Lists {
		f.lists[l.ListKey] = l
	}
	f.at++
	if held, limit, _ := f.r.Room(); held > limit {
		f.t.Fatalf("%d cells, the budget is %d", held, limit)
	}
}

// weigh notes how much memory is held.
func (f *flooded) weigh() {
	_, limit, _ := f.r.Room()
	f.worst = max(f.worst, (heapBytes()-f.empty)/float64(limit))
}

// check holds a list of counts against what leads in truth.
func (f *flooded) check(l event.Ranking, exact bool) {
	f.t.Helper()
	var want []event.Entry
	for item, count := range f.hot {
		want = append(want, event.Entry{Item: item, Score: float64(count)})
	}
	slices.SortFunc(want, event.Top.Compare)
	if want = want[:50]; l.Exact != exact || !slices.Equal(want, l.Entries) {
		f.t.Errorf("exact %v, max_error %v, entries %+v, want exact %v, %+v", l.Exact, l.MaxError, l.Entries, exact, want)
	}
}

func heapBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func millions(n int) int {
	if testing.Short() {
		return n * 100_000
	}
	return n * 1_000_000
}

// heapWatch notes the most memory that is live at any moment, also in the middle of a pass, as the collector finds it.
func heapWatch() (stop func() float64) {
	percent := debug.SetGCPercent(3)
	done, most := make(chan struct{}), make(chan float64)
	go func() {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		worst := 0.0
		for {
			metrics.Read(sample)
			worst = max(worst, float64(sample[0].Value.Uint64()))
			select {
			case <-done:
				most <- worst
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	return func() float64 {
		close(done)
		debug.SetGCPercent(percent)
		return <-most
	}
}

// TestRankRoomBytes holds the bound that RankItems states: bytes per cell of the budget, for cells that
// count in two views, when each has an item of its own, and when each has a group of its own, and so a list.
func TestRankRoomBytes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		region func(i int) string
		budget int
		rest   float64 // most bytes per cell of the budget, between messages
		most   float64 // and at any moment
	}{
		{"items", func(i int) string { return []string{"eu", "us-east", "us-west", "ap-south"}[i%4] }, 100_000, 150, 300},
		{"regions", func(i int) string { return "region-" + strconv.Itoa(i) }, 20_000, 900, 1200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			batch := tt.budget / 20
			f := newFlooded(t, tt.budget, []string{}, []string{"region"})
			stop := heapWatch()
			for n := 0; n < 3*tt.budget; n += batch {
				cells := make([]event.Cell, batch)
				for i := range cells {
					cells[i] = cellOf("post-"+strconv.Itoa(n+i), 1, 0)
					cells[i].Group = []byte(event.NewGroup(tt.region(n + i)))
				}
				f.take(cells)
				clear(f.lists)
				f.weigh()
			}
			worst := (stop() - f.empty) / float64(tt.budget)
			t.Logf("at most %.0f bytes per cell of the budget between messages, %.0f at any moment", f.worst, worst)
			if f.worst > tt.rest || worst > tt.most {
				t.Errorf("%.0f bytes per cell, %.0f at any moment, want at most %.0f and %.0f", f.worst, worst, tt.rest, tt.most)
			}
		})
	}
}

// TestFloodOfItems: of ten million items that are seen once, and sixty that lead, in two windows' worth of totals.
func TestFloodOfItems(t *testing.T) {
	const budget, batch = 100_000, 50_000
	f := newFlooded(t, budget, []string{}, []string{"region"})
	regions := []string{"eu", "us-east", "us-west", "ap-south"}
	for n := 0; n < millions(10); n += batch {
		cells := make([]event.Cell, batch)
		for i := range cells {
			cells[i] = cellOf("post-"+strconv.Itoa(n+i), 1, 0)
			cells[i].Group = []byte(event.NewGroup(regions[i%len(regions)]))
		}
		f.take(cells)
		if n%(10*batch) == 0 {
			f.weigh()
		}
	}
	held, _, gone := f.r.Room()
	t.Logf("%d cells held, %d gone, at most %.0f bytes per cell of the budget", held, gone, f.worst)
	for key, l := range f.lists {
		if key.Group == event.NewGroup() || key.Group == event.NewGroup("eu") {
			f.check(l, true)
		} else if l.Exact || l.MaxError < 1 || l.MaxError > float64(millions(10)/(budget/4)+1) {
			t.Errorf("%+v: exact %v, max_error %v", key, l.Exact, l.MaxError)
		}
	}
	if f.worst > 140 {
		t.Errorf("%.0f bytes per cell", f.worst)
	}
}

// TestFloodOfRegions: a million regions are seen once.
func TestFloodOfRegions(t *testing.T) {
	const budget, batch = 20_000, 10_000
	f := newFlooded(t, budget, []string{}, []string{"region"})
	for n := 0; n < millions(1); n += batch {
		cells := make([]event.Cell, batch)
		for i := range cells {
			cells[i] = cellOf("post-"+strconv.Itoa(i), 1, 0)
			cells[i].Group = []byte(event.NewGroup("region-" + strconv.Itoa(n+i)))
		}
		f.take(cells)
		if len(f.lists) > 100 {
			for key := range f.lists {
				if key.Group != event.NewGroup() && key.Group != event.NewGroup("eu") {
					delete(f.lists, key)
				}
			}
		}
		if n%(10*batch) == 0 {
			f.weigh()
		}
	}
	held, _, gone := f.r.Room()
	t.Logf("%d cells held, %d gone, at most %.0f bytes per cell of the budget", held, gone, f.worst)
	f.check(f.lists[event.ListKey{Board: "posts", By: "region", Group: event.NewGroup("eu")}], true)
	f.check(f.lists[event.ListKey{Board: "posts", Group: event.NewGroup()}], true)
	if f.worst > 1000 {
		t.Errorf("%.0f bytes per cell", f.worst)
	}
}

// TestFloodLeavesTablesSpread: what stays of a flood is spread over the table, or searches would take ever longer.
func TestFloodLeavesTablesSpread(t *testing.T) {
	f := newFlooded(t, 20_000, []string{})
	for n := 0; n < 300_000; n += 3000 {
		cells := make([]event.Cell, 3000)
		for i := range cells {
			cells[i] = cellOf("post-"+strconv.Itoa(n+i), 1, 0)
		}
		f.take(cells)
	}
	cells, far := &f.r.panes[0].cells, 0
	for i := range cells.slots {
		if e := &cells.slots[i]; e.item != 0 {
			far = max(far, i-cells.home(e.hash()))
		}
	}
	if far > 300 {
		t.Errorf("of %d entries, one stands %d places behind its home", cells.used, far)
	}
}

// TestWindowBeginsAtOnce has a sliding window begin after its first pane has filled. It took seconds, for
// the square of the number of cells.
func TestWindowBeginsAtOnce(t *testing.T) {
	b := tens(Count, event.Top, 3)
	b.Boards[0].Window = Window{Size: 20 * time.Millisecond, Slide: 10 * time.Millisecond}
	r := NewRank(b, 1, 1, ResumeAt(0))
	cells := make([]event.Cell, 100_000)
	for i := range cells {
		cells[i] = cellOf("post-"+strconv.Itoa(i), 1, 1)
	}
	takeAll(t, r, 0, tell(0, 0, 0, cells...))
	last := cellOf("x", 1, 1)
	last.Pane = 10
	start := time.Now()
	takeAll(t, r, 1, tell(0, 1, 10, last))
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}
