package sim

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// Arrival says how the facts of a data set arrive.
type Arrival struct {
	// Partitions is how many logs there are. A fact goes to the one that its item's hash says.
	Partitions int
	// DelayMean is the mean of the exponential delay with which a fact arrives, DelayMax where
	// it is cut: no fact is further than that behind the newest one.
	DelayMean, DelayMax time.Duration
	// Duplicates is the share of facts that arrive a second time, unchanged, after another delay.
	Duplicates float64
	// Late, Future and Malformed are the shares of records, each, that are added. They never
	// change a ranking: the late ones are late under Settings, and have IDs of their own.
	Late, Future, Malformed float64
	// Settings are those that decide what is late and what is too far ahead.
	Settings operators.Settings
}

// Arrive returns the facts as the logs of source partitions, in a made-up order of
// arrival; a record's Time is when it arrived. The same seed gives the same logs.
func Arrive(seed uint64, facts []Fact, a Arrival) [][]Record {
	rng := rand.New(rand.NewPCG(seed, 0))
	delay := func() int64 {
		return min(a.DelayMax.Milliseconds(), int64(rng.ExpFloat64()*float64(a.DelayMean.Milliseconds())))
	}
	records := make([]Record, 0, len(facts))
	for _, fact := range facts {
		at := fact.Timestamp.UnixMilli()
		r := Record{EventID: fact.EventID, Item: fact.Item, Dims: []string{fact.Region}, At: at, Value: fact.Value, Time: at + delay()}
		records = append(records, r)
		if rng.Float64() < a.Duplicates {
			r.Time = at + delay()
			records = append(records, r)
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.Time, b.Time) })

	logs := make([]arrivals, a.Partitions)
	for i := range logs {
		logs[i].w = event.NoTime
	}
	for _, r := range records {
		log := &logs[partitionOf(r.Item, a.Partitions)]
		log.add(r)
		log.w = max(log.w, r.At-a.Settings.OutOfOrderness.Milliseconds())
		log.inject(rng, a, r)
	}
	out := make([][]Record, 0, len(logs))
	for _, log := range logs {
		out = append(out, log.records)
	}
	return out
}

// arrivals is the log of one partition, while it grows.
type arrivals struct {
	records []Record
	offset  int64
	w       int64 // the watermark: aims the late records
}

func (l *arrivals) add(r Record) {
	r.Offset = l.offset
	l.offset++
	if l.offset%1000 == 0 {
		l.offset++ // as a transaction's marker would
	}
	l.records = append(l.records, r)
}

// inject adds, after a record, now and then a copy of it that must not count.
func (l *arrivals) inject(rng *rand.Rand, a Arrival, r Record) {
	next := strconv.FormatInt(l.offset, 10)
	if rng.Float64() < a.Late {
		late := r
		late.EventID += "-late-" + next
		// its pane's end is at most one pane after it, and then the allowed lateness has passed
		late.At = l.w - (a.Settings.AllowedLateness + a.Settings.Pane).Milliseconds() - choose(rng, 0, rng.Int64N(60_000), rng.Int64N(86_400_000))
		l.add(late)
	}
	if rng.Float64() < a.Future {
		future := r
		future.EventID += "-future-" + next
		future.At = r.Time + a.Settings.MaxAhead.Milliseconds() + 1 + choose(rng, 0, rng.Int64N(60_000), rng.Int64N(365*86_400_000))
		l.add(future)
	}
	if rng.Float64() < a.Malformed {
		l.add(Record{Kind: Malformed, Time: r.Time})
	}
}

// partitionOf returns the partition of an item, the same on every machine.
func partitionOf(item string, partitions int) int {
	h := fnv.New64a()
	h.Write([]byte(item)) // never fails
	return int(h.Sum64() % uint64(partitions))
}
