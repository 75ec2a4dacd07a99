// Package workload makes the events that engines are compared by, the same for the same settings, and says what any engine must make of them.
package workload

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// First is the event time of the first event, Unix ms: a multiple of every window, so that windows line up with it.
const First int64 = 1_795_305_600_000 // 2026-11-22

// K is how many items a table has.
const K = 100

// Global is the region of the tables of all events together.
const Global = "*"

// FlushRegion is the region of the events that end every partition: they only let all windows close, and are in no table.
const FlushRegion = "_flush"

// IDBytes is how long an event's ID is.
const IDBytes = 20

// Settings says which events there are, and what is counted. The zero value is not of use: see Default.
type Settings struct {
	Events     int64  `json:"events"` // those that are sent again included
	Seed       uint64 `json:"seed"`
	Items      int64  `json:"items"`
	Regions    int    `json:"regions"`    // at most 8
	Partitions int    `json:"partitions"` // of the topic; an item of a region is always in the same one
	// Skew is Zipf's exponent, above 1.
	Skew float64 `json:"skew"`
	// PerSecond is how many events there are in a second of event time.
	PerSecond int64 `json:"events_per_second"`
	// Again is the share of events that are sent once more, up to ResendWithin later.
	Again        float64       `json:"again"`
	ResendWithin time.Duration `json:"resend_within_ns"`
	// Late is the share of events that come 60 to 90 s late, beyond every allowance; Disorder of those that are up to OutOfOrderness behind.
	Late     float64 `json:"late"`
	Disorder float64 `json:"disorder"`

	Window          time.Duration `json:"window_ns"`
	OutOfOrderness  time.Duration `json:"out_of_orderness_ns"`
	AllowedLateness time.Duration `json:"allowed_lateness_ns"`
}

// Default returns the workload that engines are compared by: windows of 10 s, 10,000 events in a second of event time, a million items.
func Default() Settings {
	return Settings{
		Events: 5_000_000, Seed: 1, Items: 1_000_000, Regions: len(regionNames()), Partitions: 8, Skew: 1.1, PerSecond: 10_000,
		Again: 0.02, ResendWithin: 30 * time.Second, Late: 0.005, Disorder: 0.05,
		Window: 10 * time.Second, OutOfOrderness: 5 * time.Second, AllowedLateness: 30 * time.Second,
	}
}

// lateFrom and lateTo are how far behind late events come.
const (
	lateFrom = 60 * time.Second
	lateTo   = 90 * time.Second
)

// Validate returns all that is wrong.
func (s Settings) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(s.Events < 1, "events: %d, at least 1", s.Events)
	wrong(s.Items < 1 || s.Items > math.MaxInt32, "items: %d, 1 to %d", s.Items, math.MaxInt32)
	wrong(s.Regions < 1 || s.Regions > len(regionNames()), "regions: %d, 1 to %d", s.Regions, len(regionNames()))
	wrong(s.Partitions < 1, "partitions: %d, at least 1", s.Partitions)
	wrong(s.Skew <= 1, "skew: %v, above 1", s.Skew)
	wrong(s.PerSecond < 1, "events in a second of event time: %d, at least 1", s.PerSecond)
	wrong(s.Again < 0 || s.Again > 0.5, "share of events sent again: %v, 0 to 0.5", s.Again)
	wrong(s.Late < 0 || s.Disorder < 0 || s.Late+s.Disorder > 1, "shares of late (%v) and disordered events (%v): 0 to 1 together", s.Late, s.Disorder)
	window := s.Window.Milliseconds()
	wrong(window < 1 || First%max(1, window) != 0, "window: %v, a part of a day", s.Window)
	// An event sent again must not come so late that its window may have closed: then engines would differ by how they read partitions.
	wrong(s.ResendWithin > s.AllowedLateness, "events are sent again within %v: at most the allowed lateness, %v", s.ResendWithin, s.AllowedLateness)
	// A late event must be late whatever the order in which partitions are read.
	reach := s.Window + s.AllowedLateness + s.OutOfOrderness
	wrong(s.Late > 0 && reach >= lateFrom, "late events come %v late: window, allowed lateness and out-of-orderness are %v together, which must be less", lateFrom, reach)
	return errors.Join(errs...)
}

// RegionNames returns the regions' names.
func (s Settings) RegionNames() []string { return regionNames()[:s.Regions] }

func regionNames() []string {
	return []string{"eu", "us-east", "us-west", "ap-south", "ap-north", "sa", "af", "me"}
}

// Records is how many records are in the topic: the events, and the one that ends each partition.
func (s Settings) Records() int64 { return s.Events + int64(s.Partitions) }

// FlushTime is the event time of the records that end the partitions, Unix ms. All windows have closed by then.
func (s Settings) FlushTime() int64 {
	after := 120*time.Second + s.Window + s.AllowedLateness + s.OutOfOrderness
	return s.clock(s.Events) + after.Milliseconds()
}

// LastWindow is the start of the window of the last event, Unix ms.
func (s Settings) LastWindow() int64 { return s.windowOf(s.clock(s.Events - 1)) }

// clock is the event time of an event that is neither late nor out of order.
func (s Settings) clock(i int64) int64 { return First + i*1000/s.PerSecond }

func (s Settings) windowOf(milli int64) int64 { return milli - milli%s.Window.Milliseconds() }
