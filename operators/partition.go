package operators

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/watermark"
)

// Kind says what a record is.
type Kind uint8

// The kinds of records.
const (
	KindEvent       Kind = iota // Record.Event holds it
	KindMalformed               // it can't be read
	KindPunctuation             // a producer's word that nothing older than Record.Advance will come
)

// NoTimestamp is the timestamp of a Kafka record that has none.
const NoTimestamp int64 = -1

// Record is one record of a source partition, as the fold sees it. The caller may
// use one Record again and again.
type Record struct {
	Offset  int64
	Time    int64 // the Kafka record's timestamp, Unix milliseconds, or NoTimestamp, which makes the record malformed
	Kind    Kind
	Advance int64       // of a punctuation, Unix milliseconds
	Event   event.Event // of an event; its bytes are read, not kept
}

// Verdict is what the first half of the fold, Deduplicate, makes of a record.
type Verdict struct {
	Offset    int64
	Decision  event.Decision // Counted stands for "goes on to its pane"
	Conflict  bool           // a duplicate whose payload differs from that of the sighting before it
	Watermark int64          // W after the record, or event.NoTime
	Replay    Mark           // where the oldest segment of seen IDs begins
	hash      uint32         // of (group, item)
}

// Outcome is what became of a record.
type Outcome struct {
	Offset    int64
	Decision  event.Decision
	Conflict  bool  // a duplicate whose payload differs from that of the sighting before it
	Watermark int64 // W after the record, Unix milliseconds, or event.NoTime
	Pane      int64 // start of the event's pane, Unix milliseconds; of a late event
	Lateness  int64 // how far W is past the last millisecond of the pane; of a late event, and more than the allowed lateness
}

// Checkpoint is what a source partition commits: its low-water, and with it in the
// commit's metadata the rest. It is a function of the log up to ProcessedThrough.
//
// On a restart, records from LowWater to below CountFrom only move W and fill the
// seen set; from CountFrom to ProcessedThrough they are counted too, in silence; after
// that everything is published.
type Checkpoint struct {
	LowWater         int64 // first offset to read again
	Watermark        int64 // W before the record at LowWater, or event.NoTime
	CountFrom        int64 // least offset at which a still-open pane opened, else ProcessedThrough + 1
	ProcessedThrough int64 // everything up to here was published and acknowledged
}

// CheckpointAt returns the start of a log whose first offset is the given one.
func CheckpointAt(offset int64) Checkpoint {
	return Checkpoint{LowWater: offset, Watermark: event.NoTime, CountFrom: offset, ProcessedThrough: offset - 1}
}

// Partition is the fold over one source partition (Rule 1). Its state after an offset is a
// pure function of the partition's records up to it: no wall clock, no other
// partition, no batch boundaries. It owns the checkpoint (Rule 3) and what is to be
// published of its cells (Rule 2).
//
// Step each record in the order of offsets; publish the dead letters among the
// outcomes, then tell LettersAcked; Flush from time to time, and tell Acked or Failed
// for each shard; commit what Commit returns. A Partition serves one goroutine.
type Partition struct {
	maxAhead int64 // milliseconds
	through  int64 // processed-through that it was restored at: up to here it folds in silence
	counting int64 // count-from that it was restored at

	watermark watermark.Partition
	dedup     dedup
	at        int64    // last offset deduplicated
	ahead     verdicts // of records deduplicated and not yet counted

	panes    panes
	counted  int64 // last offset counted
	verdict  Verdict
	closings int       // panes closed since the last flush
	letters  []Outcome // dead letters not acknowledged, in order of offsets

	sender *Sender[cellRef, Checkpoint]
	key    []byte       // scratch: (group, item)
	cells  []event.Cell // scratch: a flush's
	warm   warm
}

// cellRef is a cell in the sender's lists. It counts in its pane's unacked.
type cellRef struct {
	pane *pane
	cell uint32
}

// NewPartition returns the fold of one source partition, to be stepped from
// from.LowWater on. Its cells go to this many shards (1 to 32,768). It panics on settings that Validate refuses.
func NewPartition(s Settings, shards int, from Checkpoint) *Partition {
	if err := s.Validate(); err != nil {
		panic(err)
	}
	if shards < 1 || shards > shardsMax {
		panic(fmt.Sprintf("operators: %d shards; it must be 1 to %d", shards, shardsMax))
	}
	p := &Partition{
		maxAhead: s.MaxAhead.Milliseconds(),
		through:  from.ProcessedThrough, counting: from.CountFrom,
		watermark: watermark.NewPartition(s.OutOfOrderness.Milliseconds(), from.Watermark),
		dedup:     newDedup(s),
		at:        from.LowWater - 1,
		panes:     panes{width: s.Pane.Milliseconds(), lateness: s.AllowedLateness.Milliseconds()},
		counted:   from.LowWater - 1,
		verdict:   Verdict{Watermark: from.Watermark, Replay: Mark{Offset: from.LowWater, Watermark: from.Watermark}},
	}
	p.sender = NewSender[cellRef, Checkpoint](shards, from.ProcessedThrough, p.mark, p.unmark)
	return p
}

const shardsMax = 1 << 15

// Shard returns the shard that an item belongs to: XXH3-64 of its bytes, modulo the
// number of shards. All of an item's events, of all groups and partitions, reach it.
func Shard(item []byte, shards int) int { return int(xxh3.Hash(item) % uint64(shards)) }

// Step folds one record: Deduplicate, then Count. A record that was folded before (a
// redelivery) changes nothing: a dead letter that is not yet acknowledged has its
// outcome again, anything else is event.Repeated. Step panics while Deduplicate is ahead of Count.
func (p *Partition) Step(r *Record) Outcome {
	if r.Offset <= p.counted {
		return p.repeated(r.Offset)
	}
	if len(p.ahead.waiting()) > 0 || r.Offset <= p.at {
		panic(fmt.Sprintf("operators: Step of offset %d, but Deduplicate is ahead, at %d: call Count for those records first", r.Offset, p.at))
	}
	return p.countOnce(r, p.deduplicateOnce(r))
}

// Deduplicate is the first half of Step: malformed, from the future, W, duplicate. It
// may run ahead of Count. A record that comes again has the same verdict, until it has been counted.
func (p *Partition) Deduplicate(r *Record) Verdict {
	if r.Offset > p.at {
		v := p.deduplicateOnce(r)
		p.ahead.add(v)
		return v
	}
	waiting := p.ahead.waiting()
	if i, ok := slices.BinarySearchFunc(waiting, r.Offset, func(v Verdict, offset int64) int { return cmp.Compare(v.Offset, offset) }); ok {
		return waiting[i]
	}
	return Verdict{Offset: r.Offset, Decision: event.Repeated}
}

func (p *Partition) deduplicateOnce(r *Record) Verdict {
	p.at = r.Offset
	v := Verdict{Offset: r.Offset, Decision: p.admit(r)}
	before := p.watermark.Time()
	if v.Decision == event.Counted {
		e := &r.Event
		p.watermark.Observe(e.Time)
		hash := p.hash(r)
		v.hash = uint32(hash)
		payload := uint32(mix(mix(hash^mix(uint64(e.Time)))^mix(^uint64(e.Value))) >> 32) // one after the other: side by side, a time and a value could cancel out
		var duplicate bool
		if duplicate, v.Conflict = p.dedup.see(r.Offset, before, p.watermark.Time(), e.ID, payload); duplicate {
			v.Decision = event.Duplicate
		}
	}
	v.Watermark = p.watermark.Time()
	var ok bool
	if v.Replay, ok = p.dedup.oldest(); !ok {
		v.Replay = Mark{Offset: r.Offset + 1, Watermark: v.Watermark}
	}
	return v
}

// admit decides what needs no memory, and takes punctuations in.
func (p *Partition) admit(r *Record) event.Decision {
	switch {
	case r.Kind == KindMalformed || r.Time == NoTimestamp,
		r.Kind == KindEvent && !(-timeMax <= r.Event.Time && r.Event.Time <= timeMax),
		r.Kind == KindPunctuation && !(-timeMax <= r.Advance && r.Advance <= timeMax):
		return event.Malformed
	case r.Kind == KindPunctuation:
		if watermark.Future(r.Advance, r.Time, p.maxAhead) {
			return event.Future
		}
		p.watermark.Advance(r.Advance)
		return event.Punctuation
	case watermark.Future(r.Event.Time, r.Time, p.maxAhead):
		return event.Future
	}
	return event.Counted
}

// Count is the second half of Step: it closes panes, finds what is late, and counts. It
// is called for every record that Deduplicate was called for, whatever its verdict, in the
// same order, and panics where one is left out.
func (p *Partition) Count(r *Record) Outcome {
	if r.Offset <= p.counted {
		return p.repeated(r.Offset)
	}
	waiting := p.ahead.waiting()
	if len(waiting) == 0 || waiting[0].Offset != r.Offset {
		panic(fmt.Sprintf("operators: Count of offset %d is out of order: Count every record that Deduplicate has seen, also duplicates and malformed ones", r.Offset))
	}
	v := waiting[0]
	p.ahead.taken()
	return p.countOnce(r, v)
}

func (p *Partition) countOnce(r *Record, v Verdict) Outcome {
	p.counted, p.verdict = r.Offset, v
	silent := r.Offset <= p.through
	out := Outcome{Offset: r.Offset, Decision: v.Decision, Conflict: v.Conflict, Watermark: v.Watermark}
	switch v.Decision {
	case event.Punctuation:
		p.closings += p.panes.close(v.Watermark)
	case event.Duplicate:
		p.closings += p.panes.close(v.Watermark)
		p.duplicate(r, v, silent)
	case event.Counted:
		p.closings += p.panes.close(v.Watermark)
		if pane := p.panes.at(r.Event.Time); pane != nil {
			p.count(pane, r, v, silent)
			break
		}
		out.Pane = p.panes.start(r.Event.Time)
		if late := v.Watermark - (out.Pane + p.panes.width - 1); late > p.panes.lateness {
			out.Decision, out.Lateness = event.Late, late
		} else if r.Offset >= p.counting {
			p.count(p.panes.opens(out.Pane, r.Offset, v.Replay), r, v, silent)
		}
	}
	if silent {
		out.Decision = event.Replayed
	} else if out.Decision.DeadLetter() {
		p.letters = append(p.letters, out)
	}
	return out
}

func (p *Partition) count(pane *pane, r *Record, v Verdict, silent bool) {
	e := &r.Event
	i := pane.find(v.hash, e.Group, e.Item)
	if i < 0 {
		i = pane.add(v.hash, e.Group, e.Item, uint16(Shard(e.Item, len(p.sender.lanes))))
	}
	pane.cells[i].add(e.Value)
	p.changed(pane, i, silent)
}

// duplicate counts a duplicate in its cell, if that is open.
func (p *Partition) duplicate(r *Record, v Verdict, silent bool) {
	pane := p.panes.at(r.Event.Time)
	if pane == nil {
		return
	}
	if i := pane.find(v.hash, r.Event.Group, r.Event.Item); i >= 0 {
		pane.cells[i].duplicates++
		p.changed(pane, i, silent)
	}
}

// repeated is the outcome of a record that comes again.
func (p *Partition) repeated(offset int64) Outcome {
	if i, ok := slices.BinarySearchFunc(p.letters, offset, func(o Outcome, offset int64) int { return cmp.Compare(o.Offset, offset) }); ok {
		return p.letters[i]
	}
	return Outcome{Offset: offset, Decision: event.Repeated}
}

// timeMax bounds event times and punctuations, so that adding settings to one never overflows. It is far
// beyond what a decoder lets through.
const timeMax = 1 << 53

// mix is the finalizer of MurmurHash3: every bit of x bears on every bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
