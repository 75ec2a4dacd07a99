package operators

import (
	"errors"
	"fmt"
	"time"
)

// Settings decide the results of a source partition's fold. All durations are whole
// milliseconds. Changing any of them changes what an offset stands for, so it takes
// a new generation.
type Settings struct {
	// Pane is the smallest slice of event time that is counted. Every window is a union of
	// panes; panes are aligned to the Unix epoch, UTC.
	Pane time.Duration
	// OutOfOrderness is how far event times may run behind the greatest one before the watermark passes them.
	OutOfOrderness time.Duration
	// AllowedLateness is how long after its end, in watermark time, a pane still takes events.
	AllowedLateness time.Duration
	// MaxAhead is how far an event's time may be ahead of its Kafka record's timestamp.
	MaxAhead time.Duration

	// DedupSegment is the grain, in watermark time, at which event IDs are forgotten.
	DedupSegment time.Duration
	// DedupSegments is how many segments back an ID is remembered:
	// DedupSegment × DedupSegments is the dedup horizon.
	DedupSegments int
	// DedupRecords is the grain, in offsets, at which event IDs are forgotten, however
	// slowly the watermark moves.
	DedupRecords int64
	// DedupRecordSegments is how many of those grains back an ID is remembered. At most
	// DedupRecords × (DedupRecordSegments + 1) IDs are held.
	DedupRecordSegments int
}

// DefaultSettings are right for a live stream: one-minute panes, 5 s of disorder, 30 s of
// allowed lateness, a dedup horizon of 2 min and at most 9.4 M records, 1 min ahead.
func DefaultSettings() Settings {
	return Settings{
		Pane:                time.Minute,
		OutOfOrderness:      5 * time.Second,
		AllowedLateness:     30 * time.Second,
		MaxAhead:            time.Minute,
		DedupSegment:        15 * time.Second,
		DedupSegments:       8,
		DedupRecords:        1 << 20,
		DedupRecordSegments: 8,
	}
}

// Validate reports all that is wrong with the settings, at once, by their names.
func (s Settings) Validate() error {
	var errs []error
	checkDuration(&errs, "Pane", s.Pane, time.Millisecond)
	checkDuration(&errs, "OutOfOrderness", s.OutOfOrderness, 0)
	checkDuration(&errs, "AllowedLateness", s.AllowedLateness, 0)
	checkDuration(&errs, "MaxAhead", s.MaxAhead, 0)
	checkDuration(&errs, "DedupSegment", s.DedupSegment, time.Millisecond)
	number := func(name string, n, least, most int64) {
		if n < least || n > most {
			errs = append(errs, fmt.Errorf("%s is %d; it must be %d to %d", name, n, least, most))
		}
	}
	number("DedupSegments", int64(s.DedupSegments), 1, 1000)
	number("DedupRecords", s.DedupRecords, 1, 1<<30)
	number("DedupRecordSegments", int64(s.DedupRecordSegments), 1, 1000)
	if held := s.DedupRecords * int64(s.DedupRecordSegments+1); len(errs) == 0 && held > 1<<31 {
		errs = append(errs, fmt.Errorf("DedupRecords × (DedupRecordSegments + 1) is %d IDs; it must be at most %d", held, int64(1<<31)))
	}
	return errors.Join(errs...)
}

func checkDuration(errs *[]error, name string, d, least time.Duration) {
	switch {
	case d < least:
		*errs = append(*errs, fmt.Errorf("%s is %v; it must be at least %v", name, d, least))
	case d%time.Millisecond != 0:
		*errs = append(*errs, fmt.Errorf("%s is %v; it must be whole milliseconds", name, d))
	case d > durationMax:
		*errs = append(*errs, fmt.Errorf("%s is %v; it must be at most %v", name, d, durationMax))
	}
}

// durationMax keeps event time plus or minus any sum of settings within int64 milliseconds,
// and the settings within sense.
const durationMax = 400 * 24 * time.Hour
