package operators_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// load is a stream of JSON events of about 130 bytes: a million items by Zipf's law with
// exponent 1.1, eight regions, ten events a millisecond, 5 % up to 5 s behind, 2 % sent
// again within 30 s. It repeats a slab of records, each time with later times and other IDs.
type load struct {
	slab   [][]byte
	idAt   int     // where the ID's digits are
	timeAt []int   // where the time's digits are
	times  []int64 // of the slab's records, relative to its start
	at     int
	pass   int64
}

const (
	slabLen   = 1 << 19
	loadStart = 1_795_300_000_000 // Unix milliseconds, the start of a minute
	slabSpan  = slabLen / 10      // milliseconds
)

var loadRegions = []string{"eu", "us-east", "us-west", "ap-south", "ap-north", "sa", "af", "me"}

func newLoad() *load {
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 1, 1_000_000-1)
	l := &load{slab: make([][]byte, slabLen), timeAt: make([]int, slabLen), times: make([]int64, slabLen)}
	for i := range l.slab {
		b := []byte(`{"event_id":"`)
		l.idAt = len(b)
		b = fmt.Appendf(b, `%08x-%04x-%06x","item_id":"post-%d","region":"%s","value":1,"timestamp":`, 0, i>>16, i, zipf.Uint64(), loadRegions[rng.IntN(8)])
		l.timeAt[i] = len(b)
		l.times[i] = int64(i / 10)
		if rng.Float64() < .05 {
			l.times[i] -= rng.Int64N(5000)
		}
		b = append(b, `1795300000000,"user_id":"u12345678"}`...)
		l.slab[i] = b
	}
	for i := range l.slab { // the same bytes again, up to 30 s later: ID and time are patched from the same place
		if from := i - rng.IntN(300_000); rng.Float64() < .02 && from >= 0 {
			l.slab[i], l.timeAt[i], l.times[i] = append([]byte(nil), l.slab[from]...), l.timeAt[from], l.times[from]
		}
	}
	return l
}

// next returns the next record's value, which holds until the next pass over the slab, and its arrival time.
func (l *load) next() ([]byte, int64) {
	if l.at == slabLen {
		l.at = 0
		l.pass++
	}
	b := l.slab[l.at]
	const hex = "0123456789abcdef"
	for k := range 8 {
		b[l.idAt+7-k] = hex[l.pass>>(4*k)&15]
	}
	now := loadStart + l.pass*slabSpan
	t := now + l.times[l.at]
	for k := 12; k >= 0; k-- {
		b[l.timeAt[l.at]+k] = byte('0' + t%10)
		t /= 10
	}
	l.at++
	return b, now + int64(l.at/10)
}

// BenchmarkFold decodes and folds, and flushes every 100,000 records to four shards. One op is one event.
func BenchmarkFold(b *testing.B) {
	mapping := event.DefaultMapping()
	mapping.TimeFormat = event.UnixMillis
	decoder, err := event.NewJSON(mapping)
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad()
	p := operators.NewPartition(operators.DefaultSettings(), 4, operators.CheckpointAt(0))
	var r operators.Record
	var decisions [event.Decisions]int
	var cells int
	step := func() {
		value, now := l.next()
		r.Time = now
		if err := decoder.Decode(value, &r.Event); err != nil {
			b.Fatal(err)
		}
		decisions[p.Step(&r).Decision]++
		r.Offset++
		if r.Offset%100_000 == 0 {
			p.Flush(0, 1, false, 0, func(_ int, _ event.Part, c []event.Cell) { cells += len(c) })
			for shard := range 4 {
				p.Acked(shard)
			}
			p.LettersAcked(r.Offset)
			p.Commit()
		}
	}
	for range 6 * slabLen { // a steady state: five panes have come and gone, the dedup horizon has passed twice
		step()
	}
	before := decisions
	b.SetBytes(int64(len(l.slab[0])))
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
	b.ReportMetric(float64(decisions[event.Counted]-before[event.Counted])/float64(b.N), "counted/op")
	b.ReportMetric(float64(decisions[event.Duplicate]-before[event.Duplicate])/float64(b.N), "duplicate/op")
}

// BenchmarkRank takes in what four source partitions publish every 100,000 events, keyed by item,
// and makes lists per region and global, K = 100. One op is one cell update; B/cell
// is what is held per (pane, group, item, source partition) when a pane is full.
func BenchmarkRank(b *testing.B) {
	b.Run("sources=4", func(b *testing.B) { benchmarkRank(b, 4) })
}

func benchmarkRank(b *testing.B, sources int) {
	s := operators.DefaultSettings()
	log := updatesOf(b, s, sources)
	boards := operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness, ReviseFor: 10 * time.Minute,
		Dimensions: []string{"region"},
		Boards:     []operators.Board{{Name: "posts", Window: operators.Window{Size: time.Minute}, K: 100, By: [][]string{{}, {"region"}}}},
	}
	// A run takes the whole log; runs repeat. What is held is seen at the end of the first one.
	var held, cells float64
	seen := map[string]bool{}
	for i := range log {
		for _, c := range log[i].Cells {
			seen[strconv.FormatInt(c.Pane, 36)+string(c.Group)+string(c.Item)] = true
		}
	}
	cells = float64(len(seen))
	seen = nil
	r := operators.NewRank(boards, sources, 4, operators.ResumeAt(0))
	at, i, lists := int64(0), 0, 0
	message := func() int {
		if i == len(log) {
			if held == 0 {
				b.StopTimer()
				held = heap() - heapWithout(&r)
				b.StartTimer()
			}
			r, at, i = operators.NewRank(boards, sources, 4, operators.ResumeAt(0)), 0, 0
		}
		if err := r.Take(at, &log[i]); err != nil {
			b.Fatal(err)
		}
		r.Flush(0, 1, func(_ int, _ event.Part, l []event.Ranking) { lists += len(l) })
		for lane := range 4 {
			r.Acked(lane)
		}
		at++
		i++
		return len(log[i-1].Cells)
	}
	b.ReportAllocs()
	left := 0
	for b.Loop() {
		for left <= 0 {
			left += message()
		}
		left--
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mupdates/s")
	b.ReportMetric(held/cells, "B/cell")
}

// heap returns the bytes in use after a collection.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// heapWithout drops a Rank, and returns the bytes then in use.
func heapWithout(r **operators.Rank) float64 {
	*r = nil
	return heap()
}

// updatesOf folds one pane's worth of events in source partitions keyed by item, and returns what they publish.
func updatesOf(b *testing.B, s operators.Settings, sources int) []event.Update {
	b.Helper()
	mapping := event.DefaultMapping()
	mapping.TimeFormat = event.UnixMillis
	decoder, err := event.NewJSON(mapping)
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad()
	partitions := make([]*operators.Partition, sources)
	for i := range partitions {
		partitions[i] = operators.NewPartition(s, 1, operators.CheckpointAt(0))
	}
	var log []event.Update
	var r operators.Record
	for n := range 590_000 {
		value, now := l.next()
		r.Offset, r.Time = int64(n), now
		if err := decoder.Decode(value, &r.Event); err != nil {
			b.Fatal(err)
		}
		partitions[operators.Shard(r.Event.Item, sources)].Step(&r)
		if (n+1)%100_000 != 0 && n+1 != 590_000 {
			continue
		}
		for i, p := range partitions {
			p.Flush(i, 1, false, 0, func(_ int, head event.Part, cells []event.Cell) {
				head.Last = true
				log = append(log, event.Update{Part: head, Cells: ownCells(cells)})
			})
			p.Acked(0)
		}
	}
	return log
}
