package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/millrank/millrank/event"
)

// Cell is a row of cells: what a source partition has counted of one (pane, group, item), in absolute numbers as of an offset.
type Cell struct {
	Partition  int32 // source partition
	Pane       int64 // start, Unix milliseconds
	Group      event.Group
	Item       string
	Count      int64
	Sum        int64 // in units of 10^-Boards.ValueScale
	Min, Max   int64
	Duplicates int64
	AsOf       int64 // of two versions of a cell the greater counts
}

// WriteCells writes cells, in any order, also again. It returns nil when all of them are acknowledged, or set aside in the table refused since the
// server doesn't take them for what they hold. After any error all of them are to be written again.
func (s *Sink) WriteCells(ctx context.Context, cells []Cell) error {
	places := newPlaces(s.config.Dimensions)
	all := &cellRows{sink: s, cells: cells, places: places}
	bad := &misfits{rows: all}
	for i := range cells {
		if place := places.of(cells[i].Group); place.err != nil {
			bad.note(i, place.err)
		}
	}
	if err := s.setAside(ctx, bad); err != nil {
		return err
	}
	if len(bad.refused) > 0 {
		all.cells = without(cells, bad)
	}
	return s.insert(ctx, all)
}

type cellRows struct {
	sink   *Sink
	cells  []Cell
	places *places
}

func (r *cellRows) table() string { return "cells" }

func (r *cellRows) columns() []col {
	columns := []col{
		{"source", "LowCardinality(String)"},
		{"generation", "UInt32"},
		{"pane_start", "DateTime64(3, 'UTC')"},
		{"pane_end", "DateTime64(3, 'UTC')"},
		{"region", "LowCardinality(String)"},
		{"item_id", "String"},
		{"source_partition", "Int32"},
		{"count", "Int64"},
		{"sum", "Int64"},
		{"min", "Int64"},
		{"max", "Int64"},
		{"duplicates", "Int64"},
		{"value_scale", "UInt8"},
		{"as_of", "Int64"},
	}
	if r.further() {
		columns = append(columns, col{"dimensions", mapType})
	}
	return columns
}

// further reports whether there are dimensions beside the region. Without them the server fills in the empty map.
func (r *cellRows) further() bool {
	return len(r.sink.config.Dimensions) > 1 || len(r.sink.config.Dimensions) == 1 && r.sink.config.Dimensions[0] != region
}

func (r *cellRows) len() int { return len(r.cells) }

func (r *cellRows) size(i int) int { return len(r.cells[i].Item) + len(r.cells[i].Group) + 14*8 }

func (r *cellRows) done(s *Sink, n int) { s.counts.cells.Add(int64(n)) }

// fill goes column by column, since the driver takes whole columns with much less work than rows.
func (r *cellRows) fill(batch driver.Batch, from, to int) error {
	cells := r.cells[from:to]
	n := len(cells)
	pane := r.sink.config.Boards.Pane.Milliseconds()
	var (
		numbers = make([]int64, 8*n)
		starts  = numbers[:n]
		ends    = numbers[n : 2*n]
		counts  = numbers[2*n : 3*n]
		sums    = numbers[3*n : 4*n]
		mins    = numbers[4*n : 5*n]
		maxs    = numbers[5*n : 6*n]
		dropped = numbers[6*n : 7*n]
		asOfs   = numbers[7*n:]
		names   = make([]string, 2*n)
		regions = names[:n]
		items   = names[n:]
		parts   = make([]int32, n)
		others  []*dimensions
	)
	if r.further() {
		others = make([]*dimensions, n)
	}
	for i := range cells {
		c := &cells[i]
		place := r.places.of(c.Group)
		starts[i], ends[i], regions[i], items[i], parts[i] = c.Pane, c.Pane+pane, place.region, c.Item, c.Partition
		counts[i], sums[i], mins[i], maxs[i], dropped[i], asOfs[i] = c.Count, c.Sum, c.Min, c.Max, c.Duplicates, c.AsOf
		if others != nil {
			others[i] = place.others
		}
	}
	columns := []any{
		repeat(r.sink.config.Source, n), repeat(r.sink.config.Generation, n), starts, ends, regions, items, parts,
		counts, sums, mins, maxs, dropped, repeat(uint8(r.sink.config.Boards.ValueScale), n), asOfs,
	}
	if others != nil {
		columns = append(columns, others)
	}
	return appendAll(batch, columns...)
}

func (r *cellRows) describe(i int) map[string]any {
	c := r.cells[i]
	place := r.places.of(c.Group)
	return map[string]any{
		"source": r.sink.config.Source, "generation": r.sink.config.Generation,
		"pane_start": timeText(c.Pane), "pane_end": timeText(c.Pane + r.sink.config.Boards.Pane.Milliseconds()),
		"region": place.region, "dimensions": place.others.asMap(), "item_id": c.Item, "source_partition": c.Partition,
		"count": c.Count, "sum": c.Sum, "min": c.Min, "max": c.Max, "duplicates": c.Duplicates,
		"value_scale": r.sink.config.Boards.ValueScale, "as_of": c.AsOf,
	}
}

// timeText writes a time as the server reads it.
func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000") }
