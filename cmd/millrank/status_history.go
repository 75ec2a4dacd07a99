package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/pipeline/settings"
)

// historyStatus is what the history has of a generation.
type historyStatus struct {
	Source      string             `json:"source"`
	Active      uint32             `json:"active_generation"`
	Partitions  []historyPartition `json:"partitions"`
	Boards      []historyBoard     `json:"boards"`
	DeadLetters map[string]uint64  `json:"dead_letters"` // by reason
	Refused     uint64             `json:"refused"`      // rows that ClickHouse would not take: the table refused says why
}

// historyPartition is what was counted in a source partition.
type historyPartition struct {
	Partition int32     `json:"partition"`
	AsOf      int64     `json:"as_of"` // the greatest offset that a cell stands for
	Cells     uint64    `json:"cells"`
	Events    int64     `json:"events"`
	Newest    time.Time `json:"newest_pane"`
}

// historyBoard is what lists there are.
type historyBoard struct {
	Board  string    `json:"board"`
	By     string    `json:"by"`
	Lists  uint64    `json:"lists"`
	Final  uint64    `json:"final"`
	Oldest time.Time `json:"oldest_window"`
	Newest time.Time `json:"newest_window"`
}

func (a *app) statusHistory(ctx context.Context, s settings.Settings) error {
	h, err := openHistory(s)
	if err != nil {
		return err
	}
	defer h.conn.Close() //nolint:errcheck // it was only read from
	st, err := h.status(ctx)
	if err != nil {
		return h.unreadable(err)
	}
	if a.json {
		return a.writeJSON(st)
	}
	fmt.Fprintf(a.out, "%s: views show generation %d.\n\n", st.Source, st.Active)
	t := a.table("partition", "cells", "events", "newest pane", "as of offset")
	for _, p := range st.Partitions {
		t.AppendRow(table.Row{p.Partition, humanize.Comma(int64(p.Cells)), humanize.Comma(p.Events), p.Newest.UTC().Format(time.DateTime), p.AsOf})
	}
	t.Render()
	fmt.Fprintln(a.out)
	t = a.table("board", "by", "lists", "final", "oldest window", "newest window")
	for _, b := range st.Boards {
		t.AppendRow(table.Row{b.Board, b.By, humanize.Comma(int64(b.Lists)), humanize.Comma(int64(b.Final)), b.Oldest.UTC().Format(time.DateTime), b.Newest.UTC().Format(time.DateTime)})
	}
	t.Render()
	fmt.Fprintf(a.out, "\nNot counted: %d late, %d malformed, %d from the future.\n", st.DeadLetters["late"], st.DeadLetters["malformed"], st.DeadLetters["future"])
	if st.Refused > 0 {
		fmt.Fprintf(a.out, "%d rows were refused by ClickHouse: SELECT * FROM %s\n", st.Refused, h.table("refused"))
	}
	return nil
}

func (h *history) status(ctx context.Context) (*historyStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*h.settings.ClickHouse.Timeout.Std())
	defer cancel()
	st := &historyStatus{Source: h.settings.SourceName(), Partitions: []historyPartition{}, Boards: []historyBoard{}, DeadLetters: map[string]uint64{}}
	source := clickhouse.Named("source", st.Source)
	const of = " WHERE source = {source:String} AND "
	if err := h.conn.QueryRow(ctx, "SELECT max(generation) FROM "+h.table("active_generations")+" WHERE source = {source:String}", source).Scan(&st.Active); err != nil {
		return nil, err
	}
	err := h.each(ctx, "SELECT source_partition, max(as_of), count(), sum(count), max(pane_start) FROM "+h.table("cells")+" FINAL"+of+h.generation(0)+
		" GROUP BY source_partition ORDER BY source_partition", source, func(scan func(...any) error) error {
		var p historyPartition
		err := scan(&p.Partition, &p.AsOf, &p.Cells, &p.Events, &p.Newest)
		st.Partitions = append(st.Partitions, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = h.each(ctx, "SELECT board, grouped_by, count(), countIf(final), min(window_start), max(window_start) FROM "+h.table("rankings")+" FINAL"+of+h.generation(0)+
		" GROUP BY board, grouped_by ORDER BY board, grouped_by", source, func(scan func(...any) error) error {
		var b historyBoard
		err := scan(&b.Board, &b.By, &b.Lists, &b.Final, &b.Oldest, &b.Newest)
		st.Boards = append(st.Boards, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = h.each(ctx, "SELECT reason, count() FROM "+h.table("dead_letters")+" FINAL"+of+h.generation(0)+" GROUP BY reason", source, func(scan func(...any) error) error {
		var reason string
		var n uint64
		err := scan(&reason, &n)
		st.DeadLetters[reason] = n
		return err
	})
	if err != nil {
		return nil, err
	}
	return st, h.conn.QueryRow(ctx, "SELECT count() FROM "+h.table("refused")+" FINAL"+of+h.generation(0), source).Scan(&st.Refused)
}

// each calls take for each row.
func (h *history) each(ctx context.Context, query string, arg any, take func(scan func(...any) error) error) error {
	rows, err := h.conn.Query(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
