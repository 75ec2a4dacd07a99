package operators

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
)

// The traces are the test vectors of the executable specification of Rules 1 and 3:
// for each of 300 seeds the settings, a log, and what stands after each record.
// Times are in any one unit; here they are milliseconds.

type trace struct {
	Settings struct {
		Pane, Bound, Lateness, G, N, M, R int64
		MaxAhead                          int64 `json:"max_ahead"`
	}
	Log   []traceRecord
	After []traceRow
}

// UnmarshalJSON numbers the records, too.
func (tr *trace) UnmarshalJSON(b []byte) error {
	type plain trace
	err := json.Unmarshal(b, (*plain)(tr))
	for i := range tr.Log {
		tr.Log[i].Offset = int64(i)
	}
	return err
}

type traceRow struct {
	Offset     int64
	Decision   string
	W          *int64
	Closed     []tracePane
	Open       []tracePane
	Checkpoint struct {
		LowWater         int64  `json:"low_water"`
		W                *int64 `json:"w"`
		CountFrom        int64  `json:"count_from"`
		ProcessedThrough int64  `json:"processed_through"`
	}
}

// tracePane is [start, [[region, item, count, sum, min, max, duplicates], ...]].
type tracePane struct {
	Start int64
	Cells []traceCell
}

type traceCell struct {
	Region, Item                     string
	Count, Sum, Min, Max, Duplicates int64
}

func (p *tracePane) UnmarshalJSON(b []byte) error {
	var cells [][]any
	if err := json.Unmarshal(b, &[]any{&p.Start, &cells}); err != nil {
		return err
	}
	for _, c := range cells {
		n := func(i int) int64 { return int64(c[i].(float64)) }
		p.Cells = append(p.Cells, traceCell{c[0].(string), c[1].(string), n(2), n(3), n(4), n(5), n(6)})
	}
	return nil
}

func (tr *trace) settings() Settings {
	ms := time.Millisecond
	s := tr.Settings
	return Settings{
		Pane: time.Duration(s.Pane) * ms, OutOfOrderness: time.Duration(s.Bound) * ms,
		AllowedLateness: time.Duration(s.Lateness) * ms, MaxAhead: time.Duration(s.MaxAhead) * ms,
		DedupSegment: time.Duration(s.G) * ms, DedupSegments: int(s.N),
		DedupRecords: s.M, DedupRecordSegments: int(s.R),
	}
}

// traceRecord is null for a malformed record, {"advance", "record_time"} for a punctuation,
// or [event_id, item, region, event_time, value, record_time].
type traceRecord struct{ Record }

func (r *traceRecord) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case 'n':
		r.Kind = KindMalformed
		return nil
	case '{':
		var p struct {
			Advance    int64
			RecordTime int64 `json:"record_time"`
		}
		err := json.Unmarshal(b, &p)
		r.Kind, r.Advance, r.Time = KindPunctuation, p.Advance, p.RecordTime
		return err
	}
	var id, item, region string
	err := json.Unmarshal(b, &[]any{&id, &item, &region, &r.Event.Time, &r.Event.Value, &r.Time})
	r.Event.ID, r.Event.Item, r.Event.Group = event.NewID([]byte(id)), []byte(item), []byte(event.NewGroup(region))
	return err
}

// eachTrace calls f for each of the 300 traces in a file.
func eachTrace[T any](t *testing.T, path string, f func(t *testing.T, tr *T)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		tr := new(T)
		if err := json.Unmarshal(lines.Bytes(), tr); err != nil {
			t.Fatal(err)
		}
		f(t, tr)
		if t.Failed() {
			t.Fatalf("%s, line %d", path, n+1)
		}
	}
	if lines.Err() != nil || n != 300 {
		t.Fatalf("%s: %d traces instead of 300: %v", path, n, lines.Err())
	}
}

const foldTraces = "testdata/fold-traces.ndjson.gz"

// watching folds records and keeps track of the panes that close.
type watching struct {
	*Partition
	open map[int64][]traceCell
}

func (w *watching) step(r *Record) (out Outcome, closed []tracePane) {
	before := w.open
	out = w.Step(r)
	w.open = map[int64][]traceCell{}
	for _, p := range w.openPanes() {
		w.open[p.Start] = p.Cells
		delete(before, p.Start)
	}
	for start, cells := range before {
		closed = append(closed, tracePane{start, cells})
	}
	slices.SortFunc(closed, func(a, b tracePane) int { return cmp.Compare(a.Start, b.Start) })
	return out, closed
}

func (w *watching) openPanes() []tracePane {
	var open []tracePane
	for _, p := range w.panes.open {
		tp := tracePane{Start: p.start}
		for i := range p.cells {
			c := p.view(i)
			tp.Cells = append(tp.Cells, traceCell{event.Group(c.Group).Values()[0], string(c.Item), c.Count, c.Sum, c.Min, c.Max, c.Duplicates})
		}
		slices.SortFunc(tp.Cells, func(a, b traceCell) int {
			return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Item, b.Item))
		})
		open = append(open, tp)
	}
	return open
}

func (row *traceRow) checkpoint() Checkpoint {
	return Checkpoint{row.Checkpoint.LowWater, orNoTime(row.Checkpoint.W), row.Checkpoint.CountFrom, row.Checkpoint.ProcessedThrough}
}

func orNoTime(t *int64) int64 {
	if t == nil {
		return event.NoTime
	}
	return *t
}

// compare holds the fold against a trace after the record of this row.
func (row *traceRow) compare(t *testing.T, w *watching, out Outcome, closed []tracePane) {
	t.Helper()
	if out.Decision.String() != row.Decision {
		t.Errorf("offset %d: decision %v, want %v", row.Offset, out.Decision, row.Decision)
	}
	if w.Watermark() != orNoTime(row.W) {
		t.Errorf("offset %d: W %d, want %d", row.Offset, w.Watermark(), orNoTime(row.W))
	}
	if len(closed)+len(row.Closed) > 0 && !reflect.DeepEqual(closed, row.Closed) {
		if d := gocmp.Diff(row.Closed, closed); d != "" {
			t.Errorf("offset %d: closed panes (-want +got):\n%s", row.Offset, d)
		}
	}
	row.compareOpen(t, w)
	if got := w.Checkpoint(); got != row.checkpoint() {
		t.Errorf("offset %d: checkpoint %+v, want %+v", row.Offset, got, row.checkpoint())
	}
}

func (row *traceRow) compareOpen(t *testing.T, w *watching) {
	t.Helper()
	if open := w.openPanes(); len(open)+len(row.Open) > 0 && !reflect.DeepEqual(open, row.Open) {
		if d := gocmp.Diff(row.Open, open); d != "" {
			t.Errorf("offset %d: open panes (-want +got):\n%s", row.Offset, d)
		}
	}
}

// TestPartitionSpecification steps the fold through every trace: the same decision,
// W, closed and open cells and checkpoint after every record.
func TestPartitionSpecification(t *testing.T) {
	eachTrace(t, foldTraces, func(t *testing.T, tr *trace) {
		w := &watching{Partition: NewPartition(tr.settings(), 3, CheckpointAt(0))}
		for i := range tr.After {
			out, closed := w.step(&tr.Log[i].Record)
			tr.After[i].compare(t, w, out, closed)
		}
	})
}

// TestPartitionSpecificationRestart restarts the fold from the specification's own
// checkpoint after each record of every trace.
func TestPartitionSpecificationRestart(t *testing.T) {
	eachTrace(t, foldTraces, func(t *testing.T, tr *trace) {
		for stop := range tr.After {
			ck := tr.After[stop].checkpoint()
			w := &watching{Partition: NewPartition(tr.settings(), 3, ck)}
			for o := ck.LowWater; o < int64(len(tr.Log)) && !t.Failed(); o++ {
				out, closed := w.step(&tr.Log[o].Record)
				switch row := &tr.After[o]; {
				case o > int64(stop):
					row.compare(t, w, out, closed)
				case out.Decision != event.Replayed:
					t.Errorf("offset %d: decision %v in a replay", o, out.Decision)
				case o == int64(stop):
					row.compareOpen(t, w)
				}
			}
			if t.Failed() {
				t.Fatalf("restarted as of offset %d from %+v", stop, ck)
			}
		}
	})
}
