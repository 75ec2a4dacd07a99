package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/chdb"
	"github.com/millrank/millrank/sim"
)

// openHistory starts ClickHouse, and installs it before, where it isn't there. Without it the demo goes on without history, and says so.
func (w *world) openHistory(ctx context.Context) error {
	if w.options.NoHistory {
		return nil
	}
	err := w.startHistory(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		w.sayf("Without history, since ClickHouse can't run in here: %v. Elsewhere, run a ClickHouse server, such as by docker-compose with the image clickhouse/clickhouse-server, and set clickhouse.addresses.\n", err)
	}
	return nil
}

func (w *world) startHistory(ctx context.Context) (err error) {
	if err := embedded.ClickHouseAvailable(); err != nil {
		return err
	}
	if err := embedded.InstallClickHouse(ctx, w.installing()); err != nil {
		return err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(w.options.ClickHouse))
	if w.clickhouse, err = embedded.StartClickHouse(embedded.ClickHouseOptions{Address: address}); err != nil {
		return err
	}
	w.history, err = clickhouse.Open(&clickhouse.Options{Addr: []string{w.clickhouse.Addr()}, Protocol: clickhouse.HTTP})
	return err
}

// installing says how far the installation is.
func (w *world) installing() func(chdb.Progress) {
	var said time.Time
	return func(p chdb.Progress) {
		if now := time.Now(); now.Sub(said) > time.Second {
			said = now
			end := "\n"
			if w.options.Terminal {
				end = "\x1b[K\r"
			}
			w.sayf("ClickHouse's engine, once: %s %d of %d MB%s", p.Stage, p.Done>>20, p.Total>>20, end)
		}
	}
}

// historyAddress returns where ClickHouse is, "" where it isn't.
func (w *world) historyAddress() string {
	if w.clickhouse == nil {
		return ""
	}
	return w.clickhouse.Addr()
}

// checkHistory waits until the history has all lists and events, and compares them with the known ones.
func (w *world) checkHistory(ctx context.Context, s *stream, known map[event.ListKey]sim.ExpectedList, r *Result) error {
	if w.history == nil {
		return nil
	}
	most, since := -1, time.Now()
	for {
		equal, events, difference, err := w.compareHistory(ctx, s, known)
		if err != nil {
			return err
		}
		r.HistoryLists, r.HistoryEvents, r.historyDiffers = equal, events, difference
		if equal+int(events) > most {
			most, since = equal+int(events), time.Now()
		}
		if equal == len(known) && events == int64(s.events) || time.Since(since) > patience {
			return nil
		}
		if err := after(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// compareHistory returns how many lists are final and as they should be, and how many events were counted.
func (w *world) compareHistory(ctx context.Context, s *stream, known map[event.ListKey]sim.ExpectedList) (equal int, events int64, difference string, err error) {
	source := clickhouse.Named("source", s.settings.SourceName())
	rows, err := w.history.Query(ctx, `SELECT board, region, grouped_by, window_start, arraySort(groupArray((rank, item_id, score))) AS entries,
		entries.2, entries.3, any(final AND exact)
		FROM millrank.top_k WHERE source = {source:String} GROUP BY board, region, grouped_by, window_start`, source)
	if err != nil {
		return 0, 0, "", fmt.Errorf("reading ClickHouse: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var board, region, by string
		var start time.Time
		var items []string
		var scores []float64
		var final bool
		var entries any
		if err := rows.Scan(&board, &region, &by, &start, &entries, &items, &scores, &final); err != nil {
			return 0, 0, "", fmt.Errorf("reading ClickHouse: %w", err)
		}
		key := event.ListKey{Board: board, Start: start.UnixMilli()}
		if by == "region" {
			key.By, key.Group = by, event.NewGroup(region)
		}
		want, ok := known[key]
		same := ok && slices.EqualFunc(want.Top, items, func(e sim.ExpectedTopEntry, item string) bool { return e.Item == item })
		for i, e := range want.Top {
			same = same && scores[i] == float64(e.Score)
		}
		switch {
		case same && final:
			equal++
		case difference == "" && final:
			difference = fmt.Sprintf("board %s, region %q, window %v: %v %v", board, region, start, items, scores)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, 0, "", fmt.Errorf("reading ClickHouse: %w", err)
	}
	if err := w.history.QueryRow(ctx, "SELECT toInt64(sum(events)) FROM millrank.item_counts WHERE source = {source:String}", source).Scan(&events); err != nil {
		return 0, 0, "", fmt.Errorf("reading ClickHouse: %w", err)
	}
	return equal, events, difference, nil
}
