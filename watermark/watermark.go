// Package watermark is the algebra of event-time progress: the watermark of one
// source partition, the closing watermark over many, and when a partition counts as
// idle. Watermarks never go back. Everything is pure: clock readings come in as data.
//
// All times are Unix milliseconds, UTC; event.NoTime stands for "none yet". Nothing
// here is safe for concurrent use.
package watermark

// Partition is the watermark W of one source partition: the greatest event time seen
// minus the out-of-orderness bound, or the greatest punctuation, whichever is more.
// Whoever feeds it leaves out malformed records and those from the future; counted,
// duplicate and late ones all move it.
type Partition struct {
	outOfOrderness int64
	w              int64
}

// NewPartition returns a watermark that stands at w (event.NoTime at the start of a
// log) and runs outOfOrderness milliseconds behind the greatest event time.
func NewPartition(outOfOrderness, w int64) Partition {
	return Partition{outOfOrderness: outOfOrderness, w: w}
}

// Observe takes in an event's time, and reports whether the watermark moved.
func (p *Partition) Observe(eventTime int64) bool { return p.Advance(eventTime - p.outOfOrderness) }

// Advance takes in a punctuation: nothing older than t will come. It reports whether
// the watermark moved.
func (p *Partition) Advance(t int64) bool {
	if t <= p.w {
		return false
	}
	p.w = t
	return true
}

// Time returns W, or event.NoTime.
func (p *Partition) Time() int64 { return p.w }

// Future reports whether a time is too far ahead of the record that carries it to
// be believed: one row dated 2099 must not close every pane. recordTime is the
// Kafka record's timestamp.
func Future(t, recordTime, aheadMax int64) bool { return t-aheadMax > recordTime }
