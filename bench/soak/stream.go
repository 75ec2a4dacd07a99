package main

import (
	"math/rand/v2"
	"strconv"

	"github.com/millrank/millrank/bench/internal/workload"
)

// kind says what a record of the stream is, as whoever makes it knows. What must become of it is the fold's to say.
type kind uint8

const (
	plain     kind = iota // an event of the workload; it can be one that is sent again, or a late one
	tardy                 // an event that is up to tardyMax behind: counted or late, depending on its partition's watermark
	future                // an event beyond time.max_ahead
	malformed             // no event
)

// How many records there are besides, for each event of the workload; and how far they are off, milliseconds.
const (
	tardyShare     = 0.01
	futureShare    = 0.002
	malformedShare = 0.002

	tardyMax   = 60_000
	futureFrom = 120_000
	futureTo   = 7_200_000
)

// record is one record of the topic. It points into nothing of the stream's.
type record struct {
	kind      kind
	partition int32
	offset    int64 // there are no others in the topic, so it is known
	time      int64 // its timestamp, Unix ms
	id        [workload.IDBytes]byte
	item      int32
	region    int8
	at        int64 // event time, Unix ms
	value     int64
	again     bool // it was sent before, at most workload.Settings.ResendWithin ago
	variety   uint8
}

// stream makes the records of a topic, the same for the same settings: the events of the workload, and between them those that are in trouble. It serves one
// goroutine.
type stream struct {
	settings  workload.Settings
	generator *workload.Generator
	random    *rand.Rand
	next      []int64 // the next offset of each partition
	events    int64   // of the workload
	extra     uint64  // records besides
	waiting   workload.Event
	waits     bool
	clock     int64
	regions   []string
}

func newStream(s workload.Settings) *stream {
	return &stream{
		settings: s, generator: workload.NewGenerator(s), random: rand.New(rand.NewPCG(s.Seed, 0x736f616b)),
		next: make([]int64, s.Partitions), clock: workload.First, regions: s.RegionNames(),
	}
}

// make makes the next record, and reports false where there is none any more.
func (s *stream) make(r *record) bool {
	if !s.waits {
		if !s.generator.Next(&s.waiting) {
			return false
		}
		s.waits = true
		if dice := s.random.Float64(); dice < tardyShare+futureShare+malformedShare {
			s.trouble(r, dice)
			s.place(r)
			return true
		}
	}
	e := &s.waiting
	s.waits = false
	s.clock = workload.First + s.events*1000/s.settings.PerSecond
	s.events++
	*r = record{kind: plain, id: e.ID, item: e.Item, region: e.Region, at: e.Milli, again: e.Again, time: s.clock, value: valueOf(e.ID)}
	s.place(r)
	return true
}

// trouble makes a record that is not as it should be.
func (s *stream) trouble(r *record, dice float64) {
	s.extra++
	*r = record{time: s.clock, item: s.waiting.Item, region: s.waiting.Region}
	copy(r.id[:], "x"+strconv.FormatUint(1<<62+s.extra, 10)) // the others are hexadecimal
	r.value = valueOf(r.id)
	switch {
	case dice < tardyShare:
		r.kind, r.at = tardy, max(workload.First, s.clock-s.random.Int64N(tardyMax))
	case dice < tardyShare+futureShare:
		r.kind, r.at = future, s.clock+futureFrom+s.random.Int64N(futureTo-futureFrom)
	default:
		r.kind, r.variety = malformed, uint8(s.random.IntN(malformedVarieties))
	}
}

// place says where the record is in the topic: all of an item and region are in the same partition.
func (s *stream) place(r *record) {
	r.partition = int32(uint64(r.item)*31+uint64(r.region)) * 7919 % int32(s.settings.Partitions)
	if r.partition < 0 {
		r.partition = -r.partition
	}
	r.offset = s.next[r.partition]
	s.next[r.partition]++
}

// valueOf returns an event's value, -20 to 99, by its ID.
func valueOf(id [workload.IDBytes]byte) int64 {
	var sum int64
	for i, b := range id {
		sum += int64(b) * int64(i+1)
	}
	return sum%120 - 20
}

// malformedVarieties is how many sorts of malformed records there are.
const malformedVarieties = 6

// appendValue appends the record's value as it is in the topic.
func (s *stream) appendValue(b []byte, r *record) []byte {
	if r.kind != malformed {
		return s.appendEvent(b, r, strconv.FormatInt(r.at, 10))
	}
	switch r.variety {
	case 0:
		return append(b, "not JSON"...)
	case 1:
		return append(b, `{"event_id":"`...)
	case 2:
		return s.appendEvent(b, r, `"yesterday"`)
	case 3:
		return append(b, `{"event_id":"x","region":"eu","ts":1795305600000,"value":1}`...)
	case 4:
		return append(b, ' ')
	default:
		return append(s.appendEvent(b, r, "1"), "}"...)
	}
}

func (s *stream) appendEvent(b []byte, r *record, at string) []byte {
	id := r.id[:]
	for len(id) > 0 && id[len(id)-1] == 0 {
		id = id[:len(id)-1]
	}
	b = append(append(b, `{"event_id":"`...), id...)
	b = workload.AppendItem(append(b, `","item_id":"`...), r.item)
	b = append(append(b, `","region":"`...), s.regions[r.region]...)
	b = append(append(b, `","ts":`...), at...)
	b = strconv.AppendInt(append(b, `,"value":`...), r.value, 10)
	return append(b, '}')
}
