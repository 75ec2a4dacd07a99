package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
)

// LetterRow is a record that was not counted, and why. Topic, Partition and Offset say which one; what is known of it does not change.
type LetterRow struct {
	Generation uint32
	Reason     string // malformed, future or late
	Error      string // what is wrong, for people
	Topic      string // where the record was
	Partition  int32
	Offset     int64
	// These are Unix milliseconds, or event.NoTime where they are not known.
	Timestamp int64 // the record's
	EventTime int64
	Watermark int64       // of its partition, after it
	Pane      int64       // where its pane begins
	Lateness  int64       // how far the watermark is past its pane, milliseconds; event.NoTime where it is not late
	Group     event.Group // its values of all dimensions; "" where the record can't be read
	Item      string      // likewise
}

// LettersConfig holds a Letters' settings. Codec and Write are due; the others have defaults.
type LettersConfig struct {
	Codec Codec // as in IntakeConfig
	// Generation is whose dead letters are written: all generations' come to the same topic. Those that name none count as 0's, which is no generation's.
	Generation uint32
	// Write writes rows to the store, and returns nil when they are safe there. With any other error, all of them come again, which the store is to
	// see by Topic, Partition and Offset, as it is of rows that come again after a restart. It is called from several goroutines, one for each partition, and must not keep the rows.
	Write func(ctx context.Context, rows []LetterRow) error

	FlushInterval time.Duration // how often rows are written; 0: 10 s
	FlushRows     int           // when so many wait in a partition, they are written at once; 0: 10,000
	PendingRows   int           // when so many wait in a partition, or are being written, reading stops until there are fewer; 0: 50,000

	Now    func() time.Time        // nil: time.Now
	Logger watermill.LoggerAdapter // nil: nobody is told anything

	Telemetry Telemetry
}

// Validate reports all that is wrong, at once.
func (c LettersConfig) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Codec.New == nil, "codec: missing")
	wrong(c.Write == nil, "write: missing")
	wrong(c.FlushInterval < 0, "flush interval: %v is below 0", c.FlushInterval)
	wrong(c.FlushRows < 0, "flush rows: %d is below 0", c.FlushRows)
	wrong(c.PendingRows < 0, "pending rows: %d is below 0", c.PendingRows)
	return errors.Join(errs...)
}

func (c LettersConfig) withDefaults() LettersConfig {
	c.FlushInterval, c.FlushRows, c.PendingRows = cmp.Or(c.FlushInterval, 10*time.Second), cmp.Or(c.FlushRows, 10_000), cmp.Or(c.PendingRows, 50_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = watermill.NopLogger{}
	}
	return c
}

// Identity is what the commits of the dead-letter topic belong to: give it to its Subscriber.
func (c LettersConfig) Identity() microbatch.Identity {
	return microbatch.Identity{Generation: c.Generation}
}

// lettersName is what Letters is called in a router, and in logs.
const lettersName = "history-dead-letters"

// Letters is the handler that writes the history's dead letters: a row for each of its generation. It commits what is written.
// A Letters is safe for concurrent use.
type Letters struct {
	config  LettersConfig
	tel     *instruments
	breaker breaker
	parts   claims[*letterPart]
}

// NewLetters returns a Letters.
func NewLetters(c LettersConfig) (*Letters, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	tel, err := c.Telemetry.newInstruments(lettersName, "")
	if err != nil {
		return nil, err
	}
	return &Letters{config: c, tel: tel, breaker: newBreaker(lettersName, c.Logger)}, nil
}

// AddTo adds the handler to a router as "history-dead-letters": it reads the dead-letter topic by a microbatch.Subscriber, in a group of its own.
func (l *Letters) AddTo(router *message.Router, deadLettersTopic string, letters message.Subscriber) *message.Handler {
	return router.AddConsumerHandler(lettersName, deadLettersTopic, letters, l.Handle)
}

// Handle takes a message's dead letters in, and has them written when that is due. Messages must come from a microbatch.Subscriber. It
// doesn't wait for the store, unless too many rows are pending; only what is written is committed.
//
// An error means that the same message must come again: nothing is lost by that.
func (l *Letters) Handle(msg *message.Message) error { return handleOf(&l.parts, msg, l.newPart) }

// Status returns how far each partition is that this process owns, in their order; and how the store's circuit breaker stands: closed (it
// writes), half-open or open.
func (l *Letters) Status() (list []RowsStatus, breaker string) {
	for _, p := range l.parts.all() {
		list = append(list, p.rowsStatus())
	}
	return sortRows(list), l.breaker.state()
}

// letterPart is what Letters keeps of one claim.
type letterPart struct {
	recorder[LetterRow]
	generation uint32
	decoder    event.Decoder
	letters    *waitingLetters
}

func (l *Letters) newPart(claim *microbatch.Claim) (*letterPart, error) {
	c := &l.config
	p := &letterPart{generation: c.Generation, decoder: c.Codec.New(), letters: &waitingLetters{}}
	p.tel = l.tel
	p.rows, p.breaker, p.write, p.hop.take = p.letters, l.breaker, c.Write, p.take
	err := p.begins(claim, lettersName, flushing{c.FlushInterval, c.FlushRows, c.PendingRows}, c.Logger, c.Now)
	return p, err
}

func (p *letterPart) take(r *microbatch.Record) error {
	letter, own, err := letterOf(r, p.generation)
	if err != nil {
		return fmt.Errorf("%w: offset %d: %w", errForeign, r.Offset, err)
	}
	if !own {
		return nil
	}
	row := LetterRow{
		Generation: letter.Generation, Reason: letter.Reason.String(), Error: letter.Error, Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset,
		Timestamp: letter.Timestamp, EventTime: letter.EventTime, Watermark: letter.Watermark, Pane: letter.Pane, Lateness: letter.Lateness,
	}
	if letter.Timestamp == microbatch.NoTimestamp {
		row.Timestamp = event.NoTime
	}
	if letter.Reason != event.Late {
		row.Lateness = event.NoTime
	}
	if e, err := eventOf(&letter, p.decoder); err == nil { // else there is nothing to say: most are malformed
		row.Group, row.Item = event.Group(e.Group), string(e.Item)
	}
	p.letters.rows = append(p.letters.rows, row)
	return nil
}

// waitingLetters are dead letters, until they are written.
type waitingLetters struct{ rows, spare []LetterRow }

func (w *waitingLetters) size() int  { return len(w.rows) }
func (w *waitingLetters) soon() bool { return false }

func (w *waitingLetters) give() []LetterRow {
	rows := w.rows
	w.rows, w.spare = w.spare[:0], nil
	return rows
}

func (w *waitingLetters) restore(rows []LetterRow) {
	came := w.rows
	w.rows = append(rows, came...)
	w.reuse(came)
}

func (w *waitingLetters) reuse(rows []LetterRow) {
	clear(rows) // of strings
	w.spare = rows[:0]
}
