package workload

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"strconv"
)

// Event is one event. It points into nothing of the generator's.
type Event struct {
	ID     [IDBytes]byte
	Item   int32
	Region int8
	Late   bool // beyond every allowance
	Again  bool // it was sent before
	Milli  int64
}

// Generator makes the events. It serves one goroutine.
type Generator struct {
	settings Settings
	regions  []string
	made     int64 // events, those sent again included
	ids      uint64
	random   *rand.Rand
	zipf     *rand.Zipf
	resend   resends
}

// NewGenerator returns a generator that begins at the first event.
func NewGenerator(s Settings) *Generator {
	random := rand.New(rand.NewPCG(s.Seed, 0x9e3779b97f4a7c15))
	return &Generator{settings: s, regions: s.RegionNames(), random: random, zipf: rand.NewZipf(random, s.Skew, 1, uint64(s.Items-1))}
}

// Next makes the next event, and reports false where there is none any more.
func (g *Generator) Next(e *Event) bool {
	s := &g.settings
	if g.made >= s.Events {
		return false
	}
	i := g.made
	g.made++
	if len(g.resend) > 0 && g.resend[0].due <= i {
		*e = heap.Pop(&g.resend).(resend).event //nolint:errcheck // there is nothing else in it
		e.Again = true
		return true
	}
	clock := s.clock(i)
	g.ids++
	e.ID = idOf(g.ids, s.Seed)
	e.Item = int32(g.zipf.Uint64())
	e.Region = int8(g.random.IntN(s.Regions))
	e.Milli, e.Late, e.Again = clock, false, false
	dice := g.random.Float64()
	switch {
	case dice < s.Late && clock-First > (lateTo+s.OutOfOrderness).Milliseconds():
		e.Milli, e.Late = clock-lateFrom.Milliseconds()-g.random.Int64N((lateTo-lateFrom).Milliseconds()), true
		return true
	case dice < s.Late+s.Disorder:
		e.Milli = max(First, clock-g.random.Int64N(s.OutOfOrderness.Milliseconds()))
	}
	if g.random.Float64() < s.Again {
		heap.Push(&g.resend, resend{i + 1 + g.random.Int64N(max(1, s.ResendWithin.Milliseconds()*s.PerSecond/1000-1)), *e})
	}
	return true
}

// AppendJSON appends the event as it is in the topic.
func (g *Generator) AppendJSON(b []byte, e *Event) []byte {
	b = append(append(b, `{"event_id":"`...), e.ID[:]...)
	b = AppendItem(append(b, `","item_id":"`...), e.Item)
	b = append(append(b, `","region":"`...), g.regions[e.Region]...)
	b = strconv.AppendInt(append(b, `","ts":`...), e.Milli, 10)
	return append(b, `,"count":1}`...)
}

// AppendKey appends the event's key: its region and item, which therefore are in one partition.
func (g *Generator) AppendKey(b []byte, e *Event) []byte {
	return AppendItem(append(append(b, g.regions[e.Region]...), '|'), e.Item)
}

// AppendItem appends an item's name.
func AppendItem(b []byte, item int32) []byte {
	return strconv.AppendInt(append(b, "post-"...), int64(item), 10)
}

// idOf returns the ID of this number, hexadecimal. All are different.
func idOf(number, seed uint64) (id [IDBytes]byte) {
	const digits = "0123456789abcdef"
	first := mix(number ^ seed<<40)
	second := mix(first)
	for i := range id {
		if i < 16 {
			id[i] = digits[first>>(60-4*i)&15]
		} else {
			id[i] = digits[second>>(60-4*(i-16))&15]
		}
	}
	return id
}

// mix is splitmix64, a bijection: so IDs are unique.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// resend is an event that comes again.
type resend struct {
	due   int64 // in the place of the event of this number
	event Event
}

// resends has the next one first.
type resends []resend

func (r resends) Len() int           { return len(r) }
func (r resends) Less(i, j int) bool { return cmp.Less(r[i].due, r[j].due) }
func (r resends) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push is heap.Interface's.
func (r *resends) Push(x any) { *r = append(*r, x.(resend)) } //nolint:errcheck // there is nothing else in it

// Pop is heap.Interface's.
func (r *resends) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	*r = (*r)[:last]
	return x
}
