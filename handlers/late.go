package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
)

// Late is an event that came too late to be counted.
type Late struct {
	Group     event.Group // its values of all dimensions
	Pane      int64       // where its pane begins, Unix milliseconds
	Source    string      // where its dead letter is: topic and partition
	Partition int32       // of the source
	Offset    int64       // in that partition
}

// LateConfig holds a LateCounts' settings. Codec and Count are due.
type LateConfig struct {
	Codec Codec // as in IntakeConfig
	// Generation is whose dead letters are counted: all generations' come to the same topic. Those that name none count as 0's, which is no generation's.
	Generation uint32
	// Count counts late events. Of one source and partition they come in the order of their offsets, with repeats, which it ignores. It returns
	// nil when they are safe.
	Count  func(ctx context.Context, late []Late) error
	Logger watermill.LoggerAdapter

	Telemetry Telemetry
}

// Identity is what the commits of the dead-letter topic belong to: give it to the Subscriber.
func (c LateConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation}
}

// LateCounts is the handler that counts late events where readers of leaderboards see them: it reads the dead letters, of which it
// only counts those that are late, of its own generation. A LateCounts is safe for concurrent use.
//
// A dead letter that comes again is counted once, as long as it comes in the same partition of the dead-letter topic: as those of records with a key do.
type LateCounts struct {
	config  LateConfig
	tel     *instruments
	foreign atomic.Int64
}

// NewLateCounts returns a LateCounts.
func NewLateCounts(c LateConfig) (*LateCounts, error) {
	if c.Codec.New == nil || c.Count == nil {
		return nil, errors.New("late counts: codec or count is missing")
	}
	if c.Logger == nil {
		c.Logger = watermill.NopLogger{}
	}
	tel, err := c.Telemetry.newInstruments(lateName, "")
	if err != nil {
		return nil, err
	}
	return &LateCounts{config: c, tel: tel}, nil
}

// lateName is what LateCounts is called in a router, and in metrics.
const lateName = "late"

// AddTo adds the handler to a router as "late": it reads the dead-letter topic by a microbatch.Subscriber.
func (l *LateCounts) AddTo(router *message.Router, deadLettersTopic string, letters message.Subscriber) *message.Handler {
	return router.AddConsumerHandler(lateName, deadLettersTopic, letters, l.Handle)
}

// Handle counts a message's late events, and commits when they are safe. Messages must come from a
// microbatch.Subscriber. An error means that the same message must come again.
func (l *LateCounts) Handle(msg *message.Message) error {
	claim, ok := microbatch.ClaimOf(msg.Context())
	if !ok {
		return errNoClaim
	}
	return l.tel.processClaimed(msg, claim, func(ctx context.Context) error { return l.count(ctx, msg, claim) })
}

func (l *LateCounts) count(ctx context.Context, msg *message.Message, claim *microbatch.Claim) error {
	batch, err := microbatch.Open(msg.Payload)
	if err != nil || batch.Count == 0 {
		return err
	}
	source := claim.Topic + ":" + strconv.Itoa(int(claim.Partition))
	decoder := l.config.Codec.New()
	var late []Late
	var r microbatch.Record
	next := int64(0)
	for batch.Next(&r) {
		next = r.Offset + 1
		switch one, ok, err := l.lateOf(&r, decoder); {
		case err != nil:
			l.foreign.Add(1)
			l.config.Logger.Error("a record of the dead-letter topic is left out", err, watermill.LogFields{"partition": claim.Partition, "offset": r.Offset})
		case ok:
			one.Source = source
			late = append(late, one)
		}
	}
	if err := batch.Err(); err != nil {
		return err
	}
	if len(late) > 0 {
		if err := l.config.Count(ctx, late); err != nil {
			return fmt.Errorf("counting %d late events: %w", len(late), err)
		}
	}
	return claim.Commit(next, "")
}

// lateOf returns the late event that a dead letter is of; false where it is of another one, or of another generation.
func (l *LateCounts) lateOf(r *microbatch.Record, decoder event.Decoder) (Late, bool, error) {
	letter, own, err := letterOf(r, l.config.Generation)
	if err != nil || !own || letter.Reason != event.Late {
		return Late{}, false, err
	}
	e, err := eventOf(&letter, decoder)
	if err != nil {
		return Late{}, false, err
	}
	return Late{Group: event.Group(e.Group), Pane: letter.Pane, Partition: letter.Partition, Offset: letter.Offset}, true, nil
}

// Foreign returns how many records could not be read, since the start of the process.
func (l *LateCounts) Foreign() int64 { return l.foreign.Load() }
