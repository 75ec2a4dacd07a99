package feed

import (
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// advanceWatermark is the header of a punctuation: handlers.AdvanceWatermark.
const advanceWatermark = "advance-watermark"

// punctuate tells all partitions how far time is, when that has moved on by enough: to just before the oldest event still to come. That is the
// oldest in the queue; and what isn't read yet is at most the out-of-orderness behind the newest.
func (f *feed) punctuate() {
	if f.Punctuate == 0 || f.closes == event.NoTime {
		return
	}
	at := min(f.closes, f.newest-f.Times.OutOfOrderness.Milliseconds())
	if least, ok := f.queue.times.least(); ok {
		at = min(at, least)
	}
	at--
	if f.told != event.NoTime && at < f.told+f.Punctuate.Milliseconds() {
		return
	}
	f.told = at
	now := time.Now()
	if f.EventTime {
		now = time.UnixMilli(f.closes)
	}
	f.advance(at, now)
}

// advance sends a punctuation to all partitions that it is news to.
func (f *feed) advance(at int64, timestamp time.Time) {
	header := []kgo.RecordHeader{{Key: advanceWatermark, Value: []byte(time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"))}}
	for i := range f.parts {
		p := &f.parts[i]
		if p.w != event.NoTime && at <= p.w {
			continue
		}
		f.repeat(int32(i), at, p.records)
		p.w = at
		p.records++
		f.sender.send(f.lines.Load(), &kgo.Record{Partition: int32(i), Timestamp: timestamp, Headers: header})
		f.report.Punctuations++
	}
}

// end closes all windows. A punctuation may be no further ahead of its record's timestamp than an event, and brokers may limit that timestamp, too.
func (f *feed) end() {
	if !f.End || f.closes == event.NoTime {
		return
	}
	const clocks = 2 * time.Second // the broker's may be so much behind ours
	closed := f.closes + (f.Times.LongestWindow + f.Times.AllowedLateness).Milliseconds()
	wanted := closed + f.Times.OutOfOrderness.Milliseconds()
	timestamp := f.closes
	if !f.EventTime {
		timestamp = time.Now().UnixMilli()
	}
	timestamp = min(max(timestamp, wanted-f.Times.MaxAhead.Milliseconds()), time.Now().Add(f.target.aheadMax-clocks).UnixMilli())
	at := min(wanted, timestamp+f.Times.MaxAhead.Milliseconds())
	if at < closed {
		f.notef("the punctuation at the end only says %s: one further ahead would not be believed on this topic (%s). Windows that end later close as time passes",
			time.UnixMilli(at).UTC().Format(time.RFC3339), f.whyNotLater())
	}
	f.report.EndTime = instant(at)
	f.advance(at, time.UnixMilli(timestamp))
}

func (f *feed) whyNotLater() string {
	if f.target.logAppendTime {
		return "message.timestamp.type=LogAppendTime, and time.max_ahead is " + f.Times.MaxAhead.String()
	}
	return "message.timestamp.after.max.ms=" + strconv.FormatInt(f.target.aheadMax.Milliseconds(), 10)
}

func (f *feed) notef(format string, args ...any) {
	f.report.Notes = append(f.report.Notes, fmt.Sprintf(format, args...))
}

// notes says what in the numbers is likely not meant.
func (f *feed) notes() {
	r, t := &f.report, f.target
	if r.Unreadable > 0 {
		f.notef("%d lines are no events by source.fields; they were sent as they are, and will be dead letters", r.Unreadable)
	}
	if r.EventsLate > 0 {
		f.notef("%d events are late, and will be dead letters: the input is up to %v out of order, time.out_of_orderness is %v", r.EventsLate, time.Duration(r.BehindMillis)*time.Millisecond, f.Times.OutOfOrderness)
	}
	if r.EventsAhead > 0 {
		f.notef("%d events are further than time.max_ahead (%v) ahead of their records, and will be dead letters: send them with --timestamps event, or not faster than time passes", r.EventsAhead, f.Times.MaxAhead)
	}
	if f.EventTime && t.retention > 0 && r.FirstTime != nil && time.Since(*r.FirstTime) > t.retention {
		f.notef("the topic's retention.ms is %v, by the records' timestamps, and the oldest event is older: Kafka will delete it soon; set retention.ms=-1, or leave --timestamps event out", t.retention)
	}
}
