//go:build e2e

package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// historyWorld is a world whose history is in ClickHouse.
type historyWorld struct {
	*run
	conn driver.Conn
}

func (w *run) withHistory(server *embedded.ClickHouse) *historyWorld {
	w.T.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{server.Addr()}, Protocol: clickhouse.HTTP})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { _ = conn.Close() })
	w.settings(fmt.Sprintf("clickhouse:\n  addresses: [%s]\n  protocol: http\n", server.Addr()))
	return &historyWorld{w, conn}
}

// start starts the program, with interim results every half second.
func (w *historyWorld) start(args ...string) *world.Process {
	return w.run.start(append([]string{"--set", "flush.history=500ms"}, args...)...)
}

// item is what the history counts of an item in a pane and region.
type item struct {
	pane         int64
	region, item string
}

// checkHistory waits until the history has just what the oracle and the answers say.
func (w *historyWorld) checkHistory(want world.Answers) {
	w.T.Helper()
	counts, letters := map[item]sim.Totals{}, map[string]uint64{}
	for _, log := range w.Logs {
		outcomes := sim.Decide(w.Settings, log)
		for key, c := range sim.CellsOf(w.Settings, log, outcomes) {
			at := item{key.Pane, key.Group.Values()[0], key.Item}
			sum, known := counts[at]
			if !known {
				sum.Min, sum.Max = c.Min, c.Max
			}
			sum.Count, sum.Sum, sum.Duplicates = sum.Count+c.Count, sum.Sum+c.Sum, sum.Duplicates+c.Duplicates
			sum.Min, sum.Max = min(sum.Min, c.Min), max(sum.Max, c.Max)
			counts[at] = sum
		}
		for _, o := range outcomes {
			if o.Decision.DeadLetter() {
				letters[o.Decision.String()]++
			}
		}
	}
	began := time.Now()
	var difference string
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for time.Since(began) < world.Patience {
		if difference = w.historyDiffers(want, counts, letters); difference == "" {
			w.T.Logf("%d lists, %d items' counts and %v dead letters are in the history, after %v", len(want), len(counts), letters, time.Since(began).Round(time.Millisecond))
			return
		}
		<-ticker.C
	}
	w.T.Errorf("the history after %v: %s", world.Patience, difference)
}

func (w *historyWorld) historyDiffers(want world.Answers, counts map[item]sim.Totals, letters map[string]uint64) string {
	ctx := w.T.Context()
	source := clickhouse.Named("source", "test/"+w.Topics.Events)
	difference, n := "", 0
	err := w.each(ctx, "SELECT board, grouped_by, region, window_start, items, scores, final, exact, duplicates FROM millrank.rankings FINAL WHERE source = {source:String} AND generation = 1", source, func(scan func(...any) error) error {
		var key event.ListKey
		var region string
		var start time.Time
		var items []string
		var scores []float64
		var got event.Ranking
		err := scan(&key.Board, &key.By, &region, &start, &items, &scores, &got.Final, &got.Exact, &got.Duplicates)
		if key.Start = start.UnixMilli(); key.By == "global" {
			key.By = ""
		} else {
			key.Group = event.NewGroup(region)
		}
		r, ok := want[key]
		same := ok && got.Final && got.Exact == r.Exact && got.Duplicates == r.Duplicates && len(items) == len(r.Entries)
		for i := 0; same && i < len(items); i++ {
			same = items[i] == r.Entries[i].Item && scores[i] == r.Entries[i].Score
		}
		if n++; !same && difference == "" {
			difference = fmt.Sprintf("list %v is %v %v %+v, want %+v", key, items, scores, got, r)
		}
		return err
	})
	switch {
	case err != nil:
		return err.Error()
	case n != len(want):
		return fmt.Sprintf("%d lists, want %d", n, len(want))
	case difference != "":
		return difference
	}
	n = 0
	err = w.each(ctx, `SELECT pane_start, region, item_id, toInt64(sum(count)), toInt64(sum(sum)), min(min), max(max), toInt64(sum(duplicates)) FROM millrank.cells FINAL
		WHERE source = {source:String} AND generation = 1 GROUP BY ALL`, source, func(scan func(...any) error) error {
		var at item
		var pane time.Time
		var got sim.Totals
		err := scan(&pane, &at.region, &at.item, &got.Count, &got.Sum, &got.Min, &got.Max, &got.Duplicates)
		at.pane = pane.UnixMilli()
		if n++; got != counts[at] && difference == "" {
			difference = fmt.Sprintf("item %v: %+v, want %+v", at, got, counts[at])
		}
		return err
	})
	switch {
	case err != nil:
		return err.Error()
	case n != len(counts):
		return fmt.Sprintf("counts of %d items, want %d", n, len(counts))
	case difference != "":
		return difference
	}
	err = w.each(ctx, "SELECT reason, count() FROM millrank.dead_letters FINAL WHERE source = {source:String} AND generation = 1 GROUP BY reason", source, func(scan func(...any) error) error {
		var reason string
		var got uint64
		err := scan(&reason, &got)
		if got != letters[reason] {
			difference = fmt.Sprintf("%d dead letters are %s, want %d", got, reason, letters[reason])
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return difference
}

func (w *historyWorld) each(ctx context.Context, query string, arg any, take func(scan func(...any) error) error) error {
	rows, err := w.conn.Query(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// again has the history's groups begin at the start of their topics once more.
func (w *historyWorld) deliverAgain() {
	w.T.Helper()
	for part, topic := range map[string]string{"cells": w.Topics.Updates, "rankings": w.Topics.Rankings, "dead-letters": w.Topics.Letters} {
		group := w.Program + ".g1.history-" + part
		w.Eventually("group "+group+" is empty", func() bool {
			deleted, err := w.Admin.DeleteGroups(w.T.Context(), group)
			return err == nil && deleted[group].Err == nil
		})
		_ = topic
	}
}

// TestHistory: both data sets, with injected trouble, through the built program into the real ClickHouse engine: cells, lists and dead letters are as the
// answers and the oracle say; also when a process is killed in the middle, when merges are stopped, and when everything is delivered twice.
func TestHistory(t *testing.T) {
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	redis := world.MiniRedis(t)
	brokers := kafka.Broker(t).Brokers() // kfake forgets to throw out who dies while joining
	for _, name := range []string{"wikipedia-edits", "online-retail"} {
		t.Run(name, func(t *testing.T) {
			facts, err := sim.Facts(name)
			if err != nil {
				t.Fatal(err)
			}
			const partitions = 4
			w := newRun(world.New(t, brokers, world.DataSettings(), partitions, 3), "history-"+name, world.DataBoards(name), 2, redis).withHistory(server)
			chosen := []string{"--handlers", "intake,rank,history"}
			logs := w.Arrive(5, facts)
			first := w.start(chosen...)
			w.ProducePart(logs, 0, 2)
			w.AwaitProgress(w.Total() / 2)
			if err := w.conn.Exec(t.Context(), "SYSTEM STOP MERGES"); err != nil {
				t.Fatal(err)
			}
			first.Signal(syscall.SIGKILL)
			second := w.start(chosen...)
			w.ProducePart(logs, 1, 2)
			w.Close()
			want := w.Answers(name)
			w.checkHistory(want)
			w.checkCommands(want)
			if code := second.Term(25 * time.Second); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
			w.deliverAgain()
			third := w.start("--handlers", "history")
			w.awaitHistoryRead()
			w.checkHistory(want)
			if err := w.conn.Exec(t.Context(), "SYSTEM START MERGES"); err != nil {
				t.Fatal(err)
			}
			if code := third.Term(25 * time.Second); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
			if name == "wikipedia-edits" {
				w.reprocess(server, want)
			}
		})
	}
}

// checkCommands has the program show the history.
func (w *historyWorld) checkCommands(want world.Answers) {
	w.T.Helper()
	out, err := millrank(w.T, "status", "--config", w.file, "--from", "clickhouse", "--json")
	var status struct {
		Boards []struct{ Lists, Final int }
	}
	if e := json.Unmarshal([]byte(out), &status); err != nil || e != nil {
		w.T.Fatalf("status: %v %v\n%s", err, e, out)
	}
	n := 0
	for _, b := range status.Boards {
		if n += b.Lists; b.Lists != b.Final {
			w.T.Errorf("status: %d lists of a board, %d final", b.Lists, b.Final)
		}
	}
	if n != len(want) {
		w.T.Errorf("status: %d lists, want %d", n, len(want))
	}
	shown := 0
	for _, r := range want {
		if r.By == "" || len(r.Entries) < 3 {
			continue
		}
		if shown++; shown > 3 {
			return
		}
		out, err := millrank(w.T, "top", "--config", w.file, "--from", "clickhouse", "--json", "--board", r.Board, "--region", r.Group.Values()[0],
			"--window", time.UnixMilli(r.Start).UTC().Format(time.RFC3339))
		var top struct{ Items []event.Entry }
		if e := json.Unmarshal([]byte(out), &top); err != nil || e != nil || !slices.Equal(top.Items, r.Entries) {
			w.T.Errorf("top of %v: %v %v, want %v\n%s", r.ListKey, err, e, r.Entries, out)
		}
	}
}

// reprocess counts anew in another generation, with other panes: views show it once it is active, and all of it; then the first one is dropped.
func (w *historyWorld) reprocess(server *embedded.ClickHouse, want world.Answers) {
	w.T.Helper()
	more := []string{"--set", "generation=2", "--set", "time.pane=30m"}
	w.start(append(more, "--handlers", "intake,rank,history")...)
	entries := 0
	for _, r := range want {
		entries += len(r.Entries)
	}
	// Plain HTTP, as curl or a browser asks.
	ask := func(query string) string {
		request, err := http.NewRequestWithContext(w.T.Context(), http.MethodGet, server.URL()+"?query="+url.QueryEscape(query), http.NoBody)
		if err != nil {
			w.T.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return strings.TrimSpace(string(body))
	}
	of := " WHERE source = 'test/" + w.Topics.Events + "'"
	lists := fmt.Sprintf("SELECT count(), countIf(final) FROM millrank.rankings FINAL%s AND generation = 2", of)
	w.Eventually("generation 2 has all lists, final", func() bool { return ask(lists) == fmt.Sprintf("%d\t%d", len(want), len(want)) })
	if got := ask("SELECT DISTINCT dateDiff('minute', pane_start, pane_end) FROM millrank.item_counts" + of); got != "60" {
		w.T.Errorf("before it is active, views show panes of %s minutes, want those of generation 1, 60", got)
	}
	if out, err := millrank(w.T, append([]string{"activate", "2", "--config", w.file}, more...)...); err != nil {
		w.T.Fatalf("activate: %v\n%s", err, out)
	}
	if got := ask("SELECT DISTINCT dateDiff('minute', pane_start, pane_end) FROM millrank.item_counts" + of); got != "30" {
		w.T.Errorf("views show panes of %s minutes, want those of generation 2, 30", got)
	}
	if got := ask("SELECT count() FROM millrank.top_k" + of); got != fmt.Sprint(entries) {
		w.T.Errorf("top_k has %s rows, want %d", got, entries)
	}
	for _, r := range want {
		group := "AND region = ''"
		if r.By != "" {
			group = "AND region = '" + strings.ReplaceAll(r.Group.Values()[0], "'", "\\'") + "'"
		}
		var wanted []string
		for i, e := range r.Entries {
			wanted = append(wanted, fmt.Sprintf("%d %v", i+1, e.Score))
		}
		got := ask(fmt.Sprintf("SELECT concat(toString(rank), ' ', toString(score)) FROM millrank.top_k%s AND board = '%s' AND window_start = fromUnixTimestamp64Milli(%d) %s AND grouped_by = '%s' ORDER BY rank",
			of, r.Board, r.Start, group, cmp.Or(r.By, "global")))
		if got != strings.Join(wanted, "\n") {
			w.T.Errorf("list %v is %q, want %q", r.ListKey, got, wanted)
			break
		}
	}
	if out, err := millrank(w.T, append([]string{"drop", "1", "--config", w.file}, more...)...); err != nil {
		w.T.Fatalf("drop: %v\n%s", err, out)
	}
	for _, table := range []string{"cells", "rankings", "dead_letters"} {
		if got := ask("SELECT count() FROM millrank." + table + of + " AND generation = 1"); got != "0" {
			w.T.Errorf("%s has %s rows of the dropped generation", table, got)
		}
	}
}

// awaitHistoryRead waits until the history has read, and written, all that there was when it was called.
func (w *historyWorld) awaitHistoryRead() {
	w.T.Helper()
	for part, topic := range map[string]string{"cells": w.Topics.Updates, "rankings": w.Topics.Rankings, "dead-letters": w.Topics.Letters} {
		ends, err := w.Admin.ListEndOffsets(w.T.Context(), topic)
		if err != nil {
			w.T.Fatal(err)
		}
		w.Eventually("history-"+part+" has read all", func() bool {
			committed, err := w.Admin.FetchOffsets(w.T.Context(), w.Program+".g1.history-"+part)
			if err != nil {
				return false
			}
			done := true
			ends.Each(func(end kadm.ListedOffset) {
				if end.Offset == 0 {
					return
				}
				at, ok := committed.Lookup(topic, end.Partition)
				// Rankings are committed at their low-water, with how far they were written.
				done = done && ok && (at.At >= end.Offset || part == "rankings" && publishedThrough(at.At, at.Metadata) >= end.Offset-1)
			})
			return done
		})
	}
}

// publishedThrough returns how far a group of our own topics has passed things on, by a commit's metadata.
func publishedThrough(offset int64, metadata string) int64 {
	_, state, err := microbatch.ParseCommit(metadata)
	if err != nil {
		return -1
	}
	resume, err := handlers.ParseResume(offset, state)
	if err != nil {
		return -1
	}
	return resume.PublishedThrough
}
