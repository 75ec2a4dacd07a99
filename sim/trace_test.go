package sim_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// trace is one line of the test vectors that the executable specification of Rules 1
// and 3 wrote: settings, a log at the offsets 0, 1, 2, ..., and what holds after each record.
type trace struct {
	Seed     int `json:"seed"`
	Settings struct {
		Pane     time.Duration `json:"pane"` // durations in milliseconds here
		Bound    time.Duration `json:"bound"`
		Lateness time.Duration `json:"lateness"`
		MaxAhead time.Duration `json:"max_ahead"`
		G        time.Duration `json:"g"`
		N        int           `json:"N"`
		M        int64         `json:"m"`
		R        int           `json:"R"`
	} `json:"settings"`
	Log   []json.RawMessage `json:"log"`
	After []struct {
		Decision string      `json:"decision"`
		W        *int64      `json:"w"`
		Closed   []tracePane `json:"closed"`
		Open     []tracePane `json:"open"`
	} `json:"after"`
}

// TestSpecTraces replays the specification's vectors: after each record the decision and
// W are the same, and so are all cells so far, those of closed panes and of open ones.
func TestSpecTraces(t *testing.T) {
	for _, tr := range readTraces(t) {
		s, log := tr.settings(), tr.log(t)
		outcomes := sim.Decide(s, log)
		closed := make(sim.Cells)
		for i, after := range tr.After {
			want := event.NoTime
			if after.W != nil {
				want = *after.W
			}
			if o := outcomes[i]; o.Decision.String() != after.Decision || o.W != want {
				t.Fatalf("seed %d, offset %d: %v, W %d; the specification says %s, W %d", tr.Seed, i, o.Decision, o.W, after.Decision, want)
			}
			addCells(t, closed, after.Closed)
			all := maps.Clone(closed)
			addCells(t, all, after.Open)
			if got := sim.CellsOf(s, log[:i+1], outcomes[:i+1]); !maps.Equal(got, all) {
				t.Fatalf("seed %d, offset %d: cells\n%v\nthe specification says\n%v", tr.Seed, i, got, all)
			}
		}
	}
}

func readTraces(t *testing.T) []trace {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "operators", "testdata", "fold-traces.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var traces []trace
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var tr trace
		if err := json.Unmarshal(lines.Bytes(), &tr); err != nil {
			t.Fatal(err)
		}
		traces = append(traces, tr)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(traces) != 300 {
		t.Fatalf("%d traces, want 300", len(traces))
	}
	return traces
}

func (tr trace) settings() operators.Settings {
	s := tr.Settings
	return operators.Settings{
		Pane:                s.Pane * time.Millisecond,
		OutOfOrderness:      s.Bound * time.Millisecond,
		AllowedLateness:     s.Lateness * time.Millisecond,
		MaxAhead:            s.MaxAhead * time.Millisecond,
		DedupSegment:        s.G * time.Millisecond,
		DedupSegments:       s.N,
		DedupRecords:        s.M,
		DedupRecordSegments: s.R,
	}
}

func (tr trace) log(t *testing.T) []sim.Record {
	t.Helper()
	log := make([]sim.Record, 0, len(tr.Log))
	for i, raw := range tr.Log {
		r := sim.Record{Offset: int64(i)}
		var region string
		var punctuation struct {
			Advance    int64 `json:"advance"`
			RecordTime int64 `json:"record_time"`
		}
		switch raw[0] {
		case 'n':
			r.Kind = sim.Malformed
		case '{':
			r.Kind = sim.Punctuation
			mustUnmarshal(t, raw, &punctuation)
			r.At, r.Time = punctuation.Advance, punctuation.RecordTime
		default:
			mustUnmarshal(t, raw, &[]any{&r.EventID, &r.Item, &region, &r.At, &r.Value, &r.Time})
			r.Dims = []string{region}
		}
		log = append(log, r)
	}
	return log
}

// tracePane is [start, [[region, item, count, sum, min, max, duplicates], ...]].
type tracePane struct {
	start int64
	cells []json.RawMessage
}

func (p *tracePane) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&p.start, &p.cells})
}

func addCells(t *testing.T, cells sim.Cells, panes []tracePane) {
	t.Helper()
	for _, pane := range panes {
		for _, raw := range pane.cells {
			var region, item string
			var totals sim.Totals
			mustUnmarshal(t, raw, &[]any{&region, &item, &totals.Count, &totals.Sum, &totals.Min, &totals.Max, &totals.Duplicates})
			key := sim.CellKey{Pane: pane.start, Group: event.NewGroup(region), Item: item}
			if _, twice := cells[key]; twice {
				t.Fatalf("the trace has a cell twice: %v", key)
			}
			cells[key] = totals
		}
	}
}

func mustUnmarshal(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}
