package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

func TestMain(m *testing.M) { process.Tests(m, parts()) }

// TestRun has the whole program measure for a second, at a low rate.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-redis", "embedded", "-rate", "2000", "-warmup", "500ms", "-duration", "1s", "-regions", "15", "-items", "1000", "-partitions", "3", "-shards", "2", "-lanes", "2", "-probe", "50ms", "-json"}
	if err := start(t.Context(), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if r.Lost != 0 || r.Probes < 5 || r.Probes > 22 {
		t.Errorf("%d probes lost, %d measured", r.Lost, r.Probes)
	}
	if s := r.Freshness; s.P50 <= 0 || s.P90 < s.P50 || s.P99 < s.P90 || s.Max < s.P99 || s.Max > 60_000 {
		t.Errorf("freshness %+v", s)
	}
	if r.GoalMet != (r.Freshness.P99 < 1000) {
		t.Errorf("the goal is met: %v, with %+v", r.GoalMet, r.Freshness)
	}
	// The events of 1.5 s, and a probe every 50 ms, of which a slow machine lets some out.
	if n := r.Load.Produced; n < 3005 || n > 3030 || r.Engine.Processed != n || r.Engine.Counted != n || r.Engine.Letters != 0 {
		t.Errorf("load %+v, engine %+v", r.Load, r.Engine)
	}
	var sum float64
	for _, s := range r.Stages {
		sum += s.Spread.Mean
	}
	if len(r.Stages) != int(borders)+1 || math.Abs(sum-r.Freshness.Mean) > 0.2*r.Freshness.Mean+1 {
		t.Errorf("the stages' means come to %.0f ms, freshness to %.0f: %+v", sum, r.Freshness.Mean, r.Stages)
	}
	s := r.Redis
	if s.Flushes <= 0 || s.Lists < 1 || s.Lists > 3*16*2 || s.Bytes < 100 || s.Commands <= s.Flushes || s.Deltas+s.Whole <= 0 {
		t.Errorf("Redis %+v", s)
	}
	if r.CPU["engine"] <= 0 || r.CPU["load"] <= 0 || r.CPU["kafka"] <= 0 || r.CPU["redis"] <= 0 || r.Engine.PeakRSS <= 0 || r.Topics.Updates <= 0 || r.Topics.Rankings <= 0 {
		t.Errorf("CPU %v, topics %+v", r.CPU, r.Topics)
	}
	if text := r.table() + r.prose(); strings.Contains(text, "%!") || len(strings.Split(text, "\n")) < int(borders)+8 {
		t.Errorf("for people:\n%s", text)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range []string{
		"-broker none", "-redis none", "-rate 0", "-duration 10ms", "-warmup -1s", "-probe 0", "-probe 1h", "-regions 0", "-regions 10", "-items 0",
		"-partitions 0", "-shards 0", "-lanes 0", "-duration 10h -probe 20ms", "more", "-none",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
	if c, err := parse(nil, io.Discard); err != nil || c.Rate != 100_000 || c.Regions != 100 {
		t.Errorf("the defaults are %+v: %v", c, err)
	}
}

func TestEvents(t *testing.T) {
	c, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	type fields struct {
		EventID   string `json:"event_id"`
		ItemID    string `json:"item_id"`
		Region    string `json:"region"`
		Timestamp int64  `json:"timestamp"`
		Value     int64  `json:"value"`
	}
	one, other := newEvents(c), newEvents(c)
	seen, regions := map[string]bool{}, map[string]bool{}
	const n, milli = 20_000, 1_767_225_600_000
	for range n {
		key, value := one.next(milli)
		if _, same := other.next(milli); !bytes.Equal(value, same) {
			t.Fatalf("the same seed gives %s and %s", value, same)
		}
		var f fields
		if err := json.Unmarshal(value, &f); err != nil || f.ItemID != string(key) || f.Timestamp != milli || f.Value < 1 || f.Value > 100 {
			t.Fatalf("%s with key %s: %v", value, key, err)
		}
		seen[f.EventID], regions[f.Region] = true, true
	}
	key, value := probeEvent(7, "region-03", milli)
	var f fields
	if err := json.Unmarshal(value, &f); err != nil || f.ItemID != "probe-000007" || f.ItemID != string(key) || f.Region != "region-03" || float64(f.Value) != probeScore(7) {
		t.Errorf("%s with key %s: %v", value, key, err)
	}
	seen[f.EventID] = true
	if len(seen) != n+1 || len(regions) != c.Regions {
		t.Errorf("%d different IDs, %d regions", len(seen), len(regions))
	}
}

func TestProbesAreFound(t *testing.T) {
	var got []int
	probesIn([]byte("\x01probe-000012post-3probe-probe-12345\x00probe-654321probe-00"), func(number int) { got = append(got, number) })
	if want := []int{12, 654321}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestWatches checks that probes go to all regions and to each board that sums, and that windows are those that the engine ranks at once.
func TestWatches(t *testing.T) {
	all := newWatches(3)
	seen := map[string]bool{}
	for number := range 6 {
		w := all.of(number)
		seen[w.board.Name+w.region] = true
		if w.board.Measure != operators.Sum {
			t.Errorf("probe %d is looked for on board %s", number, w.board.Name)
		}
	}
	if len(seen) != 6 {
		t.Errorf("six probes are looked for in %v", seen)
	}
	at := time.Date(2026, 9, 18, 23, 59, 59, 0, time.UTC)
	for name, want := range map[string]string{"views": "23:59", "sales": "23:00", "trending": "23:55"} {
		i := slices.IndexFunc(boards().Boards, func(b operators.Board) bool { return b.Name == name })
		w := watch{board: boards().Boards[i], region: "region-01"}
		if got := time.UnixMilli(w.start(at.UnixMilli())).UTC().Format("15:04"); got != want {
			t.Errorf("%s: the window begins at %s, want %s", name, got, want)
		}
		list := event.Ranking{ListKey: event.ListKey{Board: name, By: "region", Group: event.NewGroup("region-01")}}
		if !w.shows(&list) {
			t.Errorf("%s: its own list is not recognized", name)
		}
		if list.Group = event.NewGroup("region-02"); w.shows(&list) {
			t.Errorf("%s: another region's list is taken for its own", name)
		}
	}
}

// TestSpread checks percentiles by nearest rank.
func TestSpread(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i)*time.Millisecond)
	}
	if got, want := spreadOf(times), (spread{Mean: 100.5, P50: 100, P90: 180, P99: 198, Max: 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := spreadOf([]time.Duration{time.Second}), (spread{Mean: 1000, P50: 1000, P90: 1000, P99: 1000, Max: 1000}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestWrong checks what makes a run a failure.
func TestWrong(t *testing.T) {
	probes := []probe{{Seen: true, Measured: true, Took: 2 * time.Second}, {Number: 1, Seen: true}}
	made := func(processed, counted int64, probes []probe) *result {
		var r result
		r.Engine.Processed, r.Engine.Counted = processed, counted
		begin := counters{at: time.Unix(0, 0)}
		r.add(config{}, begin, counters{at: time.Unix(10, 0), processed: processed}, 100, loaded{Probes: probes})
		return &r
	}
	if r := made(100, 100, probes); r.wrong() != nil || r.GoalMet || r.Probes != 1 || r.Freshness.Max != 2000 {
		t.Errorf("a slow run: %+v, %v", r, r.wrong())
	}
	for name, r := range map[string]*result{
		"lost": made(100, 100, append(probes, probe{Number: 2})), "no probes": made(100, 100, nil), "not processed": made(99, 100, probes), "not counted": made(100, 99, probes),
	} {
		if r.wrong() == nil || r.GoalMet {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}

// TestTurns checks that all probes are asked for, however many there are.
func TestTurns(t *testing.T) {
	for _, n := range []int{0, 1, lookMax, lookMax + 1, 5*lookMax + 3} {
		var l looker
		for i := range n {
			l.open = append(l.open, expected{number: i})
		}
		asked := map[int]bool{}
		for range n/lookMax + 1 {
			turn, _ := l.next()
			if len(turn) != min(n, lookMax) {
				t.Fatalf("of %d, %d are asked for at a time", n, len(turn))
			}
			for _, e := range turn {
				asked[e.number] = true
			}
		}
		if len(asked) != n {
			t.Errorf("of %d, only %d are asked for", n, len(asked))
		}
	}
}
