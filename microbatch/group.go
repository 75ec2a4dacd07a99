package microbatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// group is one subscription: this member of the consumer group, over all its sessions.
type group struct {
	config SubscriberConfig
	topic  string
	client sarama.Client // for what sarama's consumer group doesn't tell
	line   *lifeline     // of client, and of the consumer group
	logger watermill.LoggerAdapter
	out    chan *message.Message
	stop   func(error) // for good
	commit *committer

	over, closing <-chan struct{} // either ends it

	failures atomic.Int32 // to look, in a row
	joins    atomic.Int32 // since a session was last begun

	mu      sync.Mutex
	facts   topicFacts
	found   found            // by Setup
	claims  map[int32]*Claim // the newest of each partition
	givenUp map[int32]int    // how often in a row
}

// found is where partitions begin that a session begins with. It is of use in that generation of
// the group only: in another one, somebody else may have had the partition in between.
type found struct {
	generation int32
	starts     map[int32]Start
}

// hook is how watermill-kafka lets us in: it wraps, as a tracer, what handles a session.
//
// What we wrap isn't used: watermill-kafka's own handler of a claim waits for a message's ack
// however long the session has been over, so a blocked handler would delay every member's rebalance. group.deliver does
// its part.
type hook struct {
	*group
	tracer wkafka.SaramaTracer
}

// It is called each time that watermill-kafka connects, which it does at once when a session can't be begun: so
// it is here that there is a wait.
func (h hook) WrapConsumerGroupHandler(sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	if failed := h.joins.Add(1) - 1; failed > 0 {
		h.pause(backoff(h.config, int(failed)-1))
	}
	var deliver sarama.ConsumerGroupHandler = deliverer{h.group}
	if h.tracer != nil {
		deliver = h.tracer.WrapConsumerGroupHandler(deliver)
	}
	return session{h.group, deliver}
}

func (h hook) WrapConsumer(c sarama.Consumer) sarama.Consumer { return c }

func (h hook) WrapPartitionConsumer(c sarama.PartitionConsumer) sarama.PartitionConsumer { return c }

func (h hook) WrapSyncProducer(_ *sarama.Config, p sarama.SyncProducer) sarama.SyncProducer { return p }

// session handles the claims of a session of the group: it reads records into batches, and
// has deliver hand them out.
type session struct {
	*group
	deliver sarama.ConsumerGroupHandler
}

// Setup looks whether the partitions that this session begins with can be resumed.
func (s session) Setup(sess sarama.ConsumerGroupSession) error {
	s.joins.Store(0)
	generation := sess.GenerationID()
	starts, err := s.prepare(sess.Context(), sess.Claims()[s.topic])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = found{generation, starts}
	return err
}

// Cleanup has not much to do: each claim commits when it is over.
func (s session) Cleanup(sess sarama.ConsumerGroupSession) error {
	if errors.Is(context.Cause(sess.Context()), sarama.ErrFencedInstancedId) {
		s.stop(s.fenced())
	}
	return nil
}

// fenced is why a member stops whose instance ID another one has: joining again would throw that one out in turn.
func (g *group) fenced() error {
	return fmt.Errorf("group.instance.id %q: another member of group %s has taken it; give each process one of its own: %w", g.config.GroupInstanceID, g.config.GroupID, sarama.ErrFencedInstancedId)
}

// ConsumeClaim serves one partition until it is taken away.
func (s session) ConsumeClaim(sess sarama.ConsumerGroupSession, from sarama.ConsumerGroupClaim) error {
	revoked := untilRevoked(from) // before anything that takes long: sarama would read, and decompress, in the meantime
	c, err := s.newClaim(sess, from)
	if err != nil {
		return err
	}
	r, err := newReader(s.group, c, sess, revoked)
	if err != nil {
		c.cancel(err)
		s.forget(c)
		s.logger.Error("can't read; will try again", err, watermill.LogFields{"partition": c.Partition, "after": s.config.RetryMax.String()})
		select {
		case <-time.After(s.config.RetryMax):
		case <-sess.Context().Done():
		}
		return err
	}
	logger := s.logger.With(watermill.LogFields{"partition": c.Partition})
	logger.Info("partition assigned", watermill.LogFields{"offset": c.Start.Offset, "log_end": c.Start.LogEnd, "resumed": c.Start.Resumed})
	if s.config.Assigned != nil {
		s.config.Assigned(c)
	}
	s.commit.add(c, sess)

	began := time.Now()
	read := make(chan struct{})
	go func() {
		defer close(read)
		r.run()
	}()
	err = s.deliver.ConsumeClaim(sess, batchClaim{from, r.out})
	c.over(err, err != nil)
	<-read

	abandoned, cause := c.whyOver()
	if !abandoned {
		var last frame
		last.begin(c.takenUpTo(r.handed), 0)
		s.handOut(c, c.message(last.end(-1, flagLeaving), nil), nil)
		s.commit.last(c)
	}
	s.commit.remove(c)
	c.cancel(errors.Join(errOver, cause))
	s.forget(c)
	if s.config.Revoked != nil {
		s.config.Revoked(c)
	}
	if cause != nil {
		wait := s.givesUp(c, time.Since(began))
		logger.Error("partition given up; the member leaves the session, for it to be assigned anew", cause, watermill.LogFields{"after": wait.String()})
		r.rest(wait)
	} else {
		logger.Info("partition released", nil)
	}
	return err
}

// forget lets go of a claim.
func (g *group) forget(c *Claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.claims[c.Partition] == c {
		delete(g.claims, c.Partition)
	}
}

// givesUp returns how long to wait until a partition that its claim gives up is assigned anew. It costs this member all its
// partitions for a moment, so what happens again and again happens more seldom.
func (g *group) givesUp(c *Claim, lasted time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if lasted > g.config.RetryMax {
		delete(g.givenUp, c.Partition)
	}
	g.givenUp[c.Partition]++
	if n := g.givenUp[c.Partition]; n > 1 {
		return backoff(g.config, n-2)
	}
	return 0
}

var errOver = errors.New("the partition is no longer assigned to this member")

// newClaim makes the claim of a partition that was just assigned.
func (s session) newClaim(sess sarama.ConsumerGroupSession, from sarama.ConsumerGroupClaim) (*Claim, error) {
	partition := from.Partition()
	s.mu.Lock()
	start, known := s.found.starts[partition]
	known = known && s.found.generation == sess.GenerationID()
	s.mu.Unlock()
	if !known { // assigned in the middle of a session
		starts, err := s.prepare(sess.Context(), []int32{partition})
		if err != nil {
			return nil, err
		}
		start = starts[partition]
	}
	// sarama has looked for itself.
	begins := start.Offset
	if !start.Resumed {
		begins = sarama.OffsetOldest
	}
	if from.InitialOffset() != begins {
		return nil, fmt.Errorf("partition %d: the group's commit has changed while it was assigned, from offset %d to %d", partition, from.InitialOffset(), begins)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := newClaim(s.config, s.topic, partition, s.facts, start, s.stop)
	s.claims[partition] = c
	return c, nil
}

// prepare looks at the topic and the group's commits, and finds where partitions begin. Where that
// fails it waits a little before it says so, since watermill-kafka tries again at once.
func (g *group) prepare(ctx context.Context, partitions []int32) (map[int32]Start, error) {
	starts, err := g.look(partitions)
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) {
		g.failures.Store(0)
		if err != nil {
			g.stop(err)
		}
		return starts, err
	}
	wait := backoff(g.config, int(g.failures.Add(1))-1)
	g.logger.Error("can't look up where to go on; will try again", err, watermill.LogFields{"after": wait.String()})
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return nil, err
}

// pause waits, unless the subscription ends. It reports whether it goes on.
func (g *group) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-g.over:
	case <-g.closing:
	}
	return false
}

// backoff returns how long to wait after so many failures in a row.
func backoff(c SubscriberConfig, failed int) time.Duration {
	return min(c.RetryMin<<min(failed, 20), c.RetryMax)
}

// batchClaim is a claim whose messages are batches.
type batchClaim struct {
	sarama.ConsumerGroupClaim
	batches <-chan *sarama.ConsumerMessage
}

func (b batchClaim) Messages() <-chan *sarama.ConsumerMessage { return b.batches }

// deliverer hands batches out, as a consumer group handler, so that a tracer can wrap it.
type deliverer struct{ *group }

func (d deliverer) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (d deliverer) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (d deliverer) ConsumeClaim(_ sarama.ConsumerGroupSession, from sarama.ConsumerGroupClaim) error {
	d.mu.Lock()
	c := d.claims[from.Partition()] // a tracer has wrapped what we gave it
	d.mu.Unlock()
	for m := range from.Messages() {
		heartbeat := len(m.Value) == frameHead
		if heartbeat && m.Offset < c.arrived.Load() { // a tracer has held it back, and it isn't true any more
			continue
		}
		if !d.handOut(c, c.message(m.Value, m.Headers), c.ended) {
			c.notTaken(m.Offset)
			continue
		}
		if d.config.ReusePayloads && !heartbeat {
			select {
			case c.free <- m.Value:
			default:
			}
		}
	}
	return nil
}

// handOut gives a message to the router, again and again until it is acknowledged. It gives up, and reports false,
// when ended is closed before the message was taken, or when the claim's context is done.
func (g *group) handOut(c *Claim, msg *message.Message, ended <-chan struct{}) bool {
	for attempt := 0; ; attempt++ {
		if c.ctx.Err() != nil { // a handler may be blocked still: it isn't given a second one
			return false
		}
		select {
		case <-ended:
			return false
		case <-c.ctx.Done():
			return false
		case g.out <- msg:
		}
		select {
		case <-msg.Acked():
			return true
		case <-c.ctx.Done():
			return false
		case <-msg.Nacked():
		}
		wait := backoff(g.config, attempt)
		g.logger.Info("a handler has refused a batch; it comes again", watermill.LogFields{"partition": c.Partition, "message_uuid": msg.UUID, "after": wait.String()})
		select {
		case <-time.After(wait):
		case <-ended:
			return false
		case <-c.ctx.Done():
			return false
		}
		msg = msg.Copy() // without its context, which a middleware may have cut short
		msg.SetContext(c.ctx)
	}
}
