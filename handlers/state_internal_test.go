package handlers

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// TestState: what is written is read, and goes into a commit.
func TestState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	far := func(n int64) int64 { return n + []int64{0, 1, rng.Int64N(1e6), rng.Int64N(1 << 60)}[rng.IntN(4)] }
	for range 10_000 {
		c := operators.Checkpoint{LowWater: far(0), Watermark: []int64{event.NoTime, -far(1), far(0)}[rng.IntN(3)]}
		c.ProcessedThrough = far(c.LowWater - 1)
		c.CountFrom = c.LowWater + rng.Int64N(c.ProcessedThrough-c.LowWater+2)
		text := checkpointState(c)
		got, err := parseCheckpoint(c.LowWater, text)
		if err != nil || got != c {
			t.Fatalf("%+v is written as %q and read as %+v: %v", c, text, got, err)
		}
		if len(text) > 3500 || strings.ContainsAny(text, " \n\t") {
			t.Fatalf("%q is no state for a commit", text)
		}
	}
}

// TestStateRefused: nothing else is read.
func TestStateRefused(t *testing.T) {
	const good = "watermark:5,count-from:12,processed-through:20"
	if _, err := parseCheckpoint(10, good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "watermark", "watermark:5", "watermark:5,count-from:12", good + " ", good + ",", good + "0x", good + ",more:1", " " + good, "\n" + good,
		strings.ToUpper(good), strings.ReplaceAll(good, ",", " "), strings.ReplaceAll(good, ":", "="),
		"watermark:+5,count-from:12,processed-through:20", "watermark:05,count-from:12,processed-through:20", "watermark:5,count-from:12,processed-through:2e1",
		"watermark:-0,count-from:12,processed-through:20", "watermark:9223372036854775808,count-from:12,processed-through:20",
		"count-from:12,watermark:5,processed-through:20",
		"watermark:5,count-from:9,processed-through:20",  // before the low-water
		"watermark:5,count-from:22,processed-through:20", // behind what is processed
		"watermark:5,count-from:10,processed-through:8",
		"watermark:5,count-from:-9223372036854775808,processed-through:9223372036854775807",
	} {
		if c, err := parseCheckpoint(10, text); err == nil {
			t.Errorf("%q is read as %+v", text, c)
		} else if !strings.Contains(err.Error(), "state") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, lowWater := range []int64{-1, math.MinInt64, 13, math.MaxInt64} {
		if c, err := parseCheckpoint(lowWater, good); err == nil {
			t.Errorf("at low-water %d it is read as %+v", lowWater, c)
		}
	}
}

// FuzzState: whatever is read, is written the same, and can be a partition's start.
func FuzzState(f *testing.F) {
	f.Add(int64(10), "watermark:5,count-from:12,processed-through:20")
	f.Add(int64(0), "watermark:-9223372036854775808,count-from:0,processed-through:-1")
	f.Fuzz(func(t *testing.T, lowWater int64, text string) {
		c, err := parseCheckpoint(lowWater, text)
		if err != nil {
			return
		}
		if again := checkpointState(c); again != text || c.LowWater != lowWater {
			t.Errorf("%q at %d is read as %+v, which is written as %q", text, lowWater, c, again)
		}
		if c.LowWater < 0 || c.CountFrom < c.LowWater || c.ProcessedThrough < c.LowWater-1 || c.CountFrom > c.ProcessedThrough+1 {
			t.Errorf("%q at %d is read as %+v", text, lowWater, c)
		}
		operators.NewPartition(operators.DefaultSettings(), 1, c)
	})
}
