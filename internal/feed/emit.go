package feed

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millrank/millrank/event"
)

// part is what is known of a partition. It is the pipeline's own watermark, as far as this run decides it.
type part struct {
	w       int64 // the watermark; event.NoTime before there is one
	newest  int64
	records int64
	repeats []repeat // duplicates to come
}

// repeat is a duplicate to come: after so many records of its partition, and before the watermark has moved on by much.
type repeat struct {
	item item
	due  int64
	w    int64
}

// duplicateWithin is within how many records a duplicate comes.
const duplicateWithin = 100

// emit sends an item, and what is added to it.
func (f *feed) emit(i item) {
	p := &f.parts[i.partition]
	now := f.clock(i)
	timestamp := now.UnixMilli()
	w := p.w
	ahead := i.readable && i.at > timestamp+f.Times.MaxAhead.Milliseconds()
	if i.readable && !ahead {
		w = max(w, i.at-f.Times.OutOfOrderness.Milliseconds())
	}
	f.repeat(i.partition, w, p.records)
	f.send(i, now)
	if !i.readable {
		return
	}
	f.eventTime.Store(i.at)
	f.first, f.last = min(f.first, i.at), max(f.last, i.at)
	if ahead {
		f.report.EventsAhead++
		return
	}
	p.w = w
	f.closes = max(f.closes, i.at)
	if p.newest != event.NoTime {
		f.report.BehindMillis = max(f.report.BehindMillis, p.newest-i.at)
	}
	p.newest = max(p.newest, i.at)
	if f.paneEnd(i.at)+f.Times.AllowedLateness.Milliseconds() <= w {
		f.report.EventsLate++
	}
	f.add(p, i, timestamp)
}

// paneEnd returns the end of the pane that a time lies in.
func (f *feed) paneEnd(at int64) int64 {
	pane := f.Times.Pane.Milliseconds()
	return (floorDiv(at, pane) + 1) * pane
}

// clock returns an item's timestamp.
func (f *feed) clock(i item) time.Time {
	if f.EventTime && i.readable {
		return time.UnixMilli(i.at)
	}
	return time.UnixMilli(time.Now().UnixMilli())
}

func (f *feed) send(i item, timestamp time.Time) {
	f.parts[i.partition].records++
	f.sender.send(i.line, i.record(timestamp))
}

// repeat sends the duplicates of a partition that are due after so many records, or before its watermark moves to w.
func (f *feed) repeat(partition int32, w, records int64) {
	p := &f.parts[partition]
	kept := p.repeats[:0]
	for _, r := range p.repeats {
		if r.due > records && w-r.w < f.Times.DedupHorizon.Milliseconds()/2 {
			kept = append(kept, r)
			continue
		}
		f.report.Duplicates++
		f.send(r.item, f.clock(r.item))
	}
	clear(p.repeats[len(kept):])
	p.repeats = kept
}

// add adds, now and then, what must not count. The copies that are late or from the future go under an ID of their own, to the same
// partition.
func (f *feed) add(p *part, i item, timestamp int64) {
	if f.Duplicates == 0 && f.Late == 0 && f.Future == 0 && f.Malformed == 0 {
		return
	}
	random := f.draw(i.line, forAdditions)
	if within := random.Int64N(duplicateWithin); random.Float64() < f.Duplicates {
		p.repeats = append(p.repeats, repeat{i, p.records + within, p.w})
	}
	if further := furtherBy(random, 24*time.Hour); random.Float64() < f.Late {
		// Its pane's end is at most a pane after it, and then the allowed lateness has passed.
		at := p.w - (f.Times.AllowedLateness + f.Times.Pane).Milliseconds() - further
		if f.invent(i, at, fmt.Sprintf("-late-%d", i.line)) {
			f.report.Late++
		}
	}
	if further := furtherBy(random, 365*24*time.Hour); random.Float64() < f.Future {
		at := max(timestamp, time.Now().UnixMilli()) + (f.Times.MaxAhead + time.Hour).Milliseconds() + further
		if f.invent(i, at, fmt.Sprintf("-future-%d", i.line)) {
			f.report.Future++
		}
	}
	if cut := random.Float64(); random.Float64() < f.Malformed {
		broken := i
		whole := bytes.TrimSpace(i.value)
		broken.value = whole[:1+int(cut*float64(len(whole)-1))] // an object without its last bracket is no JSON
		f.send(broken, time.UnixMilli(timestamp))
		f.report.Malformed++
	}
}

// furtherBy draws how much further than need be a time is away, in milliseconds: not at all, a little, or a lot.
func furtherBy(random *rand.Rand, most time.Duration) int64 {
	switch random.IntN(3) {
	case 0:
		return 0
	case 1:
		return random.Int64N(time.Minute.Milliseconds())
	}
	return random.Int64N(most.Milliseconds())
}

// invent sends a copy of an event at another time, or within the second before it, under another ID. It reports whether it could: the
// time and the ID must be such as the mapping takes, or the copy would be malformed instead.
func (f *feed) invent(i item, at int64, suffix string) bool {
	copied, ok := f.rewrite.shift(i.value, floorDiv(at-i.at, 1000))
	if !ok {
		return false
	}
	copied = f.rewrite.rename(copied, suffix)
	if f.decoder.Decode(copied, &f.event) != nil {
		return false
	}
	timestamp := f.clock(i)
	i.value = copied
	f.send(i, timestamp)
	return true
}

// floorDiv is a/b rounded down, for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
