package microbatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reader coalesces a claim's records into batches: what is ready, up to the limits, while
// the batch before is handled. It runs in a goroutine of its own.
type reader struct {
	config  SubscriberConfig
	claim   *Claim
	session context.Context //nolint:containedctx // the session's life
	fetcher *fetcher
	// revoked is closed when the partition is taken away. sarama has no other sign of it in a session that goes on.
	revoked <-chan struct{}
	out     chan *sarama.ConsumerMessage // unbuffered: the batch being filled is the one that is read ahead
	quiet   *quiet

	waiting  []*kgo.Record // fetched, and not in a batch yet
	logEnd   int64
	frame    frame
	batch    *sarama.ConsumerMessage
	position int64 // next offset at the earliest
	handed   int64 // position after the last batch that was handed out
	beatAt   int64 // position at the last heartbeat
	room     int
}

func newReader(g *group, c *Claim, sess sarama.ConsumerGroupSession, revoked <-chan struct{}) (*reader, error) {
	f, err := newFetcher(g.config, g.line, g.logger, g.topic, c.Partition, c.Start.Offset)
	if err != nil {
		return nil, err
	}
	return &reader{
		config: g.config, claim: c, session: sess.Context(),
		fetcher: f, revoked: revoked,
		out:      make(chan *sarama.ConsumerMessage),
		quiet:    newQuiet(g, c),
		position: c.Start.Offset, handed: c.Start.Offset,
	}, nil
}

// untilRevoked keeps sarama from reading a partition, and returns what is closed when it is taken away.
func untilRevoked(from sarama.ConsumerGroupClaim) <-chan struct{} {
	if p, ok := from.(interface{ Pause() }); ok {
		p.Pause()
	}
	revoked := make(chan struct{})
	go func() {
		defer close(revoked)
		for range from.Messages() { // what it had read by then
		}
	}()
	return revoked
}

func (r *reader) run() {
	defer close(r.out)
	defer r.quiet.stop()
	var fetching sync.WaitGroup
	fetching.Go(func() { r.fetcher.run(r.config.BatchRecords) })
	defer fetching.Wait()
	defer r.fetcher.close()
	var silent <-chan time.Time
	if r.config.SilentInterval > 0 {
		ticker := time.NewTicker(r.config.SilentInterval)
		defer ticker.Stop()
		silent = ticker.C
	}
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		if len(r.waiting) > 0 {
			if !r.fill(linger) {
				return
			}
			continue
		}
		select {
		case f := <-r.fetcher.out:
			if !r.take(f) {
				return
			}
		case <-silent:
			r.heartbeat()
		case <-r.session.Done():
			r.sessionOver()
			return
		case <-r.revoked:
			r.sessionOver()
			return
		case <-r.claim.ended:
			return
		}
	}
}

// take takes fetched records in. Where there are no more, it ends the claim, and reports false: what came with them is read again.
func (r *reader) take(f fetched) bool {
	if len(f.records) > 0 {
		r.waiting, r.logEnd = f.records, f.logEnd
	}
	if f.err != nil {
		r.claim.over(fmt.Errorf("reading %s partition %d: %w", r.claim.Topic, r.claim.Partition, f.err), false)
		return false
	}
	return true
}

// fill makes a batch of what waits and comes, and hands it out. It reports false when
// the claim is over.
func (r *reader) fill(linger *time.Timer) bool {
	first := r.waiting[0].Offset
	r.claim.arrived.Store(first + 1)
	r.begin(first)
	linger.Reset(r.config.BatchLinger)
	more, expired := r.fetcher.out, linger.C
	for {
		if r.add() {
			more, expired = nil, nil
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
		case f := <-more:
			if !r.take(f) {
				return false
			}
		case <-r.session.Done():
			r.sessionOver()
			return false
		case <-r.revoked:
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

// add adds what waits to the batch, as far as there is room, and reports whether it is full.
func (r *reader) add() (full bool) {
	f := &r.frame
	n := 0
	for _, m := range r.waiting {
		if full = f.count >= r.config.BatchRecords || len(f.bytes) >= r.config.BatchBytes; full {
			break
		}
		f.startRecord(m.Offset, max(m.Timestamp.UnixMilli(), NoTimestamp))
		f.addBytes(m.Key)
		f.addBytes(m.Value)
		f.addNumber(len(m.Headers))
		for _, h := range m.Headers {
			f.addText(h.Key)
			f.addBytes(h.Value)
		}
		r.position = m.Offset + 1
		n++
	}
	r.waiting = r.waiting[n:]
	return full || f.count >= r.config.BatchRecords || len(f.bytes) >= r.config.BatchBytes
}

// finish completes the batch for handing it out; more records may still be added after that.
func (r *reader) finish(flags byte) {
	r.batch.Value = r.frame.end(max(r.logEnd, r.position), flags)
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
	select {
	case <-timer.C:
	case <-r.session.Done():
	case <-r.revoked:
	}
}
