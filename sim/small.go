package sim

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/millrank/millrank/operators"
)

// SmallSettings draws settings of a few milliseconds each, so that every limit is
// reached within tens of records: they find more per record than real ones do.
func SmallSettings(rng *rand.Rand) operators.Settings {
	return operators.Settings{
		Pane:                choose[time.Duration](rng, 2, 5, 10) * time.Millisecond,
		OutOfOrderness:      choose[time.Duration](rng, 0, 1, 3) * time.Millisecond,
		AllowedLateness:     choose[time.Duration](rng, 0, 4, 15) * time.Millisecond,
		MaxAhead:            choose[time.Duration](rng, 3, 8) * time.Millisecond,
		DedupSegment:        choose[time.Duration](rng, 1, 3, 5) * time.Millisecond,
		DedupSegments:       choose(rng, 1, 2, 4, 8),
		DedupRecords:        choose[int64](rng, 3, 8, 1000),
		DedupRecordSegments: choose(rng, 1, 2),
	}
}

// SmallLog draws the log of one source partition to go with SmallSettings, n records
// long: bursts, gaps, disorder, duplicates near and far with the same or another time
// and payload, chains of them, malformed, future and late records, and punctuations.
// Its times start at the epoch, so its first watermarks are negative; Shift moves it.
func SmallLog(rng *rand.Rand, n int) []Record {
	log := make([]Record, 0, n)
	var seen []Record
	offset, now := int64(0), int64(0)
	for k := range n {
		if rng.Float64() < .1 {
			offset += rng.Int64N(6)
		}
		now += choose(rng, 0, 0, 0, 1, 1, 2, 3, rng.Int64N(13))
		r := smallRecord(rng, k, now, seen)
		r.Offset, r.Time = offset, now
		if rng.Float64() < .02 {
			r.Time = NoTimestamp
		}
		if r.Kind == Event {
			seen = append(seen, r)
		}
		log = append(log, r)
		offset++
	}
	return log
}

// smallRecord draws record number k.
func smallRecord(rng *rand.Rand, k int, now int64, seen []Record) Record {
	between := func(low, high int64) int64 { return low + rng.Int64N(high-low+1) }
	var r Record
	switch x := rng.Float64(); {
	case x < .03:
		return Record{Kind: Malformed}
	case x < .06:
		return Record{Kind: Punctuation, At: max(0, now+between(-8, 12))}
	case x < .42 && len(seen) > 0:
		r = seen[len(seen)-1-rng.IntN(min(len(seen), choose(rng, 2, 4, 10, 40)))]
		if rng.Float64() < .6 {
			r.At = max(0, now+between(-14, 3))
		}
		if rng.Float64() < .2 {
			r.Value = between(-3, 9)
		}
		if rng.Float64() < .1 {
			r.Item = choose(rng, "a", "b", "c", "d")
		}
	default:
		r = Record{
			EventID: "e" + strconv.Itoa(k),
			Item:    choose(rng, "a", "b", "c", "d"),
			Dims:    []string{choose(rng, "eu", "na")},
			At:      max(0, now+between(-12, 2)),
			Value:   choose[int64](rng, 1, 1, 1, 2, -1),
		}
	}
	if rng.Float64() < .05 {
		r.At = now + between(4, 40)
	}
	return r
}

// choose draws one of the values, each as likely as the next.
func choose[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }
