package feed_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
)

// TestOracle: whatever is made up, the oracle counts just the input's events, each once; what was added as a duplicate is one, and so on.
func TestOracle(t *testing.T) {
	t.Parallel()
	for range 12 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, nil)
			c := config()
			c.Seed = seed
			c.Disorder = []time.Duration{0, 3 * time.Second, c.Times.OutOfOrderness}[rng.IntN(3)]
			c.Duplicates, c.Late, c.Future, c.Malformed = 0.1, 0.05, 0.05, 0.05
			if rng.IntN(4) == 0 {
				c.Duplicates = 1
			}
			c.Punctuate = []time.Duration{0, time.Second, time.Minute}[rng.IntN(3)]
			c.EventTime = rng.IntN(2) == 0
			c.End = rng.IntN(2) == 0
			c.Key = [][]string{nil, {"event_id"}, {"none"}, {"region", "item"}}[rng.IntN(4)]
			const n = 2000
			report := w.run(c, "ndjson", events(seed, n))
			decisions, counted := decide(t, w.read(report.Sent))
			want := map[event.Decision]int64{
				event.Counted: n, event.Duplicate: report.Duplicates, event.Late: report.Late, event.Future: report.Future,
				event.Malformed: report.Malformed, event.Punctuation: report.Punctuations,
			}
			maps.DeleteFunc(want, func(_ event.Decision, n int64) bool { return n == 0 })
			if !maps.Equal(decisions, want) {
				t.Errorf("the oracle decides %v, the report says %v", decisions, want)
			}
			for i := range n {
				if id := fmt.Sprintf("e%d", i); counted[id] != 1 {
					t.Fatalf("event %s counts %d times", id, counted[id])
				}
			}
			if report.EventsLate != 0 || report.EventsAhead != 0 || report.Events != n {
				t.Errorf("report %+v", report)
			}
			if most := c.Disorder.Milliseconds(); report.BehindMillis > most || c.Disorder > 0 && report.BehindMillis < most/4 {
				t.Errorf("events are up to %d ms behind, disorder is %v", report.BehindMillis, c.Disorder)
			}
			for name, count := range map[string]int64{"duplicates": report.Duplicates, "late": report.Late, "future": report.Future, "malformed": report.Malformed} {
				if count < n/50 {
					t.Errorf("only %d %s", count, name)
				}
			}
		})
	}
}

// TestLateInput: events that the input itself has late are told as the oracle decides them.
func TestLateInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	text := events(1, 300)
	late := `{"event_id":"l%d","item_id":"item-%d","region":"r","timestamp":"2026-03-01T12:00:00.999Z"}` + "\n"
	for i := range 20 {
		text += fmt.Sprintf(late, i, i)
	}
	report := w.run(config(), "ndjson", text)
	decisions, _ := decide(t, w.read(report.Sent))
	if report.EventsLate != 20 || decisions[event.Late] != 20 || len(report.Notes) != 1 {
		t.Errorf("the oracle decides %v; report %+v", decisions, report)
	}
}

// TestAhead: so are those that are too far ahead.
func TestAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.ShiftToNow = true // at full speed
	report := w.run(c, "ndjson", events(1, 300))
	decisions, _ := decide(t, w.read(report.Sent))
	if report.EventsAhead == 0 || decisions[event.Future] != report.EventsAhead {
		t.Errorf("the oracle decides %v; report %+v", decisions, report)
	}
}

// TestPunctuate: partitions without events hear how far time is; and no event comes that is older than a punctuation before it, however
// much disorder there is.
func TestPunctuate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.Disorder, c.Punctuate = time.Minute, time.Second
	report := w.run(c, "ndjson", events(2, 1000))
	newest := make([]int64, partitions)
	for p, log := range w.read(report.Sent) {
		told := int64(0)
		for _, r := range log {
			switch r := record(t, r); {
			case r.Kind == sim.Punctuation:
				told = r.At
			case r.At <= told:
				t.Fatalf("partition %d: an event of %d comes after a punctuation of %d", p, r.At, told)
			default:
				newest[p] = max(newest[p], r.At-c.Times.OutOfOrderness.Milliseconds())
			}
		}
		newest[p] = max(newest[p], told)
	}
	if slices.Min(newest) < report.LastTime.Add(-2*time.Minute).UnixMilli() {
		t.Errorf("partitions are at %v, the last event is at %v", newest, report.LastTime)
	}

	w = newWorld(t, nil)
	c.Disorder = 0
	text := regexp.MustCompile(`"item-\d+"`).ReplaceAllString(events(2, 300), `"item"`) // one partition has all events
	for i := range 20 {                                                                 // these go to all
		text += fmt.Sprintf(`{"event_id":"l%d","item_id":"other-%d","region":"r","timestamp":"2026-03-01T12:00:00Z"}`+"\n", i, i)
	}
	report = w.run(c, "ndjson", text)
	decisions, _ := decide(t, w.read(report.Sent))
	if report.EventsLate != 20 || decisions[event.Late] != 20 {
		t.Errorf("the oracle decides %v; report %+v", decisions, report)
	}
}

// TestTies: what arrives at the same time stays as it was.
func TestTies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.Disorder = time.Millisecond
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, `{"event_id":"%d","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:00Z"}`+"\n", i)
	}
	report := w.run(c, "ndjson", text.String())
	back, last := 0, -1
	for _, r := range slices.Concat(w.read(report.Sent)...) {
		id, err := strconv.Atoi(record(t, r).EventID)
		if err != nil {
			t.Fatal(err)
		}
		if id < last {
			back++
		}
		last = id
	}
	if back > 1 { // those that come at once, then those that come a millisecond later
		t.Errorf("it goes back %d times", back)
	}
}
