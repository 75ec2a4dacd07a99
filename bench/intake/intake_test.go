package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/millrank/millrank/bench/internal/process"
)

func TestMain(m *testing.M) { process.Tests(m, nil) }

func TestEvents(t *testing.T) {
	c, err := parse([]string{"-duplicates", "0.1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	one, other := newEvents(c), newEvents(c)
	seen := map[string]bool{}
	counts := map[string]int{}
	shortest, longest := 1000, 0
	for range n {
		r := one.next()
		if same := other.next(); !bytes.Equal(r.value, same.value) || !bytes.Equal(r.key, same.key) {
			t.Fatalf("the same seed gives %s and %s", r.value, same.value)
		}
		var event struct {
			EventID   string `json:"event_id"`
			ItemID    string `json:"item_id"`
			Region    string `json:"region"`
			Timestamp int64  `json:"timestamp"`
			Value     int64  `json:"value"`
		}
		if err := json.Unmarshal(r.value, &event); err != nil {
			t.Fatalf("%s: %v", r.value, err)
		}
		if len(event.EventID) != 20 || event.ItemID != string(r.key) || !slices.Contains(regions(), event.Region) || event.Timestamp != r.milli || event.Value != 1 {
			t.Fatalf("%s with key %s and time %d", r.value, r.key, r.milli)
		}
		shortest, longest = min(shortest, len(r.value)), max(longest, len(r.value))
		seen[event.EventID] = true
		counts[event.ItemID]++
	}
	if shortest < 105 || longest > 130 {
		t.Errorf("events have %d to %d bytes", shortest, longest)
	}
	if one.made+one.again != n || len(seen) != int(one.made) {
		t.Errorf("%d events and %d duplicates, %d different", one.made, one.again, len(seen))
	}
	if share := float64(one.again) / n; math.Abs(share-0.1) > 0.01 {
		t.Errorf("%.3f of the records are duplicates, want 0.1", share)
	}
	if counts["post-0"] < 5*counts["post-9"] || counts["post-9"] < 100 {
		t.Errorf("the first item has %d events, the tenth %d", counts["post-0"], counts["post-9"])
	}
}

// TestRun has the whole program read a few records.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-broker", "kfake", "-records", "20000", "-slow-records", "2000", "-rounds", "2", "-json"}
	if err := start(t.Context(), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	for _, w := range ways(clients{}) {
		var r row
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Way != w.name {
			t.Fatalf("the line of %s is where that of %s should be", r.Way, w.name)
		}
		want := int64(20_000)
		switch {
		case w.read == nil:
			continue
		case w.slow:
			want = 2000
		}
		m := r.Median
		if len(r.Rounds) != 2 || m.Records < want || m.FromStart <= 0 || m.FromFirst < m.FromStart || m.CPU <= 0 || m.PeakRSS <= 0 || *r.ToSarama <= 0 || *r.ToWatermill <= 0 {
			t.Errorf("%+v, median %+v", r, m)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range []string{
		"-broker none", "-records 0", "-rounds 0", "-partitions -1", "-duplicates 0.95", "-slow-records 0", "-items 0", "-only sarama,none", "more",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}

func TestTable(t *testing.T) {
	results := []measured{
		{way: way{name: "sarama"}, rounds: []round{{Records: 10, FromFirst: 3}, {Records: 10, FromFirst: 1}, {Records: 10, FromFirst: 2}}},
		{way: way{name: "watermill"}, rounds: []round{{Records: 10, FromFirst: 0.5}}},
		{way: way{name: "empty"}},
	}
	var out strings.Builder
	if err := report(&out, config{broker: "real"}, written{Records: 10, Took: 1}, results); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if got := strings.Fields(lines[1]); got[6] != "1.00" || got[7] != "4.00" {
		t.Errorf("the ratios of the median are %v", got[6:])
	}
	if got := strings.Fields(lines[3]); got[0] != "empty" || got[1] != "-" {
		t.Errorf("an empty slot is shown as %v", got)
	}
}
