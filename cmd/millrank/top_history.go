package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/pipeline/settings"
)

// history is what is read out of ClickHouse.
type history struct {
	settings settings.Settings
	conn     clickhouse.Conn
}

// openHistory connects to the history. The caller closes conn.
func openHistory(s settings.Settings) (*history, error) {
	if len(s.ClickHouse.Addresses) == 0 {
		return nil, usage(errors.New("clickhouse.addresses is empty: there is no history to look at"))
	}
	options, err := s.ClickHouseOptions()
	if err != nil {
		return nil, usage(fmt.Errorf("clickhouse.tls: %w", err))
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, usage(fmt.Errorf("clickhouse: %w", err))
	}
	return &history{settings: s, conn: conn}, nil
}

// unreadable says what to look at when ClickHouse can't be read.
func (h *history) unreadable(err error) error {
	hint := "check clickhouse.addresses, clickhouse.protocol and what else is under clickhouse"
	if e, ok := errors.AsType[*clickhouse.Exception](err); ok && (e.Code == 60 || e.Code == 81) { // no such table, no such database
		hint = "bring the schema up to date: millrank migrate"
	}
	return fmt.Errorf("reading ClickHouse at %s: %w; %s", join(h.settings.ClickHouse.Addresses), err, hint)
}

// table returns a table's name, with its database.
func (h *history) table(name string) string {
	return "`" + h.settings.ClickHouse.Database + "`." + name
}

// generation is a condition: the generation asked for, or the active one.
func (h *history) generation(n uint32) string {
	if n != 0 {
		return fmt.Sprintf("generation = %d", n)
	}
	return "(source, generation) IN (SELECT source, generation FROM " + h.table("active_generations") + ")"
}

// read reads a list, of any window that there ever was.
func (h *history) read(ctx context.Context, v topView) (*topShown, error) {
	ctx, cancel := context.WithTimeout(ctx, h.settings.ClickHouse.Timeout.Std())
	defer cancel()
	by, skip := v.by, 0
	if by == "" {
		by = "global"
	}
	conditions := []string{"source = {source:String}", h.generation(v.generation), "board = {board:String}", "grouped_by = {by:String}"}
	args := []any{
		clickhouse.Named("source", h.settings.SourceName()), clickhouse.Named("board", v.board.Name), clickhouse.Named("by", by),
	}
	for i, name := range topBy(v.by) {
		column := "region"
		if name != "region" {
			column = fmt.Sprintf("dimensions[{name%d:String}]", i)
			args = append(args, clickhouse.Named(fmt.Sprintf("name%d", i), name))
		}
		conditions = append(conditions, fmt.Sprintf("%s = {value%d:String}", column, i))
		args = append(args, clickhouse.Named(fmt.Sprintf("value%d", i), v.group[i]))
	}
	switch v.window {
	case windowFinal:
		conditions = append(conditions, "final")
	case windowPrevious:
		skip = 1
	case windowAt:
		conditions = append(conditions, fmt.Sprintf("window_start = fromUnixTimestamp64Milli(%d)", v.start.UnixMilli()))
	}
	query := fmt.Sprintf(`SELECT window_start, window_end, items, scores, final, exact, max_error, revision, watermark, written_at, duplicates
		FROM %s FINAL WHERE %s ORDER BY window_start DESC LIMIT 1 OFFSET %d`, h.table("rankings"), strings.Join(conditions, " AND "), skip)
	var start, end, written time.Time
	var watermark *time.Time
	var items []string
	var scores []float64
	var offBy float64
	shown := &topShown{
		Board: v.board.Name, By: topBy(v.by), Group: append([]string{}, v.group...), Measure: v.board.Measure, Order: v.board.Order,
		Key: h.table("rankings"), MaxError: 0, Items: []topItem{},
	}
	err := h.conn.QueryRow(ctx, query, args...).Scan(&start, &end, &items, &scores, &shown.Final, &shown.Exact, &offBy, &shown.Revision, &watermark, &written, &shown.Dups)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		window := v.window
		if window == windowAt {
			window = v.start.UTC().Format(time.DateTime)
		}
		return nil, fmt.Errorf("there is no such list in ClickHouse: board %s, %s, window %s. Interim lists come every flush.history (%v); 'millrank status --from clickhouse' says what there is",
			v.board.Name, topOfGroup(shown.By, shown.Group), window, h.settings.Flush.History)
	case err != nil:
		return nil, h.unreadable(err)
	}
	const layout = "2006-01-02T15:04:05.000Z"
	shown.Start, shown.End, shown.Updated = start.UTC().Format(layout), end.UTC().Format(layout), written.UTC().Format(layout)
	if watermark != nil {
		shown.Mark = watermark.UTC().Format(layout)
	}
	if shown.MaxError, shown.offBy = offBy, fmt.Sprint(offBy); math.IsInf(offBy, 0) {
		shown.MaxError, shown.offBy = "inf", "inf"
	}
	for i := range min(v.k, len(items)) {
		shown.Items = append(shown.Items, topItem{i + 1, items[i], scores[i]})
	}
	return shown, nil
}
