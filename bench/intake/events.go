package main

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"
)

// Event times begin here and advance 1 ms every eventsPerMilli events.
const (
	firstMilli     = 1_767_225_600_000 // 2026-01-01
	eventsPerMilli = 10
)

// recentMax is how many events a duplicate is chosen from: those of the last second.
const recentMax = 10_000

func regions() []string {
	return []string{"eu-west", "eu-north", "us-east", "us-west", "ap-south", "ap-east", "sa-east", "af-south"}
}

// record is what is written to Kafka. Its slices are its own.
type record struct {
	key, value []byte
	milli      int64 // the event's time, Unix ms
}

// events makes the records of a topic, the same for the same seed.
type events struct {
	random     *rand.Rand
	zipf       *rand.Zipf
	regions    []string
	duplicates float64

	made   int64 // events, without duplicates
	again  int64 // duplicates
	recent []record
	slab   []byte // where values come from: one allocation for thousands
}

func newEvents(c config) *events {
	random := rand.New(rand.NewPCG(c.seed, 0x6d696c6c72616e6b))
	return &events{
		random:     random,
		zipf:       rand.NewZipf(random, 1.1, 1, c.items-1),
		regions:    regions(),
		duplicates: c.duplicates,
		recent:     make([]record, 0, recentMax),
	}
}

// next returns the next record: a new event, or one of the recent ones again.
func (e *events) next() record {
	if e.duplicates > 0 && len(e.recent) > 0 && e.random.Float64() < e.duplicates {
		e.again++
		return e.recent[e.random.IntN(len(e.recent))]
	}
	const bytesMax = 160
	if cap(e.slab)-len(e.slab) < 2*bytesMax {
		e.slab = make([]byte, 0, 1<<20)
	}
	var id [10]byte
	high, low := e.random.Uint64(), e.random.Uint32()
	for i := range 8 {
		id[i] = byte(high >> (8 * i))
	}
	id[8], id[9] = byte(low), byte(low>>8)
	r := record{milli: firstMilli + e.made/eventsPerMilli}

	from := len(e.slab)
	e.slab = strconv.AppendUint(append(e.slab, "post-"...), e.zipf.Uint64(), 10)
	r.key = e.slab[from:len(e.slab):len(e.slab)]

	from = len(e.slab)
	e.slab = append(e.slab, `{"event_id":"`...)
	e.slab = hex.AppendEncode(e.slab, id[:])
	e.slab = append(append(e.slab, `","item_id":"`...), r.key...)
	e.slab = append(append(e.slab, `","region":"`...), e.regions[low>>16%uint32(len(e.regions))]...)
	e.slab = strconv.AppendInt(append(e.slab, `","timestamp":`...), r.milli, 10)
	e.slab = append(e.slab, `,"value":1}`...)
	r.value = e.slab[from:len(e.slab):len(e.slab)]

	if len(e.recent) < recentMax {
		e.recent = append(e.recent, r)
	} else {
		e.recent[e.made%recentMax] = r
	}
	e.made++
	return r
}
