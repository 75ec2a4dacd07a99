package clickhouse

import (
	"context"
	"math"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/millrank/millrank/event"
)

// Lists writes merged lists to the table rankings. It fits handlers.ListWriter.
type Lists struct{ sink *Sink }

// Lists returns a writer for the lists of one partition of the rankings topic. All of them write alike, since lists
// say by their revision which of two is newer.
func (s *Sink) Lists(_ int) *Lists { return &Lists{sink: s} }

// Write writes lists, also again. Nil and errors are as WriteCells has them. Behind is never true: what ClickHouse has lost nobody
// has but its own copies.
func (l *Lists) Write(ctx context.Context, _, watermark int64, lists []event.Ranking) (behind bool, err error) {
	return false, l.sink.insert(ctx, &listRows{sink: l.sink, lists: lists, watermark: watermark, places: map[string]*places{}})
}

// Filled does nothing, since Write is never behind.
func (l *Lists) Filled() {}

// global is what grouped_by says of lists of all events.
const global = "global"

type listRows struct {
	sink      *Sink
	lists     []event.Ranking
	watermark int64
	places    map[string]*places // by ListKey.By
}

func (r *listRows) table() string { return "rankings" }

func (r *listRows) columns() []col {
	return []col{
		{"source", "LowCardinality(String)"},
		{"generation", "UInt32"},
		{"board", "LowCardinality(String)"},
		{"grouped_by", "LowCardinality(String)"},
		{"window_start", "DateTime64(3, 'UTC')"},
		{"window_end", "DateTime64(3, 'UTC')"},
		{"region", "LowCardinality(String)"},
		{"dimensions", mapType},
		{"revision", "Int64"},
		{"items", "Array(String)"},
		{"scores", "Array(Float64)"},
		{"final", "Bool"},
		{"exact", "Bool"},
		{"max_error", "Float64"},
		{"duplicates", "Int64"},
		{"watermark", "Nullable(DateTime64(3, 'UTC'))"},
	}
}

func (r *listRows) len() int { return len(r.lists) }

func (r *listRows) size(i int) int {
	l := &r.lists[i]
	size := len(l.Board) + len(l.By) + len(l.Group) + 12*8
	for j := range l.Entries {
		size += len(l.Entries[j].Item) + 16
	}
	return size
}

func (r *listRows) done(s *Sink, n int) { s.counts.lists.Add(int64(n)) }

// place says in which columns a list's group goes.
func (r *listRows) place(l *event.Ranking) (by string, at *place) {
	places := r.places[l.By]
	if places == nil {
		var names []string
		if l.By != "" {
			names = strings.Split(l.By, ",")
		}
		places = newPlaces(names)
		r.places[l.By] = places
	}
	if by = l.By; by == "" {
		by = global
	}
	return by, places.of(l.Group)
}

func (r *listRows) fill(batch driver.Batch, from, to int) error {
	for i := from; i < to; i++ {
		l := &r.lists[i]
		by, at := r.place(l)
		items, scores := columnsOf(l.Entries)
		if err := batch.Append(r.sink.config.Source, r.sink.config.Generation, l.Board, by, l.Start, l.End, at.region, at.others, l.Revision,
			items, scores, l.Final, l.Exact, l.MaxError, l.Duplicates, known(r.watermark)); err != nil {
			return err
		}
	}
	return nil
}

func columnsOf(entries []event.Entry) (items []string, scores []float64) {
	items, scores = make([]string, len(entries)), make([]float64, len(entries))
	for j, e := range entries {
		items[j], scores[j] = e.Item, e.Score
	}
	return items, scores
}

func (r *listRows) describe(i int) map[string]any {
	l := &r.lists[i]
	by, at := r.place(l)
	items, scores := columnsOf(l.Entries)
	row := map[string]any{
		"source": r.sink.config.Source, "generation": r.sink.config.Generation, "board": l.Board, "grouped_by": by,
		"window_start": timeText(l.Start), "window_end": timeText(l.End), "region": at.region, "dimensions": at.others.asMap(),
		"revision": l.Revision, "items": items, "scores": scores, "final": l.Final, "exact": l.Exact, "max_error": any(l.MaxError), "duplicates": l.Duplicates,
	}
	if math.IsInf(l.MaxError, 0) {
		row["max_error"] = "inf" // JSON has no number for it
	}
	if r.watermark != event.NoTime {
		row["watermark"] = timeText(r.watermark)
	}
	return row
}
