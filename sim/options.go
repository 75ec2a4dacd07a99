package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/millrank/millrank/operators"
)

// Options say what Generate makes. The shares are probabilities per record; what they
// leave are fresh events.
type Options struct {
	// Settings are those that the log is aimed at: which times are late, and where the
	// dedup horizon ends, depends on them.
	Settings operators.Settings
	// Partitions is how many logs there are, Records how long each is.
	Partitions, Records int
	// Start is the time of the first records, Unix milliseconds.
	Start int64
	// Step is the mean time from one record to the next, Disorder the mean delay of an event.
	Step, Disorder time.Duration

	// Items is how many items there are, drawn by a Zipf law with the exponent ItemSkew (> 1).
	// Each partition draws from all of them, as under a key that isn't the item.
	Items    int
	ItemSkew float64
	// Regions and Categories are how many values the two dimensions have; without
	// categories events have the region only.
	Regions, Categories int
	// LargeValues is the share of values between -ValueMax and ValueMax; the others are small. A JSON
	// record holds at most 2^53 exactly, a sum overflows from MaxInt64.
	LargeValues float64
	ValueMax    int64

	// Duplicates is the share of repeats of a recent event, near or far; some with another time or payload.
	Duplicates float64
	// Chains is the share of events that come again and again, each time as late as the horizon
	// just allows, or just not: the first and the last are further apart than the horizon.
	Chains float64
	// Late is the share of events whose pane has closed.
	Late float64
	// Edges is the share of scripts that bring an event with exactly the allowed lateness, then
	// one 1 ms beyond it. Each moves time on by up to a pane.
	Edges float64
	// PaneEdges is the share of events at a pane's first or last millisecond.
	PaneEdges float64
	// Future is the share of records too far ahead, Ahead of those exactly as far as allowed.
	Future, Ahead float64
	// Malformed is the share of records that can't be read, or have no timestamp.
	Malformed    float64
	Punctuations float64
	// Bursts is the share of records that begin a burst, up to BurstMax records in one
	// millisecond; Gaps of those before which nothing comes for up to GapMax.
	Bursts   float64
	BurstMax int
	Gaps     float64
	GapMax   time.Duration
	// OffsetGaps is the share of records before which up to 8 offsets are missing.
	OffsetGaps float64
}

// simStart is when generated logs start: a Tuesday, and no round number in any unit of time.
const simStart = 1_709_043_537_301

// SharpOptions draws SmallSettings and shares so high that every decision, limit and edge
// is met within a hundred records. Times are today's, so that codecs take them.
func SharpOptions(rng *rand.Rand) Options {
	return Options{
		Settings:   SmallSettings(rng),
		Partitions: choose(rng, 1, 2, 3),
		Records:    200,
		Start:      simStart + rng.Int64N(1000),
		Step:       2 * time.Millisecond,
		Disorder:   choose[time.Duration](rng, 1, 3, 6) * time.Millisecond,
		Items:      choose(rng, 3, 8, 40), ItemSkew: 1.3,
		Regions: choose(rng, 1, 2, 5), Categories: choose(rng, 0, 0, 3),
		LargeValues: .1, ValueMax: choose[int64](rng, 9, 100_000, 1<<53-1),
		Duplicates: .15, Chains: .04, Late: .08, Edges: .01, PaneEdges: .08,
		Future: .03, Ahead: .01, Malformed: .04, Punctuations: .04,
		Bursts: .01, BurstMax: 12, Gaps: .01, GapMax: 80 * time.Millisecond,
		OffsetGaps: .1,
	}
}

// LiveOptions is what a live topic of four partitions might look like under the default
// settings: 200 records a second in each, most in order, a few percent of everything else.
func LiveOptions() Options {
	return Options{
		Settings:   operators.DefaultSettings(),
		Partitions: 4,
		Records:    50_000,
		Start:      simStart,
		Step:       5 * time.Millisecond,
		Disorder:   time.Second,
		Items:      5000, ItemSkew: 1.1,
		Regions: 12, Categories: 6,
		LargeValues: .001, ValueMax: 1<<53 - 1,
		Duplicates: .02, Chains: .002, Late: .005, Edges: .0002, PaneEdges: .002,
		Future: .002, Ahead: .00001, Malformed: .003, Punctuations: .0005,
		Bursts: .0005, BurstMax: 300, Gaps: .00005, GapMax: 5 * time.Minute,
		OffsetGaps: .01,
	}
}

// OverflowOptions are SharpOptions with values that make many sums run over. JSON can't
// hold them: such logs are for the operators themselves.
func OverflowOptions(rng *rand.Rand) Options {
	o := SharpOptions(rng)
	o.LargeValues, o.ValueMax = .3, math.MaxInt64
	return o
}
