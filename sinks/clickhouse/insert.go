package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// col is a column of an insert.
type col struct{ name, kind string }

// rows are rows for one table.
type rows interface {
	table() string
	columns() []col
	len() int
	size(i int) int                              // of a row, in bytes, about
	fill(batch driver.Batch, from, to int) error // appends rows
	describe(i int) (row map[string]any)         // by the names of columns
	done(s *Sink, n int)                         // counts rows that were acknowledged
}

// insert writes rows: nil says that all of them are acknowledged, or set aside.
//
// Inserts carry no deduplication token, and replicated tables are told not to look for repeated blocks: every row is absolute and
// has a version, so a repeated insert, such as after a timeout that came too late, is folded. A block that is
// taken for a repeated one would be lacking where the generation was dropped in between and is written anew.
func (s *Sink) insert(ctx context.Context, r rows) error {
	for from := 0; from < r.len(); {
		to, bytes := from+1, r.size(from)
		for to < r.len() && to-from < s.config.BatchRows {
			size := r.size(to)
			if bytes+size > s.config.BatchBytes {
				break
			}
			bytes += size
			to++
		}
		n := narrowing{sink: s, rows: r}
		if err := n.insert(ctx, from, to); err != nil {
			return err
		}
		if err := n.settle(ctx); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// send sends one insert.
func (s *Sink) send(ctx context.Context, r rows, from, to int) error {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	settings := clickhouse.Settings{
		"async_insert":                    0, // acknowledged means written
		"insert_deduplicate":              0,
		"max_partitions_per_insert_block": 0, // a replay of old events can touch many months
	}
	if s.config.Cluster != "" {
		settings["insert_quorum"] = "auto"
	}
	for name, value := range s.config.Settings {
		settings[name] = value
	}
	var names []string
	var types []clickhouse.ColumnNameAndType
	for _, c := range r.columns() {
		names = append(names, c.name)
		types = append(types, clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind})
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings), clickhouse.WithColumnNamesAndTypes(types))
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+schema{s.config}.Name(r.table())+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return err
	}
	defer batch.Close() //nolint:errcheck // it gives the connection back; Send says what matters
	if err := r.fill(batch, from, to); err != nil {
		return err
	}
	return batch.Send()
}

// narrowing finds the rows that a server doesn't take.
type narrowing struct {
	sink    *Sink
	rows    rows
	in      int // rows that went in
	failed  int // inserts that an unknown error has failed, while nothing has gone in
	refused []refusal
}

// refusal is a row that was refused.
type refusal struct {
	row int
	err error
	why class
}

// refusedMax is how many rows of an insert are singled out. Where there are more, something is wrong with all
// of them, and what is refused from then on is set aside in larger pieces; and unsureMax is how many inserts may fail for reasons that we don't know before we take it that
// the server is at fault.
const (
	refusedMax = 250
	unsureMax  = 64
)

// insert writes rows; the ones that the server refuses are noted.
func (n *narrowing) insert(ctx context.Context, from, to int) error {
	s := n.sink
	err := s.send(ctx, n.rows, from, to)
	if err == nil {
		n.in += to - from
		s.counts.inserts.Add(1)
		bytes := 0
		for i := from; i < to; i++ {
			bytes += n.rows.size(i)
		}
		s.counts.bytes.Add(int64(bytes))
		n.rows.done(s, to-from)
		return nil
	}
	s.counts.failed.Add(1)
	why := classify(err)
	if ctx.Err() != nil || why == passing {
		return fmt.Errorf("history: %s: %w", n.rows.table(), explain(err))
	}
	if why == unknown && n.in == 0 {
		if n.failed++; n.failed > unsureMax {
			return fmt.Errorf("history: %s: %w", n.rows.table(), explain(err))
		}
	}
	if to-from > 1 && len(n.refused) < refusedMax {
		middle := (from + to) / 2
		s.counts.narrowed.Add(2)
		if err := n.insert(ctx, from, middle); err != nil {
			return err
		}
		return n.insert(ctx, middle, to)
	}
	for i := from; i < to; i++ {
		n.refused = append(n.refused, refusal{i, err, why})
	}
	return nil
}

// settle sets aside what was refused.
func (n *narrowing) settle(ctx context.Context) error {
	for _, r := range n.refused {
		if r.why == unknown && n.in == 0 { // it may be the server
			return fmt.Errorf("history: %s: %w", n.rows.table(), explain(r.err))
		}
	}
	return n.sink.setAside(ctx, &misfits{rows: n.rows, refused: n.refused})
}

// misfits are rows to be set aside.
type misfits struct {
	rows    rows
	refused []refusal
}

func (m *misfits) note(row int, err error) {
	m.refused = append(m.refused, refusal{row, err, content})
}

// without returns rows but for those that are set aside, which are in order.
func without[T any](all []T, bad *misfits) []T {
	good := make([]T, 0, len(all))
	next := 0
	for i := range all {
		if next < len(bad.refused) && bad.refused[next].row == i {
			next++
			continue
		}
		good = append(good, all[i])
	}
	return good
}

// setAside writes rows to the table refused, and says so.
func (s *Sink) setAside(ctx context.Context, m *misfits) error {
	if len(m.refused) == 0 {
		return nil
	}
	set := &refusedRows{sink: s}
	for _, r := range m.refused {
		text, err := json.Marshal(m.rows.describe(r.row))
		if err != nil {
			text = fmt.Appendf(nil, "%q", fmt.Sprint(m.rows.describe(r.row)))
		}
		set.tables = append(set.tables, m.rows.table())
		set.texts = append(set.texts, string(text))
		set.errors = append(set.errors, r.err.Error())
	}
	s.config.Logger.Error("history: rows that can't be stored are set aside in the table refused",
		"table", m.rows.table(), "rows", len(m.refused), "first", set.texts[0], "error", set.errors[0])
	if err := s.send(ctx, set, 0, set.len()); err != nil {
		return fmt.Errorf("history: refused: %w", explain(errors.Join(err, m.refused[0].err)))
	}
	s.counts.refused.Add(int64(len(m.refused)))
	return nil
}

// refusedRows are rows of the table refused.
type refusedRows struct {
	sink                  *Sink
	tables, texts, errors []string
}

func (r *refusedRows) table() string { return "refused" }

func (r *refusedRows) columns() []col {
	return []col{
		{"source", "LowCardinality(String)"}, {"generation", "UInt32"}, {"table", "LowCardinality(String)"}, {"row_json", "String"}, {"error", "String"},
	}
}

func (r *refusedRows) len() int                    { return len(r.texts) }
func (r *refusedRows) size(i int) int              { return len(r.texts[i]) + len(r.errors[i]) }
func (r *refusedRows) describe(int) map[string]any { return nil }
func (r *refusedRows) done(*Sink, int)             {}

func (r *refusedRows) fill(batch driver.Batch, from, to int) error {
	n := to - from
	return appendAll(batch, repeat(r.sink.config.Source, n), repeat(r.sink.config.Generation, n), r.tables[from:to], r.texts[from:to], r.errors[from:to])
}

// appendAll appends columns to a batch.
func appendAll(batch driver.Batch, columns ...any) error {
	for i, values := range columns {
		if err := batch.Column(i).Append(values); err != nil {
			return err
		}
	}
	return nil
}

func repeat[T any](value T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = value
	}
	return all
}
