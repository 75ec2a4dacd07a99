package microbatch

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/IBM/sarama"
)

// reader coalesces a claim's records into batches: what is ready, up to the limits, while
// the batch before is handled. It runs in a goroutine of its own.
type reader struct {
	config  SubscriberConfig
	claim   *Claim
	session context.Context //nolint:containedctx // the session's life
	in      <-chan *sarama.ConsumerMessage
	// revoked is closed when the partition is taken away, also where in can't tell: that is closed, too,
	// but behind the records that are waiting in it. sarama has no other sign of it in a session
	// that goes on.
	revoked <-chan *sarama.ConsumerError
	logEnd  func() int64
	out     chan *sarama.ConsumerMessage // unbuffered: the batch being filled is the one that is read ahead
	quiet   *quiet

	frame    frame
	batch    *sarama.ConsumerMessage
	position int64 // next offset at the earliest
	handed   int64 // position after the last batch that was handed out
	beatAt   int64 // position at the last heartbeat
	room     int
}

func newReader(g *group, c *Claim, sess sarama.ConsumerGroupSession, from sarama.ConsumerGroupClaim) *reader {
	r := &reader{
		config: g.config, claim: c, session: sess.Context(),
		in: from.Messages(), logEnd: from.HighWaterMarkOffset,
		out:      make(chan *sarama.ConsumerMessage),
		quiet:    newQuiet(g, c),
		position: c.Start.Offset, handed: c.Start.Offset,
	}
	if errs, ok := from.(interface {
		Errors() <-chan *sarama.ConsumerError
	}); ok {
		r.revoked = errs.Errors()
	}
	return r
}

func (r *reader) run() {
	defer close(r.out)
	defer r.quiet.stop()
	var silent <-chan time.Time
	if r.config.SilentInterval > 0 {
		ticker := time.NewTicker(r.config.SilentInterval)
		defer ticker.Stop()
		silent = ticker.C
	}
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		select {
		case m, ok := <-r.in:
			if !ok {
				r.sessionOver()
				return
			}
			if !r.fill(m, linger) {
				return
			}
		case <-silent:
			r.heartbeat()
		case <-r.session.Done():
			r.sessionOver()
			return
		case <-r.claim.ended:
			return
		}
	}
}

// fill makes a batch that begins with a record, and hands it out. It reports false when
// the claim is over.
func (r *reader) fill(m *sarama.ConsumerMessage, linger *time.Timer) bool {
	r.claim.arrived.Store(m.Offset + 1)
	r.begin(m.Offset)
	r.add(m)
	linger.Reset(r.config.BatchLinger)
	expired := linger.C
	for r.frame.count < r.config.BatchRecords && len(r.frame.bytes) < r.config.BatchBytes {
		select { // first without waiting: that is quicker
		case m, ok := <-r.in:
			if !ok {
				r.sessionOver()
				return false
			}
			r.add(m)
			continue
		default:
		}
		var out chan<- *sarama.ConsumerMessage
		if expired == nil {
			out = r.out
			r.finish(0)
		}
		select {
		case out <- r.batch:
			r.handed = r.position
			return true
		case <-expired:
			expired = nil
		case m, ok := <-r.in:
			if !ok {
				r.sessionOver()
				return false
			}
			r.add(m)
		case <-r.session.Done():
			r.sessionOver()
			return false
		case <-r.claim.ended:
			return false
		}
	}
	r.finish(0)
	for {
		select {
		case r.out <- r.batch:
			r.handed = r.position
			return true
		case err, ok := <-r.revoked:
			if ok { // an error: sarama goes on
				r.quiet.group.logger.Error("reading", err, nil)
				continue
			}
			r.sessionOver()
			return false
		case <-r.session.Done():
			r.sessionOver()
			return false
		case <-r.claim.ended:
			return false
		}
	}
}

func (r *reader) begin(position int64) {
	select {
	case used := <-r.claim.free:
		r.frame.bytes = used
	default:
		r.frame.bytes = nil
	}
	r.frame.begin(position, r.room)
	r.batch = &sarama.ConsumerMessage{Topic: r.claim.Topic, Partition: r.claim.Partition, Offset: position}
}

func (r *reader) add(m *sarama.ConsumerMessage) {
	r.frame.startRecord(m.Offset, timestamp(m.Timestamp))
	r.frame.addBytes(m.Key)
	r.frame.addBytes(m.Value)
	r.frame.addNumber(len(m.Headers))
	for _, h := range m.Headers {
		r.frame.addBytes(h.Key)
		r.frame.addBytes(h.Value)
	}
	r.position = m.Offset + 1
}

// timestamp returns a record's timestamp in Unix milliseconds, or NoTimestamp.
//
// sarama adds a record's difference to the timestamp of its batch's first record, and takes the zero
// time, of the year 1, for that where the first record has none (-1).
func timestamp(t time.Time) int64 {
	ms := t.UnixMilli()
	if sinceZero := t.Sub(time.Time{}); ms < 0 && sinceZero < math.MaxInt64 {
		ms = sinceZero.Milliseconds() - 1
	}
	return max(ms, NoTimestamp)
}

// finish completes the batch for handing it out; more records may still be added after that.
func (r *reader) finish(flags byte) {
	r.batch.Value = r.frame.end(max(r.logEnd(), r.position), flags)
	r.room = max(r.room-r.room/8, len(r.batch.Value)*9/8) // the next one will be about as large
}

// heartbeat hands out a batch without records, if the handler has nothing to do; and has
// the broker asked whether it is right that nothing comes.
func (r *reader) heartbeat() {
	flags, logEnd := r.quiet.news(r.position)
	r.frame.bytes = nil
	r.frame.begin(r.position, 0)
	beat := &sarama.ConsumerMessage{
		Topic: r.claim.Topic, Partition: r.claim.Partition, Offset: r.position,
		Value: r.frame.end(logEnd, flags),
	}
	select {
	case r.out <- beat:
		r.quiet.told()
	default:
	}
	if r.position == r.beatAt { // nothing came since the last one
		r.quiet.ask(r.position)
	}
	r.beatAt = r.position
}

// sessionOver ends the claim; where the group has thrown this member out already, in a hurry.
func (r *reader) sessionOver() {
	cause := context.Cause(r.session)
	lost := errors.Is(cause, sarama.ErrUnknownMemberId) || errors.Is(cause, sarama.ErrIllegalGeneration) || errors.Is(cause, sarama.ErrFencedInstancedId)
	if !lost {
		cause = nil
	}
	r.claim.over(cause, lost)
}

// rest waits after the claim has ended, unless the session ends or the partition is taken away.
func (r *reader) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for open := true; open; {
		select {
		case <-timer.C:
			return
		case <-r.session.Done():
			return
		case _, open = <-r.revoked:
		}
	}
}
