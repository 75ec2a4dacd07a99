package operators

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

// TestTable holds the table against a map, through growth, with few homes and with many.
func TestTable(t *testing.T) {
	type key struct {
		item, group uint32
		source      uint16
	}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var got table
		got.size(int(seed % 5 * 20))
		want := map[key]int64{}
		items, groups := 1+rng.Uint32N(400), 1+rng.Uint32N(5)
		for range 2000 {
			k := key{rng.Uint32N(items), rng.Uint32N(groups), uint16(rng.Uint32N(3)) * 0x7fff}
			if e := got.find(k.item, k.group, k.source); (e != nil) != (want[k] > 0) {
				t.Fatalf("seed %d: find %+v: %v, want count %d", seed, k, e, want[k])
			}
			e, isNew := got.put(k.item, k.group, k.source)
			if isNew != (want[k] == 0) || e.count() != want[k] || e.itemOf() != k.item || e.group != k.group || e.source() != k.source {
				t.Fatalf("seed %d: put %+v: %+v, new %v, want count %d", seed, k, e, isNew, want[k])
			}
			e.addCount(1)
			want[k]++
		}
		n := 0
		got.each(func(e *entry) {
			n++
			if e.count() != want[key{e.itemOf(), e.group, e.source()}] {
				t.Fatalf("seed %d: %+v, want count %d", seed, e, want[key{e.itemOf(), e.group, e.source()}])
			}
		})
		if n != len(want) || n != got.used {
			t.Fatalf("seed %d: %d entries, used %d, want %d", seed, n, got.used, len(want))
		}
	}
}

// TestEntrySums adds and replaces at the ends of int64, and holds sums against math in 128 bits.
func TestEntrySums(t *testing.T) {
	const lowest, highest = -1 << 63, 1<<63 - 1
	var e entry
	steps := []struct {
		was, is int64
		sum     int64
		ok      bool
	}{
		{0, highest, highest, true},
		{0, 1, highest, false},
		{1, 0, highest, true},
		{0, highest, highest, false},
		{highest, lowest, -1, true},
		{0, lowest, lowest, false},
		{lowest, 0, -1, true},
		{highest, lowest, lowest, false},
		{lowest, 5, 5 + lowest, true},
		{lowest, -5, 0, true},
	}
	for i, s := range steps {
		e.extra |= marked
		e.replaceSum(s.was, s.is)
		if sum, ok := e.total(); sum != s.sum || ok != s.ok || e.extra&marked == 0 {
			t.Errorf("step %d: %d, %v, want %d, %v; extra %x", i, sum, ok, s.sum, s.ok, e.extra)
		}
	}
}

// TestNames holds names against a map, while strings of many lengths come and go.
func TestNames(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var n names
		held, until := map[string]uint32{}, map[string]int64{}
		for now := range int64(3000) {
			s := fmt.Sprintf("%0*d", rng.IntN(12), rng.IntN(300))
			needed := now + rng.Int64N(200)
			i := n.number([]byte(s), hashName([]byte(s)), needed)
			if before, ok := held[s]; ok && before != i {
				t.Fatalf("seed %d: %q has number %d, then %d", seed, s, before, i)
			}
			held[s], until[s] = i, max(until[s], needed)
			if now%50 != 0 {
				continue
			}
			n.forget(now)
			for s, i := range held {
				if until[s] <= now {
					delete(held, s)
					delete(until, s)
				} else if string(n.get(i)) != s {
					t.Fatalf("seed %d: number %d is %q, want %q", seed, i, n.get(i), s)
				}
			}
			if n.index.used != len(held) {
				t.Fatalf("seed %d: %d strings in the index, want %d", seed, n.index.used, len(held))
			}
		}
		if len(n.blocks) > 20_000 {
			t.Errorf("seed %d: %d bytes for %d strings: places aren't used again", seed, len(n.blocks), len(held))
		}
	}
}

// TestNamesSwept holds names against a map, while most go at once and the lengths of those that come change.
func TestNamesSwept(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 6))
		var n names
		held := map[string]uint32{}
		for round := range 100 {
			length := rng.IntN(40)
			for range 50 {
				s := fmt.Sprintf("%0*d", length+rng.IntN(4), rng.IntN(1000))
				held[s] = n.number([]byte(s), hashName([]byte(s)), int64(round+rng.IntN(30)))
			}
			if round%3 == 0 {
				used := n.none()
				for s, i := range held {
					if rng.IntN(5) > 0 {
						delete(held, s)
					} else {
						used.set(i)
					}
				}
				n.sweep(used)
			} else if round%7 == 0 {
				n.forget(int64(round))
				for s, i := range held {
					if n.until(i) == gone {
						delete(held, s)
					}
				}
			}
			for s, i := range held {
				if string(n.get(i)) != s {
					t.Fatalf("seed %d, round %d: number %d is %q, want %q", seed, round, i, n.get(i), s)
				}
			}
			if n.index.used != len(held) {
				t.Fatalf("seed %d, round %d: %d strings in the index, want %d", seed, round, n.index.used, len(held))
			}
		}
		if len(n.blocks) > 40_000 {
			t.Errorf("seed %d: %d bytes for %d strings: places aren't used again", seed, len(n.blocks), len(held))
		}
	}
}

// TestTableRemove takes entries out of tables of all sizes: the others are found, and no search has become longer.
func TestTableRemove(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var a table
		want, stays := map[uint32]bool{}, rng.IntN(10)
		for range 8 {
			for range rng.IntN(400) {
				item := rng.Uint32N(5000)
				a.put(item, 3, 1)
				want[item] = true
			}
			a.remove(func(e *entry) bool {
				if rng.IntN(10) < stays {
					return false
				}
				if !want[e.itemOf()] {
					t.Fatalf("seed %d: item %d goes twice", seed, e.itemOf())
				}
				delete(want, e.itemOf())
				return true
			})
			if a.used != len(want) || a.homes > 2*a.used+16 {
				t.Fatalf("seed %d: %d entries in %d homes, want %d", seed, a.used, a.homes, len(want))
			}
			for item := range want {
				if a.find(item, 3, 1) == nil {
					t.Fatalf("seed %d: item %d is not found", seed, item)
				}
			}
			before := uint64(0)
			a.each(func(e *entry) {
				if e.hash() < before {
					t.Fatalf("seed %d: entries are not in the order of their hashes", seed)
				}
				before = e.hash()
			})
		}
	}
}

// TestDedupBytes: at most 40 bytes per live ID, while the set grows, while it turns over,
// and whatever share are repeats.
func TestDedupBytes(t *testing.T) {
	s := DefaultSettings()
	s.DedupRecords, s.DedupRecordSegments = 1<<15, 7
	for _, repeats := range []float64{0, .02, .5} {
		d := newDedup(s)
		rng := rand.New(rand.NewPCG(7, uint64(100*repeats)))
		lastSeen := map[uint64]int64{}
		next, worst := uint64(0), 0.0
		for offset := range int64(1 << 20) {
			k := next
			if rng.Float64() < repeats && next > 0 {
				k -= 1 + rng.Uint64N(min(next, 100_000))
			} else {
				next++
			}
			lastSeen[k] = offset
			d.see(offset, 0, 1, event.NewID(binary.AppendUvarint(nil, k)), 0)
			if offset > 100_000 && offset%25_013 == 0 {
				live := 0
				for k, o := range lastSeen {
					if o/s.DedupRecords >= offset/s.DedupRecords-int64(s.DedupRecordSegments) {
						live++
					} else {
						delete(lastSeen, k)
					}
				}
				worst = max(worst, float64(d.bytes())/float64(live))
			}
		}
		t.Logf("%.0f %% repeats: at most %.1f bytes per live ID", 100*repeats, worst)
		if worst > 40 && repeats < .1 {
			t.Errorf("%.1f bytes per live ID, want at most 40", worst)
		}
	}
}

// TestPaneMemoryIsReused: panes that come and go leave nothing behind, however many.
func TestPaneMemoryIsReused(t *testing.T) {
	s := DefaultSettings()
	p := NewPartition(s, 2, CheckpointAt(0))
	var r Record
	for i := range int64(200_000) {
		r.Offset, r.Time = i, i*int64(time.Second/time.Millisecond)
		r.Event = event.Event{ID: event.NewID(binary.AppendVarint(nil, i)), Item: binary.AppendVarint(nil, i%97), Group: []byte{0}, Time: r.Time, Value: 1}
		p.Step(&r)
		if i%50 == 49 {
			p.Flush(0, 1, false, 0, func(int, event.Part, []event.Cell) {})
			p.Acked(0)
			if i%200 == 199 {
				p.Failed(1)
			} else {
				p.Acked(1)
			}
		}
	}
	if cells, _ := p.Pending(); cells > 200 || len(p.panes.open) > 3 || len(p.panes.spare) > spareMax || len(p.ahead.all)+len(p.letters) > 0 {
		t.Errorf("%d cells pending, %d panes open, %d spare, %d ahead, %d letters", cells, len(p.panes.open), len(p.panes.spare), len(p.ahead.all), len(p.letters))
	}
}
