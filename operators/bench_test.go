package operators_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"syscall"
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
		if from := i - rng.IntN(300_000); rng.Float64() < .028 && from >= 0 {
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

// newDecoder returns a decoder of the load's events.
func newDecoder(b *testing.B) *event.JSON {
	b.Helper()
	mapping := event.DefaultMapping()
	mapping.TimeFormat = event.UnixMillis
	decoder, err := event.NewJSON(mapping)
	if err != nil {
		b.Fatal(err)
	}
	return decoder
}

// BenchmarkFold decodes and folds, and flushes every 102,400 records to four shards. One op is one event.
func BenchmarkFold(b *testing.B) {
	l, decoder := newLoad(), newDecoder(b)
	p := operators.NewPartition(operators.DefaultSettings(), 4, operators.CheckpointAt(0))
	const batch = 64
	records := make([]operators.Record, batch)
	var offset int64
	var decisions [event.Decisions]int
	var cells int
	step := func() { // a batch
		for i := range records {
			var value []byte
			r := &records[i]
			r.Offset = offset
			offset++
			value, r.Time = l.next()
			if err := decoder.Decode(value, &r.Event); err != nil {
				b.Fatal(err)
			}
		}
		p.Warm(records)
		for i := range records {
			decisions[p.Step(&records[i]).Decision]++
		}
		if offset%(1600*batch) == 0 {
			p.Flush(0, 1, false, 0, func(_ int, _ event.Part, c []event.Cell) { cells += len(c) })
			for shard := range 4 {
				p.Acked(shard)
			}
			p.LettersAcked(offset)
			p.Commit()
		}
	}
	for range 6 * slabLen / batch { // a steady state: five panes have come and gone, the dedup horizon has passed twice
		step()
	}
	before := decisions
	b.SetBytes(int64(len(l.slab[0])))
	b.ReportAllocs()
	start := cpu()
	for left := 0; b.Loop(); left-- {
		if left == 0 {
			step()
			left = batch
		}
	}
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds()/1e6, "Mevents/cpu-s")
	b.ReportMetric(float64(decisions[event.Counted]-before[event.Counted])/float64(b.N), "counted/op")
	b.ReportMetric(float64(decisions[event.Duplicate]-before[event.Duplicate])/float64(b.N), "duplicate/op")
}

// BenchmarkRank takes in what four source partitions, keyed by item, publish every
// 100,000 events, pane after pane, and makes lists per region and global, K = 100. One op is one
// cell update. B/cell is the memory held per (pane, group, item, source partition)
// while the first pane fills; each cell is also counted in its region's totals and in the
// global ones. It is the worst of the moments after a message.
func BenchmarkRank(b *testing.B) {
	const sources = 4
	s := operators.DefaultSettings()
	log := updatesOf(b, s, sources)
	boards := operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness, ReviseFor: 10 * time.Minute,
		Dimensions: []string{"region"},
		Boards:     []operators.Board{{Name: "posts", Window: operators.Window{Size: time.Minute}, K: 100, By: [][]string{{}, {"region"}}}},
	}
	rank := operators.NewRank(boards, sources, 4, operators.ResumeAt(0))
	cells, held := fillPane(b, rank, log)
	b.ReportAllocs()
	at, left := 0, 0
	start := cpu()
	for b.Loop() {
		if left == 0 {
			u := &log[at%len(log)]
			nextPane(u, s)
			takeAndFlush(b, rank, int64(len(log)+at), u)
			left = len(u.Cells)
			at++
		}
		left--
	}
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds()/1e6, "Mupdates/cpu-s")
	b.ReportMetric(held, "B/cell")
	b.ReportMetric(float64(cells), "cells")
	runtime.KeepAlive(rank)
}

// fillPane takes the log in, and returns how many cells are held in the end, and the most memory
// held per cell after any message, once there are 50,000: for fewer, what lists of 100 need weighs more.
func fillPane(b *testing.B, rank *operators.Rank, log []event.Update) (cells int, bytesPerCell float64) {
	b.Helper()
	seen := map[string]bool{} // by pane, group and item; each item is of one source partition
	held := 0.0
	for at := range log {
		for _, c := range log[at].Cells {
			seen[strconv.FormatInt(c.Pane, 36)+string(c.Group)+string(c.Item)] = true
		}
		before := heap()
		takeAndFlush(b, rank, int64(at), &log[at])
		held += heap() - before
		if len(seen) > 50_000 {
			bytesPerCell = max(bytesPerCell, held/float64(len(seen)))
		}
	}
	return len(seen), bytesPerCell
}

// nextPane makes an update the same, one pane later.
func nextPane(u *event.Update, s operators.Settings) {
	u.AsOf += 1_000_000
	u.ClosedThrough += s.Pane.Milliseconds()
	u.DroppedThrough = u.ClosedThrough
	for i := range u.Cells {
		u.Cells[i].Pane += s.Pane.Milliseconds()
	}
}

func takeAndFlush(b *testing.B, r *operators.Rank, at int64, u *event.Update) {
	b.Helper()
	if err := r.Take(at, u); err != nil {
		b.Fatal(err)
	}
	r.Flush(0, 1, func(int, event.Part, []event.Ranking) {})
	for lane := range 4 {
		r.Acked(lane)
	}
}

// cpu returns the processor time that the process has used, its collector included: on a
// machine that others use too, it tells more than the clock.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap returns the bytes in use after a collection.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// updatesOf folds one pane's worth of events in source partitions keyed by item, and returns what they publish.
func updatesOf(b *testing.B, s operators.Settings, sources int) []event.Update {
	b.Helper()
	l, decoder := newLoad(), newDecoder(b)
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
