package microbatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Claim is a partition while the group has assigned it to this member. Every message
// carries its claim (ClaimOf). When the same partition comes back after a rebalance, that
// is another claim, with the state that was committed last; state that a handler keeps
// belongs to the claim. A Claim is safe for concurrent use.
type Claim struct {
	Group      string
	Topic      string
	Partition  int32
	Partitions int // how many the topic has
	// Incarnation tells this claim from all others of the partition, also from those of a
	// process that believes it still owns it. It is random.
	Incarnation uint64
	// Start is where reading begins.
	Start Start

	identity Identity
	topicID  [16]byte

	ctx     context.Context //nolint:containedctx // the claim's life: done when it is over, and all messages were given up
	cancel  context.CancelCauseFunc
	free    chan []byte   // payloads that are acknowledged, to be used again
	ended   chan struct{} // closed when no more records are to be handed out
	end     sync.Once
	refuse  func(error)
	release time.Duration

	arrived atomic.Int64 // below it lies the first record of the newest batch: a heartbeat of before is out of date

	mu        sync.Mutex
	wanted    Committed // by the handler
	written   Committed // by the committer
	cause     error
	abandoned bool
	untaken   int64 // where the first batch begins that wasn't acknowledged; -1: all were
}

// Start says where a claim's reading begins, and with which state.
type Start struct {
	Offset  int64  // of the first record that comes, at the earliest
	State   string // as given to Commit with that offset; "" when nothing was committed
	Resumed bool   // whether there was a commit
	LogEnd  int64  // at the time of assignment
}

// Committed is a commit: an offset to read again from, and the state to go on with.
type Committed struct {
	Offset int64
	State  string
}

type claimKey struct{}

// ClaimOf returns the claim that a message's records come from; false where the message is not from a
// Subscriber of this package. Pass it msg.Context().
func ClaimOf(ctx context.Context) (*Claim, bool) {
	c, ok := ctx.Value(claimKey{}).(*Claim)
	return c, ok
}

func newClaim(config SubscriberConfig, topic string, partition int32, facts topicFacts, start Start, refuse func(error)) *Claim {
	c := &Claim{
		Group: config.GroupID, Topic: topic, Partition: partition, Partitions: facts.partitions,
		Incarnation: incarnation(), Start: start,
		identity: config.Identity, topicID: facts.id, release: config.ReleaseTimeout,
		free: make(chan []byte, 2), ended: make(chan struct{}), refuse: refuse,
	}
	c.wanted.Offset, c.written.Offset, c.untaken = -1, -1, -1
	// Not a child of the session's context: for a while after the session has ended, handlers
	// finish what they have in hand.
	ctx, cancel := context.WithCancelCause(context.Background())
	c.ctx, c.cancel = context.WithValue(ctx, claimKey{}, c), cancel
	return c
}

func incarnation() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Context is done when the claim is over: what a handler still does for it is in vain, or is
// done again by the next owner.
func (c *Claim) Context() context.Context { return c.ctx }

// Commit asks for an offset to be committed, from which the partition's next owner will
// read, with a state that it will find in Start.State. Nothing else is ever committed. It
// returns at once; within the commit interval the newest request is written, and again
// until the broker has confirmed it. State is ASCII text without spaces, of at most 3,500 bytes.
func (c *Claim) Commit(offset int64, state string) error {
	if offset < 0 {
		return fmt.Errorf("offset %d can't be committed: it is below 0", offset)
	}
	if len(state) > stateLimit || !plain(state) {
		return fmt.Errorf("state of %d bytes can't be committed: it must be ASCII text without spaces, of at most %d bytes", len(state), stateLimit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = Committed{offset, state}
	return nil
}

// Committed returns the newest commit of this claim that the broker has confirmed; false
// where there is none yet.
func (c *Claim) Committed() (Committed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written, c.written.Offset >= 0
}

// Release gives the partition back, and lets the group assign it anew: the handler
// can't go on with the state that it has, but another start may. What was not committed is read
// again. Err says why; it is logged.
func (c *Claim) Release(err error) { c.over(err, true) }

// Refuse ends the whole subscription, since going on would give wrong results. Err says why, and what to do.
func (c *Claim) Refuse(err error) {
	c.over(err, true)
	c.refuse(err)
}

// over ends the claim: no more records. Abandoned: nor a last message. What is in hand
// has until the release timeout.
func (c *Claim) over(err error, abandoned bool) {
	c.end.Do(func() {
		c.mu.Lock()
		c.cause, c.abandoned = err, abandoned
		c.mu.Unlock()
		close(c.ended)
		time.AfterFunc(c.release, func() { c.cancel(errOver) })
	})
}

func (c *Claim) whyOver() (abandoned bool, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned, c.cause
}

// notTaken notes that a batch, and all after it, wasn't acknowledged.
func (c *Claim) notTaken(position int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.untaken < 0 {
		c.untaken = position
	}
}

// takenUpTo returns the offset below which all was acknowledged, of what was handed out.
func (c *Claim) takenUpTo(handed int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.untaken >= 0 {
		return c.untaken
	}
	return handed
}

// unwritten returns what is to be committed, as metadata.
func (c *Claim) unwritten() (Committed, string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted.Offset < 0 || c.wanted == c.written {
		return Committed{}, "", false
	}
	return c.wanted, metadata{c.identity, c.topicID, c.Partitions, c.wanted.State}.encode(), true
}

func (c *Claim) confirm(w Committed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = w
}

// message makes a message of a frame.
func (c *Claim) message(payload []byte, headers []*sarama.RecordHeader) *message.Message {
	position := int64(binary.LittleEndian.Uint64(payload[frameBase:]))
	m := message.NewMessageWithContext(c.ctx, fmt.Sprintf("%s/%d/%d", c.Topic, c.Partition, position), payload)
	for _, h := range headers { // a tracer's
		m.Metadata.Set(string(h.Key), string(h.Value))
	}
	return m
}
