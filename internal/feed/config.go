package feed

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline/settings"
)

// Values of Config.Key.
const (
	KeyItem    = "item"
	KeyRegion  = "region"
	KeyUser    = "user"
	KeyEventID = "event_id"
	KeyNone    = "none" // stands alone: records have no key, and go to the partition that their event ID chooses
)

// Config says what is sent, and how. Zero values turn a feature off, but for Mapping and Sources, which must be set.
type Config struct {
	Sources []Source
	Mapping event.Mapping // where in an event its parts are
	Skip    int64         // lines at the beginning that are left out: an earlier run has sent them

	// Key is what a record's key is made of; nil means the item. The values of several are joined by commas. Kafka's default partitioner
	// (murmur2 of the key) chooses the partition. All copies of an event must go to the same one, so an event's key must not change.
	Key []string

	Rate  float64 // events per second at most; 0: as fast as possible
	Speed float64 // event time passes so many times as fast as real time; 0: as fast as possible

	Shift      time.Duration // event times are moved by so much, whole seconds
	ShiftToNow bool          // they are moved so that the first event is now, to the second
	EventTime  bool          // records have their event's time as timestamp, instead of the time of sending

	Seed uint64 // the same seed and the same input give the same records
	// Disorder has events come up to so much later, in event time, than they happened: most a little, some by all of it. Of events that
	// the input has in order, none is then further behind the newest of its partition. So none is late where Disorder is at most OutOfOrderness.
	Disorder time.Duration
	// Duplicates is the share of events that are sent a second time, as they are, within 100 records of their partition.
	Duplicates float64
	// Late, Future and Malformed are shares of records that are added and never count: copies under an ID of their own, of a time so
	// long ago, or so far ahead, that it is certain; and pieces of JSON.
	Late, Future, Malformed float64

	// Punctuate is how often, in event time, all partitions are told how far time is, so that those without events don't hold it back;
	// 0: never. The input must then be in order to within OutOfOrderness over all its partitions.
	Punctuate time.Duration
	// End tells all partitions at the end that time is past all windows that there are events in.
	End bool

	Times Times
}

// Times are those settings of the pipeline that decide what is late, what is too far ahead, and when windows are closed.
type Times struct {
	Pane, OutOfOrderness, AllowedLateness, MaxAhead time.Duration
	LongestWindow                                   time.Duration
	DedupHorizon                                    time.Duration // a duplicate is sent before its partition's watermark has moved on by so much
}

// TimesOf returns them out of a stream's settings.
func TimesOf(s settings.Settings) Times {
	fold := s.Fold()
	return Times{
		Pane: fold.Pane, OutOfOrderness: fold.OutOfOrderness, AllowedLateness: fold.AllowedLateness, MaxAhead: fold.MaxAhead,
		LongestWindow: max(fold.Pane, s.LongestWindow()), DedupHorizon: s.Dedup.Horizon.Std(),
	}
}

// Validate reports all that is wrong, by the names of the command line's flags.
func (c Config) Validate() error {
	errs := []error{c.Mapping.Validate()}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(len(c.Sources) == 0, "no input; name a file, or - for the standard input")
	for _, share := range []struct {
		name  string
		value float64
	}{{"duplicates", c.Duplicates}, {"late", c.Late}, {"future", c.Future}, {"malformed", c.Malformed}} {
		wrong(!(share.value >= 0 && share.value <= 1), "--%s: %v is no share; 0.02 stands for two of a hundred", share.name, share.value)
	}
	wrong(!(c.Rate >= 0), "--rate: %v is below 0", c.Rate)
	wrong(!(c.Speed >= 0), "--speed: %v is below 0", c.Speed)
	wrong(c.Rate > 0 && c.Speed > 0, "--rate and --speed: choose one")
	wrong(c.Skip < 0, "--skip: %d is below 0", c.Skip)
	wrong(c.Disorder < 0, "--disorder: %v is below 0", c.Disorder)
	wrong(c.Punctuate < 0, "--punctuate: %v is below 0", c.Punctuate)
	wrong(c.Shift%time.Second != 0, "--shift: %v; only whole seconds keep the distances of times that are written in seconds", c.Shift)
	wrong(c.Shift != 0 && c.ShiftToNow, "--shift and --shift-to-now: choose one")
	wrong(slices.Contains(c.Key, KeyNone) && len(c.Key) > 1, "--key: none stands alone")
	for _, part := range c.Key {
		wrong(!slices.Contains([]string{KeyItem, KeyRegion, KeyUser, KeyEventID, KeyNone}, part), "--key: %q is not item, region, user, event_id or none", part)
		wrong(part == KeyUser && c.Mapping.User == "", "--key: user, but source.fields.user names no field")
	}
	for _, t := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"time.pane", c.Times.Pane, 1}, {"time.out_of_orderness", c.Times.OutOfOrderness, 0}, {"time.allowed_lateness", c.Times.AllowedLateness, 0},
		{"time.max_ahead", c.Times.MaxAhead, 0}, {"dedup.horizon", c.Times.DedupHorizon, 1}, {"the longest window", c.Times.LongestWindow, 0},
	} {
		wrong(t.value < t.least, "%s: %v is too short", t.name, t.value)
	}
	return errors.Join(errs...)
}
