package operators

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

// TestDedupAgainstMap holds the set of seen IDs against its definition over some thousands of
// live IDs: through several chunks, a rebuilt index, and the wrap of positions.
func TestDedupAgainstMap(t *testing.T) {
	s := DefaultSettings()
	s.DedupRecords, s.DedupRecordSegments = 700, 3
	for _, begin := range []uint32{0, 1<<32 - 5*chunkLen} {
		d := newDedup(s)
		d.sightings.tail, d.sightings.head = begin, begin
		rng, last, duplicates := rand.New(rand.NewPCG(1, 10)), map[uint64]int64{}, 0
		for offset := range int64(30_000) {
			k := rng.Uint64N(4000)
			before, seen := last[k]
			want := seen && before/s.DedupRecords >= offset/s.DedupRecords-int64(s.DedupRecordSegments)
			if got, _ := d.see(offset, 0, 0, event.NewID(binary.AppendUvarint(nil, k)), 0); got != want {
				t.Fatalf("positions from %d, offset %d, last seen at %d: duplicate %v, want %v", begin, offset, before, got, want)
			}
			last[k] = offset
			if want {
				duplicates++
			}
		}
		if duplicates < 5000 || duplicates > 25_000 {
			t.Errorf("%d duplicates: the test tries little", duplicates)
		}
	}
}

// TestConflicts: a duplicate that differs from the sighting before it in anything but its ID is a conflict.
func TestConflicts(t *testing.T) {
	first := event.Event{ID: event.ID{1, 2}, Item: []byte("x"), Group: []byte(event.NewGroup("eu")), Time: 1000, Value: 5}
	item, group, at, value := first, first, first, first
	item.Item, group.Group, at.Time, value.Value = []byte("y"), []byte(event.NewGroup("na")), 1001, 6
	opposite, opposite2 := first, first
	opposite.Value, opposite2.Time, opposite2.Value = ^int64(1000), 1001, ^int64(1001) // each value is its time's complement
	p := NewPartition(DefaultSettings(), 1, CheckpointAt(0))
	for i, step := range []struct {
		event    event.Event
		decision event.Decision
		conflict bool
	}{
		{first, event.Counted, false},
		{first, event.Duplicate, false},
		{item, event.Duplicate, true},
		{item, event.Duplicate, false},
		{first, event.Duplicate, true},
		{group, event.Duplicate, true},
		{first, event.Duplicate, true},
		{at, event.Duplicate, true},
		{first, event.Duplicate, true},
		{value, event.Duplicate, true},
		{first, event.Duplicate, true},
		{first, event.Duplicate, false},
		{opposite, event.Duplicate, true},
		{opposite2, event.Duplicate, true},
	} {
		out := p.Step(&Record{Offset: int64(i), Time: 2000, Event: step.event})
		if out.Decision != step.decision || out.Conflict != step.conflict {
			t.Errorf("step %d: %v, conflict %v, want %v, %v", i, out.Decision, out.Conflict, step.decision, step.conflict)
		}
	}
}

// TestSumsSaturate adds up values about the ends of int64, and holds the sum against an exact one.
func TestSumsSaturate(t *testing.T) {
	values := []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt64 / 2, -1, 0, 1, math.MaxInt64/2 + 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, a := range values {
		for _, b := range values {
			exact, want := new(big.Int).Add(big.NewInt(a), big.NewInt(b)), int64(math.MaxInt64)
			switch {
			case event.Saturated(a):
				want = a
			case exact.IsInt64():
				want = exact.Int64()
			case exact.Sign() < 0:
				want = math.MinInt64
			}
			if got := event.AddSaturating(a, b); got != want {
				t.Errorf("%d + %d = %d, want %d", a, b, got, want)
			}
		}
	}
}

// twoBoards are a top and a bottom board of two entries each.
func twoBoards() Boards {
	w := Window{Size: time.Second}
	return Boards{Pane: time.Second, Dimensions: []string{"region"}, Boards: []Board{
		{Name: "bottom", Window: w, K: 2, By: [][]string{{}}, Order: event.Bottom},
		{Name: "top", Window: w, K: 2, By: [][]string{{}}},
	}}
}

// TestLargeGroups changes many of 300 items with each flush, up and down, and holds a shard's lists
// against all items sorted: candidates are cut several times within a flush, lists run
// short, and no list has more than K.
func TestLargeGroups(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 11))
		r, counts, lists := NewRank(twoBoards(), 1, 1, ResumeAt(0)), map[string]int64{}, map[string][]event.Entry{}
		for x := range int64(40) {
			u := event.Update{Part: event.Part{AsOf: x, Last: true, ClosedThrough: 500, DroppedThrough: 500}}
			for _, i := range rng.Perm(300)[:1+rng.IntN(300)] {
				item := string(rune('a' + i))
				counts[item] = 1 + rng.Int64N(1+rng.Int64N(1000))
				u.Cells = append(u.Cells, event.Cell{Item: []byte(item), Group: []byte(event.NewGroup("eu")), Count: counts[item], Sum: 1})
			}
			if err := r.Take(x, &u); err != nil {
				t.Fatal(err)
			}
			r.Flush(0, 1, func(_ int, _ event.Part, changed []event.Ranking) {
				for _, l := range changed {
					lists[l.Board] = l.Entries
				}
			})
			r.Acked(0)
			var all []event.Entry
			for item, n := range counts {
				all = append(all, event.Entry{Item: item, Score: float64(n)})
			}
			for _, board := range twoBoards().Boards {
				slices.SortFunc(all, board.Order.Compare)
				if want := all[:min(board.K, len(all))]; !slices.Equal(lists[board.Name], want) {
					t.Fatalf("seed %d, flush %d: %s is %v, want %v", seed, x, board.Name, lists[board.Name], want)
				}
			}
		}
	}
}

// TestMergeCommitsWhatIsWritten: lists that came after the last flush are in no commit.
func TestMergeCommitsWhatIsWritten(t *testing.T) {
	m := NewMerge(twoBoards(), 1, ResumeAt(0))
	for x := range int64(4) {
		list := event.Ranking{ListKey: event.ListKey{Board: "top"}, End: 1000, Exact: true, Revision: x}
		u := event.Rankings{Part: event.Part{AsOf: x, Last: true, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime}, Lists: []event.Ranking{list}}
		if err := m.Take(x, &u); err != nil {
			t.Fatal(err)
		}
		if x == 1 {
			m.Flush(func([]event.Ranking) {})
			m.Acked()
		}
	}
	if ck, ok := m.Commit(); !ok || ck.PublishedThrough != 1 || ck.LowWater != 0 {
		t.Errorf("commit %+v, %v, want published through 1, low-water 0", ck, ok)
	}
}
