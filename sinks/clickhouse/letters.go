package clickhouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/millrank/millrank/event"
)

// Letter is a row of dead_letters: a record that was not counted, without its content. What isn't known is event.NoTime, or empty.
type Letter struct {
	Generation uint32 // that found it
	Reason     string // malformed, future, late
	Error      string
	Topic      string // of the record
	Partition  int32
	Offset     int64
	Timestamp  int64 // of the record, Unix milliseconds
	EventTime  int64
	Watermark  int64
	Pane       int64 // start of the pane that a late event belongs to
	Lateness   int64 // milliseconds
	Group      event.Group
	Item       string
}

// WriteLetters writes dead letters, in any order, also again. It returns nil and errors as WriteCells does.
func (s *Sink) WriteLetters(ctx context.Context, letters []Letter) error {
	places := newPlaces(s.config.Dimensions)
	all := &letterRows{sink: s, letters: letters, places: places}
	bad := &misfits{rows: all}
	for i := range letters {
		if g := letters[i].Group; g != "" && places.of(g).err != nil {
			bad.note(i, places.of(g).err)
		}
	}
	if err := s.setAside(ctx, bad); err != nil {
		return err
	}
	if len(bad.refused) > 0 {
		all.letters = without(letters, bad)
	}
	return s.insert(ctx, all)
}

type letterRows struct {
	sink    *Sink
	letters []Letter
	places  *places
}

func (r *letterRows) table() string { return "dead_letters" }

func (r *letterRows) columns() []col {
	return []col{
		{"source", "LowCardinality(String)"},
		{"generation", "UInt32"},
		{"topic", "LowCardinality(String)"},
		{"source_partition", "Int32"},
		{"source_offset", "Int64"},
		{"recorded_at", "DateTime64(3, 'UTC')"},
		{"reason", "LowCardinality(String)"},
		{"error", "String"},
		{"event_time", "Nullable(DateTime64(3, 'UTC'))"},
		{"watermark", "Nullable(DateTime64(3, 'UTC'))"},
		{"pane_start", "Nullable(DateTime64(3, 'UTC'))"},
		{"lateness_ms", "Nullable(Int64)"},
		{"region", "LowCardinality(String)"},
		{"dimensions", mapType},
		{"item_id", "String"},
	}
}

func (r *letterRows) len() int { return len(r.letters) }

func (r *letterRows) size(i int) int {
	l := &r.letters[i]
	return len(l.Item) + len(l.Group) + len(l.Error) + len(l.Topic) + len(l.Reason) + 10*8
}

func (r *letterRows) done(s *Sink, n int) { s.counts.letters.Add(int64(n)) }

func (r *letterRows) fill(batch driver.Batch, from, to int) error {
	for i := from; i < to; i++ {
		l := &r.letters[i]
		place := r.places.of(l.Group)
		recorded := l.Timestamp
		if recorded == event.NoTime {
			recorded = 0
		}
		if err := batch.Append(r.sink.config.Source, l.Generation, l.Topic, l.Partition, l.Offset, recorded, l.Reason, l.Error,
			known(l.EventTime), known(l.Watermark), known(l.Pane), known(l.Lateness), place.region, place.others, l.Item); err != nil {
			return err
		}
	}
	return nil
}

func (r *letterRows) describe(i int) map[string]any {
	l := r.letters[i]
	place := r.places.of(l.Group)
	row := map[string]any{
		"source": r.sink.config.Source, "generation": l.Generation, "topic": l.Topic, "source_partition": l.Partition, "source_offset": l.Offset,
		"reason": l.Reason, "error": l.Error, "region": place.region, "dimensions": place.others.asMap(), "item_id": l.Item,
	}
	for name, at := range map[string]int64{"recorded_at": l.Timestamp, "event_time": l.EventTime, "watermark": l.Watermark, "pane_start": l.Pane} {
		if at != event.NoTime {
			row[name] = timeText(at)
		}
	}
	if l.Lateness != event.NoTime {
		row["lateness_ms"] = l.Lateness
	}
	return row
}

// known returns nil for what isn't known.
func known(at int64) *int64 {
	if at == event.NoTime {
		return nil
	}
	return &at
}
