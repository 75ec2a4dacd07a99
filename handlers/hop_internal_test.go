package handlers

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// TestResumeState: what is written is read, and goes into a commit.
func TestResumeState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	far := func(n int64) int64 { return n + []int64{0, 1, rng.Int64N(1e6), rng.Int64N(1 << 60)}[rng.IntN(4)] }
	for range 10_000 {
		c := operators.Resume{LowWater: far(0), DroppedThrough: []int64{event.NoTime, -far(1), far(0)}[rng.IntN(3)]}
		c.PublishedThrough = far(c.LowWater - 1)
		if c.ClosedThrough = far(c.DroppedThrough); rng.IntN(3) == 0 {
			c.ClosedThrough = c.DroppedThrough
		}
		text := resumeState(c)
		got, err := parseResume(c.LowWater, text)
		if err != nil || got != c {
			t.Fatalf("%+v is written as %q and read as %+v: %v", c, text, got, err)
		}
		if len(text) > 3500 || strings.ContainsAny(text, " \n\t") {
			t.Fatalf("%q is no state for a commit", text)
		}
	}
}

// TestResumeStateRefused: nothing else is read.
func TestResumeStateRefused(t *testing.T) {
	const good = "published-through:20,closed-through:12,dropped-through:5"
	if _, err := parseResume(10, good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "published-through", "published-through:20,closed-through:12", good + " ", good + ",", good + ",more:1", " " + good, "\n" + good,
		strings.ToUpper(good), strings.ReplaceAll(good, ",", " "), strings.ReplaceAll(good, ":", "="),
		"published-through:+20,closed-through:12,dropped-through:5", "published-through:020,closed-through:12,dropped-through:5",
		"published-through:20,closed-through:9223372036854775808,dropped-through:5",
		"closed-through:12,published-through:20,dropped-through:5",
		"published-through:8,closed-through:12,dropped-through:5",   // before what is read again
		"published-through:20,closed-through:12,dropped-through:13", // dropped before it was closed
	} {
		if c, err := parseResume(10, text); err == nil {
			t.Errorf("%q is read as %+v", text, c)
		} else if !strings.Contains(err.Error(), "state") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, lowWater := range []int64{-1, math.MinInt64, 22, math.MaxInt64} {
		if c, err := parseResume(lowWater, good); err == nil {
			t.Errorf("at low-water %d it is read as %+v", lowWater, c)
		}
	}
}

// TestSpoken: a message is taken from any partition of the run that the settings are of, and from no other.
func TestSpoken(t *testing.T) {
	want := wire.Sender{Source: "s", Generation: 1, SourcePartitions: 4, ShardPartitions: 3}
	by := want
	by.Partition = 3
	if err := spoken(by, want, 2, 2); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*wire.Sender){
		"source": func(s *wire.Sender) { s.Source = "t" }, "generation": func(s *wire.Sender) { s.Generation = 2 },
		"5 partitions": func(s *wire.Sender) { s.SourcePartitions = 5 }, "of 2": func(s *wire.Sender) { s.ShardPartitions = 2 },
	} {
		other := by
		change(&other)
		if err := spoken(other, want, 2, 2); err == nil || !strings.Contains(err.Error(), "new generation") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if err := spoken(by, want, 1, 2); err == nil {
		t.Error("what is for partition 1 is taken in partition 2")
	}
}
