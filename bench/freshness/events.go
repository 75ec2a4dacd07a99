package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// events makes events, each a key and a value of its own. It serves one goroutine.
type events struct {
	random  *rand.Rand
	zipf    *rand.Zipf
	regions []string
	made    uint64
	slab    []byte // where keys and values come from: one allocation for thousands
}

func newEvents(c config) *events {
	random := rand.New(rand.NewPCG(c.Seed, 0x6d696c6c72616e6b))
	e := &events{random: random, zipf: rand.NewZipf(random, 1.1, 1, c.Items-1)}
	for i := range c.Regions {
		e.regions = append(e.regions, regionOf(i))
	}
	return e
}

// next returns an event of this time, Unix ms. Values are 1 to 100.
func (e *events) next(milli int64) (key, value []byte) {
	const bytesMax = 256
	if cap(e.slab)-len(e.slab) < bytesMax {
		e.slab = make([]byte, 0, 1<<20)
	}
	dice := e.random.Uint64()
	from := len(e.slab)
	e.slab = strconv.AppendUint(append(e.slab, "post-"...), e.zipf.Uint64(), 10)
	key = e.slab[from:len(e.slab):len(e.slab)]
	e.made++
	value = e.append(e.made, key, e.regions[dice>>8%uint64(len(e.regions))], milli, 1+int64(dice&0xff)%100)
	return key, value
}

// append appends an event's JSON to the slab. IDs are all different.
func (e *events) append(id uint64, key []byte, region string, milli, amount int64) []byte {
	var spread [8]byte
	for i := range spread {
		spread[i] = byte(id * 0x9e3779b97f4a7c15 >> (8 * i)) // odd, so no two are the same
	}
	from := len(e.slab)
	e.slab = hex.AppendEncode(append(e.slab, `{"event_id":"`...), spread[:])
	e.slab = append(append(e.slab, `","item_id":"`...), key...)
	e.slab = append(append(e.slab, `","region":"`...), region...)
	e.slab = strconv.AppendInt(append(e.slab, `","timestamp":`...), milli, 10)
	e.slab = strconv.AppendInt(append(e.slab, `,"value":`...), amount, 10)
	e.slab = append(e.slab, '}')
	return e.slab[from:len(e.slab):len(e.slab)]
}

// Probes are items of their own. Their values are beyond what any other item's come to, and rise, so each new one is the first of its lists.
const (
	probePrefix = "probe-"
	probeDigits = 6
	probesMax   = 1_000_000
	probeValue  = 1_000_000_000_000
)

func probeItem(number int) string { return fmt.Sprintf("%s%0*d", probePrefix, probeDigits, number) }

func probeScore(number int) float64 { return float64(probeValue + number) }

// probeEvent returns the event of a probe. It doesn't count as made.
func probeEvent(number int, region string, milli int64) (key, value []byte) {
	var e events
	key = []byte(probeItem(number))
	return key, e.append(1<<63+uint64(number), key, region, milli, probeValue+int64(number))
}

// probeNumber returns the number of a probe, by its item.
func probeNumber(item string) (number int, ok bool) {
	digits, ok := strings.CutPrefix(item, probePrefix)
	if !ok || len(digits) != probeDigits {
		return 0, false
	}
	number, err := strconv.Atoi(digits)
	return number, err == nil
}

// probesIn calls found with the number of each probe whose item is in a payload of any kind.
func probesIn(payload []byte, found func(number int)) {
	for {
		i := bytes.Index(payload, []byte(probePrefix))
		if i < 0 {
			return
		}
		payload = payload[i:]
		if n := len(probePrefix) + probeDigits; len(payload) >= n {
			if number, ok := probeNumber(string(payload[:n])); ok {
				found(number)
			}
		}
		payload = payload[len(probePrefix):]
	}
}
