package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// Deduplicated is the topic of the link between the two handlers of an Intake.
const Deduplicated = "deduplicated"

// AdvanceWatermark is the header of a punctuation: a record without a value, by which a
// producer says that nothing older than the header's time will come in this partition. The time is RFC 3339, or Unix milliseconds.
const AdvanceWatermark = "advance-watermark"

// Codec makes decoders of events.
type Codec struct {
	// Name says which events come out of which bytes: another name is another setting (Fingerprint).
	Name string
	// New makes a decoder; one is made for each partition, and serves one goroutine.
	New func() event.Decoder
}

// JSON returns the codec of JSON events.
func JSON(m event.Mapping) (Codec, error) {
	if _, err := event.NewJSON(m); err != nil {
		return Codec{}, err
	}
	// A copy, in one form: other slices, pointers and time zones that say the same are no other setting.
	m.EventID, m.Dimensions = append([]string(nil), m.EventID...), append([]string(nil), m.Dimensions...)
	m.TimeMin, m.TimeMax = m.TimeMin.UTC().Round(0), m.TimeMax.UTC().Round(0)
	if m.RegionDefault != nil {
		region := *m.RegionDefault
		m.RegionDefault = &region
	}
	name, err := json.Marshal(m) //nolint:musttag // by the fields' own names: every field, and quoted, so that names can't run into each other
	if err != nil {
		return Codec{}, fmt.Errorf("the mapping's name: %w", err)
	}
	return Codec{
		Name: "json " + string(name),
		New: func() event.Decoder {
			d, err := event.NewJSON(m)
			if err != nil {
				panic(err) // it was fine above
			}
			return d
		},
	}, nil
}

// IntakeConfig holds an Intake's settings. Start from DefaultIntakeConfig.
type IntakeConfig struct {
	Settings operators.Settings
	Codec    Codec

	Source     string // name of the stream in updates: cluster and topic
	Generation uint32
	Shards     int // partitions of the updates topic

	Updates          message.Publisher // of microbatch, or any that puts the metadata "kafka.partition" to use
	UpdatesTopic     string
	UpdateBytesMax   int               // at most so many bytes in a message of updates: below the broker's max.message.bytes
	DeadLetters      message.Publisher // must return only when the messages are safe
	DeadLettersTopic string

	FlushInterval time.Duration // how often changed cells are published
	FlushCells    int           // when so many cells have changed, they are published at once
	PendingCells  int           // when so many cells wait for an acknowledgement, reading stops until there are fewer
	IdleTimeout   time.Duration // a partition from which nothing comes for so long doesn't hold time back

	// DeadLetterShare is the share of a partition's records, taken over DeadLetterMin of them at least, that may be malformed or from the future. When there are more, its
	// reading pauses for DeadLetterPause, then tries one batch, and so on. 0 or 1: it never pauses.
	DeadLetterShare float64
	DeadLetterMin   int
	DeadLetterPause time.Duration

	Now    func() time.Time
	Logger watermill.LoggerAdapter

	Telemetry Telemetry
}

// DefaultIntakeConfig returns the defaults; codec, source, shards, topics and publishers are still due.
func DefaultIntakeConfig() IntakeConfig {
	return IntakeConfig{
		Settings:       operators.DefaultSettings(),
		UpdateBytesMax: 900_000,
		FlushInterval:  250 * time.Millisecond,
		FlushCells:     200_000,
		PendingCells:   1_000_000,
		IdleTimeout:    10 * time.Second,
		Now:            time.Now,
		Logger:         watermill.NopLogger{},
	}
}

const sourceBytesMax = 1000 // each update holds it

// Validate reports all that is wrong, at once.
func (c IntakeConfig) Validate() error {
	errs := []error{c.Settings.Validate()}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Codec.New == nil || c.Codec.Name == "", "codec: missing")
	wrong(c.Source == "", "source: missing")
	wrong(len(c.Source) > sourceBytesMax || !utf8.ValidString(c.Source), "source: %.100q is not UTF-8 of at most %d bytes", c.Source, sourceBytesMax)
	wrong(c.Shards < 1 || c.Shards > 1<<15, "shards: %d is not 1 to 32768", c.Shards)
	wrong(c.Updates == nil || c.UpdatesTopic == "", "updates: publisher or topic missing")
	wrong(c.DeadLetters == nil || c.DeadLettersTopic == "", "dead letters: publisher or topic missing")
	wrong(c.UpdateBytesMax < 10_000, "update bytes: %d is below 10000", c.UpdateBytesMax)
	wrong(c.FlushInterval <= 0, "flush interval: %v is not above 0", c.FlushInterval)
	wrong(c.FlushCells < 1, "flush cells: %d is not above 0", c.FlushCells)
	wrong(c.PendingCells < c.FlushCells, "pending cells: %d is below flush cells, %d", c.PendingCells, c.FlushCells)
	wrong(c.IdleTimeout <= 0, "idle timeout: %v is not above 0", c.IdleTimeout)
	wrong(c.DeadLetterShare < 0 || c.DeadLetterShare > 1, "dead letter share: %v is not 0 to 1", c.DeadLetterShare)
	wrong(c.DeadLetterShare > 0 && c.DeadLetterShare < 1 && (c.DeadLetterMin < 1 || c.DeadLetterPause <= 0), "dead letter min, pause: %d and %v are not above 0", c.DeadLetterMin, c.DeadLetterPause)
	wrong(c.Now == nil, "now: missing")
	wrong(c.Logger == nil, "logger: missing")
	return errors.Join(errs...)
}

// Fingerprint is a short text that changes with every setting that decides results: it
// belongs in microbatch.Identity.
func (c IntakeConfig) Fingerprint() string {
	return fmt.Sprintf("%016x", xxh3.HashString(fmt.Sprintf("%+v|%s", c.Settings, c.Codec.Name)))
}

// Identity is what the source's commits belong to: give it to its Subscriber.
func (c IntakeConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation, Settings: c.Fingerprint(), Outputs: c.Shards}
}

// Intake is the pair of handlers that turn events into updates: Deduplicate and Window. Add both
// to a router, with a link between them (AddTo does). They are the halves of one fold over each source partition
// (operators.Partition), and take turns with a batch of its records. An Intake is safe
// for concurrent use: partitions go side by side, and the batches of one in order.
type Intake struct {
	config IntakeConfig
	tel    *instruments
	link   *Link
	start  time.Time

	decided   [event.Decisions]atomic.Int64
	conflicts atomic.Int64

	folds claims[*fold]

	mu     sync.Mutex
	plain  *plainFold // of messages that aren't microbatch's
	closed bool
}

// NewIntake returns an Intake.
func NewIntake(c IntakeConfig) (*Intake, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tel, err := c.Telemetry.newInstruments(intakeName, c.UpdatesTopic)
	if err != nil {
		return nil, err
	}
	return &Intake{
		config: c,
		tel:    tel,
		link:   NewLink(),
		start:  c.Now(),
	}, nil
}

// AddTo adds both handlers to a router: "deduplicate", which reads the events, and "windower". When the
// events' Subscriber stops by itself, both handlers end.
// More middleware can be added to what it returns. A second Intake in the same router needs other names: add its handlers one by one (Link).
func (in *Intake) AddTo(router *message.Router, topic string, events message.Subscriber) (deduplicate, windower *message.Handler) {
	deduplicate = router.AddConsumerHandler("deduplicate", topic, source{events, in.link}, in.Deduplicate)
	windower = router.AddConsumerHandler("windower", Deduplicated, in.link, in.Window)
	return deduplicate, windower
}

// Link returns the link between the handlers, for a router that they are added to one by one:
// Deduplicate publishes to it, and Window subscribes to its topic Deduplicated.
func (in *Intake) Link() *Link { return in.link }

// Close ends the link; of plain messages it publishes what is left, for which it waits ten seconds at most. Call it after the
// router has been closed, and before the publishers are.
func (in *Intake) Close() error {
	err := in.link.Close()
	in.mu.Lock()
	in.closed = true
	plain := in.plain
	in.plain = nil
	in.mu.Unlock()
	if plain != nil {
		plain.stop()
	}
	return err
}

// clock returns milliseconds since the start, by a clock that doesn't go back when the real one does.
func (in *Intake) clock() int64 { return in.config.Now().Sub(in.start).Milliseconds() }

type foldKey struct{}

// foldOf returns the fold of a message's partition, and makes it for the first message.
func (in *Intake) foldOf(ctx context.Context) (*fold, error) {
	claim, ok := microbatch.ClaimOf(ctx)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil, errLinkClosed
	}
	if !ok {
		if in.plain == nil {
			in.plain = newPlainFold(in)
		}
		return in.plain.fold, nil
	}
	return in.folds.of(claim, func(claim *microbatch.Claim) (*fold, error) {
		f, err := newFold(in, claim)
		if err == nil {
			context.AfterFunc(claim.Context(), in.link.Hold())
		}
		return f, err
	})
}
