package handlers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/millrank/millrank/microbatch"
)

// stage is what a handler keeps of one claim: a state machine, which messages step, and the flushes that go out of it. These go to lanes:
// the partitions of the next topic, or a sink. A lane has one flush at a time, and the others don't wait for it.
type stage struct {
	machine machine
	what    string            // goes out, for logs: "updates", ...
	lane    string            // is what a lane is called there: "shard", ...
	claim   *microbatch.Claim // nil for plain messages
	logger  watermill.LoggerAdapter
	now     func() time.Time
	flushes flushing
	tel     *instruments

	// mu guards the rest, and the machine: acknowledgements come from goroutines of their own. It is
	// held for a batch at a time, never for a record.
	mu      sync.Mutex
	broken  error // the state can't be used any more, and why
	flushAt time.Time
	armedAt time.Time // a timer will flush then, if that is due; zero: none
	lanes   lanes
	freight freight
}

// flushing says when a stage flushes.
type flushing struct {
	interval   time.Duration // so often
	entries    int           // when so many have changed, at once
	pendingMax int           // when so many wait for an acknowledgement, reading stops until there are fewer
}

// machine is a stage's state machine, as far as what goes out is concerned. The stage's mu is held in all calls.
type machine interface {
	// pending returns how many entries wait to be given to a lane, or acknowledged, and whether something has to go out at once.
	pending() (entries int, urgent bool)
	// news reports whether a flush would say anything new.
	news() bool
	// begin begins a flush: it calls give for each lane that is free, with how many entries it gets and what sends them.
	begin(give func(lane, entries int, send func(context.Context) error))
	// acked and failed say what has become of a lane's flush.
	acked(lane int)
	failed(lane int)
	// commit tells the claim what may be committed.
	commit()
}

// A lane that has refused its flush is left alone for as long as a flush interval at first, but no longer than retryFirst, and never for longer than retryMax.
const (
	retryFirst = time.Second
	retryMax   = 10 * time.Second
)

// lanes is what is under way to the lanes.
type lanes struct {
	flushes  int64         // how many have been begun
	arrived  int64         // the newest of them that has arrived at a lane
	inFlight int           // lanes whose flush is under way, or has failed and rests
	flying   int           // entries in those
	left     int           // entries that the last flush could not take along, since their lanes were not free
	landed   chan struct{} // closed when a lane is free again, and made anew
	hurry    chan struct{} // closed when the stage comes to its end: nothing rests any more
	retries  []*backoff.ExponentialBackOff
}

func newLanes(n int, interval time.Duration) lanes {
	l := lanes{landed: make(chan struct{}), hurry: make(chan struct{}), retries: make([]*backoff.ExponentialBackOff, n)}
	for i := range l.retries {
		l.retries[i] = newBackOff(interval)
	}
	return l
}

// newBackOff returns waits that begin with an interval and double, with jitter.
func newBackOff(interval time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = min(interval, retryFirst), retryMax, 2
	return b
}

func (s *stage) init(m machine, what, lane string, lanes int, f flushing, now func() time.Time) {
	s.machine, s.what, s.lane, s.flushes, s.now = m, what, lane, f, now
	s.flushAt, s.lanes = now().Add(f.interval), newLanes(lanes, f.interval)
}

// guard is given what recover returns, where the machine is stepped. A panic there leaves it in pieces, and it can't be used
// again: the partition is given back, and its next owner begins at the last commit. The panic goes on, to whoever reports
// panics (Watermill's Recoverer, or the router).
func (s *stage) guard(r any) {
	if r == nil {
		return
	}
	s.giveUp(fmt.Errorf("a panic while handling records: %v", r))
	panic(r)
}

// giveUp has the stage refuse everything from now on, and gives its partition back.
func (s *stage) giveUp(err error) {
	if s.claim == nil {
		s.broken = fmt.Errorf("what was counted can't be relied on; start the process anew: %w", err)
		return
	}
	s.claim.Release(err)
	s.broken = fmt.Errorf("this partition is being given back: %w", err)
}

// unacknowledged reports a message that something has acknowledged before it was handled.
func (s *stage) unacknowledged(msg *message.Message) error {
	if s.claim == nil {
		return nil
	}
	select {
	case <-msg.Acked():
		s.claim.Refuse(errAcknowledged)
		return errAcknowledged
	default:
		return nil
	}
}

var errAcknowledged = errors.New("a batch was acknowledged before it was handled, so the next one overtakes it, and it would not come again: " +
	"have no middleware do so (InstantAck)")

// flushIfDue publishes what has changed, when it is time, when it is much, or when something is
// urgent. Where too much is pending it waits, and so holds up reading, until there is less.
func (s *stage) flushIfDue(ctx context.Context) error {
	for {
		landed, wait := s.flushOnce()
		if landed == nil {
			return nil
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-landed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// flushOnce begins a flush, if that is due. Where too much is pending, it returns what will be closed when
// a lane is free again, and how long it is until the next flush is due.
func (s *stage) flushOnce() (landed <-chan struct{}, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.guard(recover()) }()
	pending, urgent := s.machine.pending()
	now := s.now()
	// What waits for a lane that isn't free is no reason: the others would get one empty flush after the other.
	if !now.Before(s.flushAt) || urgent || pending-s.lanes.flying-s.lanes.left >= s.flushes.entries {
		s.flush(now)
	}
	if pending < s.flushes.pendingMax {
		s.arm(now)
		return nil, 0
	}
	return s.lanes.landed, s.flushAt.Sub(now)
}

// arm has what is new flushed when that is due, also if no message comes by then. mu is held.
func (s *stage) arm(now time.Time) {
	if s.claim == nil || !s.armedAt.IsZero() && !s.flushAt.Before(s.armedAt) || !s.machine.news() {
		return
	}
	at := s.flushAt
	s.armedAt = at
	time.AfterFunc(at.Sub(now), func() {
		defer func() { s.logPanic(recover()) }()
		s.flushLate(at)
	})
}

// logPanic is given what recover returns, where nothing else would recover, and the process would end: guard has given the partition up.
func (s *stage) logPanic(r any) {
	if r != nil {
		s.logger.Error("flush", fmt.Errorf("panic: %v", r), nil)
	}
}

// flushLate flushes what no message has had flushed. A timer that was armed for later than another one has no say any more.
func (s *stage) flushLate(armedAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.guard(recover()) }()
	if !s.armedAt.Equal(armedAt) {
		return
	}
	s.armedAt = time.Time{}
	if s.broken != nil || s.over() {
		return
	}
	now := s.now()
	if !now.Before(s.flushAt) && s.machine.news() {
		s.flush(now)
	}
	s.arm(now)
}

// over reports whether the stage has come to its end. mu is held.
func (s *stage) over() bool {
	select {
	case <-s.lanes.hurry:
		return true
	case <-s.claim.Context().Done():
		return true
	default:
		return false
	}
}

// flush begins a flush, to all lanes that are free. mu is held.
func (s *stage) flush(now time.Time) {
	s.flushAt = now.Add(s.flushes.interval)
	s.lanes.flushes++
	s.freight.load(len(s.lanes.retries))
	s.machine.begin(func(lane, entries int, send func(context.Context) error) {
		s.lanes.inFlight++
		s.lanes.flying += entries
		go s.send(lane, s.lanes.flushes, entries, s.freight.take(lane, entries), send)
	})
	pending, _ := s.machine.pending()
	s.lanes.left = pending - s.lanes.flying
}

// send sends one lane's flush, and notes whether it has arrived. Lanes go side by side.
func (s *stage) send(lane int, flush int64, entries int, held cargo, send func(context.Context) error) {
	ctx := context.Background()
	if s.claim != nil {
		ctx = s.claim.Context()
	}
	ctx, done := s.tel.carry(ctx, lane, entries, held, s.now)
	err := recovered(func() error { return send(ctx) })
	done(err)
	if err != nil {
		s.rest(lane, err)
	}
	defer func() { s.logPanic(recover()) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.guard(recover()) }()
	l := &s.lanes
	l.inFlight--
	l.flying -= entries
	defer func() {
		close(l.landed)
		l.landed = make(chan struct{})
	}()
	if flush < l.flushes {
		l.left = 0 // others have been given a flush in the meantime; this lane can be now
	}
	if s.broken != nil {
		return
	}
	if err != nil {
		s.freight.back(lane, held)
		s.machine.failed(lane)
	} else {
		l.retries[lane].Reset()
		l.arrived = max(l.arrived, flush)
		s.machine.acked(lane)
		s.machine.commit()
	}
	if s.claim != nil && !s.over() {
		s.arm(s.now()) // what failed, or what the lane has missed, is flushed on time, too
	}
}

// rest waits after a failure, the longer the more there were in a row. The lane isn't free as long.
func (s *stage) rest(lane int, err error) {
	s.mu.Lock()
	wait := s.lanes.retries[lane].NextBackOff()
	s.mu.Unlock()
	s.logger.Error(s.what+" could not be published; they join the next flush", err, watermill.LogFields{s.lane: lane, "after": wait.String()})
	var over <-chan struct{}
	if s.claim != nil {
		over = s.claim.Context().Done()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.lanes.hurry:
	case <-over:
	}
}

// recovered makes a panic an error: here nothing else would recover from it, and the process would end.
func recovered(send func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("what publishes or writes panicked: %v", p)
		}
	}()
	return send()
}

// publishing returns what publishes these messages of a flush, or gives the error that kept them from being made.
func (s *stage) publishing(to message.Publisher, topic string, messages []*message.Message, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		stamp(ctx, messages)
		return s.tel.publish(ctx, to, topic, messages)
	}
}

// drain publishes what is left, and waits until it has arrived, or ctx is done. It is for
// the end of a claim: what arrives now needs not be published again by the next owner.
func (s *stage) drain(ctx context.Context) {
	s.hurry()
	if s.settle(ctx) != nil {
		return
	}
	s.flushAll()
	_ = s.settle(ctx) // there is nothing left to do if it isn't in time
}

// hurry ends the rest of lanes that have refused a flush, also later ones'.
func (s *stage) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.lanes.hurry:
	default:
		close(s.lanes.hurry)
	}
}

func (s *stage) flushAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return
	}
	defer func() { s.guard(recover()) }()
	s.flush(s.now())
}

// settle waits until no flush is under way.
func (s *stage) settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		inFlight, landed := s.lanes.inFlight, s.lanes.landed
		s.mu.Unlock()
		if inFlight == 0 {
			return nil
		}
		select {
		case <-landed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
