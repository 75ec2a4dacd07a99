package trial

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/wire"
)

func small() workload.Settings {
	s := workload.Default()
	s.Events, s.PerSecond, s.Items, s.Seed = 50_000, 500, 2000, 3
	return s
}

var start = time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)

// filled returns tables that have what the oracle wants, each written a second after the one before.
func filled(t *testing.T) *tables {
	t.Helper()
	tables := newTables(workload.NewOracle(small()))
	at := start
	for key, table := range tables.oracle.Tables {
		at = at.Add(time.Second)
		if !tables.take(row{key: key, final: true, table: table}, at) {
			t.Fatalf("%v changed nothing", key)
		}
	}
	return tables
}

func TestRight(t *testing.T) {
	tables := filled(t)
	v := tables.judge(true)
	if n := len(tables.oracle.Tables); !v.AllExact() || v.Exact != n || v.Missing+int(v.Over+v.Under) != 0 || v.Wrong != "" || v.Rows != int64(n) {
		t.Errorf("%+v", v)
	}
	if want := start.Add(time.Duration(len(tables.oracle.Tables)) * time.Second); !tables.end().Equal(want) || !tables.complete() {
		t.Errorf("ended at %v, want %v; complete: %v", tables.end(), want, tables.complete())
	}
}

// TestWrong breaks one table in each way that there is.
func TestWrong(t *testing.T) {
	key := workload.Key{Window: workload.First, Region: "eu"}
	for what, change := range map[string]func(*tables, row) (over, under int64){
		"missing": func(t *tables, _ row) (int64, int64) {
			delete(t.got, key)
			return 0, 0
		},
		"not final": func(t *tables, r row) (int64, int64) {
			r.final = false
			t.take(r, start)
			return 0, 0
		},
		"line 2 is": func(t *tables, r row) (int64, int64) {
			lines := slices.Clone(r.table.Lines)
			lines[1], lines[2] = lines[2], lines[1]
			t.oracle.Tables[key] = workload.Table{Events: r.table.Events, Lines: lines}
			return 0, 0
		},
		"must be {": func(t *tables, r row) (int64, int64) {
			r.table.Lines = slices.Clone(r.table.Lines)
			r.table.Lines[0].Count++
			r.table.Events++
			t.take(r, start)
			return 1, 0
		},
		"99 lines, must be 100": func(t *tables, r row) (int64, int64) {
			r.table.Lines = r.table.Lines[:99]
			r.table.Events -= 5
			t.take(r, start)
			return 0, 5
		},
	} {
		tables := filled(t)
		r := tables.got[key].parts[0]
		over, under := change(tables, r)
		v := tables.judge(true)
		if v.AllExact() || v.Exact != v.Tables-1 || v.Over != over || v.Under != under || !strings.Contains(v.Wrong, what) {
			t.Errorf("%s: %+v", what, v)
		}
	}
}

// TestShards: a table is made of its shards' parts; of each the newest holds, and what changes nothing moves no end.
func TestShards(t *testing.T) {
	tables := newTables(workload.NewOracle(small()))
	key := workload.Key{Window: workload.First, Region: "eu"}
	want := tables.oracle.Tables[key]
	var halves [2]workload.Table
	for i, line := range want.Lines {
		halves[i%2].Lines = append(halves[i%2].Lines, line)
	}
	old := row{key: key, part: 1, asOf: 3, table: workload.Table{Lines: halves[1].Lines[:1]}}
	tables.take(old, start.Add(time.Second))
	for i, half := range halves {
		tables.take(row{key: key, part: i, asOf: 5, final: true, table: half}, start.Add(time.Duration(2+i)*time.Second))
	}
	for what, r := range map[string]row{
		"an older one":      old,
		"the same again":    {key: key, part: 1, asOf: 6, final: true, table: halves[1]},
		"nobody's":          {key: workload.Key{Window: workload.First, Region: workload.FlushRegion}, final: true},
		"of another window": {key: workload.Key{Window: 1, Region: "eu"}, final: true},
	} {
		if tables.take(r, start.Add(time.Hour)) {
			t.Errorf("%s changed something", what)
		}
	}
	if got := tables.got[key].merged(); !slices.Equal(got.Lines, want.Lines) {
		t.Errorf("got %v\nwant %v", got.Lines, want.Lines)
	}
	if end := start.Add(3 * time.Second); !tables.end().Equal(end) || !tables.ended(key.Window).Equal(end) || !tables.ended(key.Window+10_000).IsZero() {
		t.Errorf("it ended at %v, want %v", tables.end(), end)
	}
	if v := tables.judge(false); v.Exact != 1 || v.Over != -1 || v.Under != -1 || tables.complete() {
		t.Errorf("%+v; complete: %v", v, tables.complete())
	}
}

// TestRankings reads what rank publishes.
func TestRankings(t *testing.T) {
	encoder, err := wire.NewRankingsEncoder(wire.Sender{Source: "events", Generation: 1, Partition: 2, SourcePartitions: 4, ShardPartitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	lists := []event.Ranking{
		{ListKey: event.ListKey{Board: board, Start: workload.First}, End: workload.First + 10_000, Exact: true, Entries: []event.Entry{{Item: "post-1", Score: 9}}},
		{ListKey: event.ListKey{Board: board, By: "region", Group: event.NewGroup("eu"), Start: workload.First}, Final: true, Entries: []event.Entry{{Item: "post-2", Score: 4}, {Item: "post-1", Score: 2}}},
	}
	message, err := encoder.Append(nil, 1, event.Part{Source: 2, AsOf: 17, Last: true}, lists)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := rankings(message)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	for i, want := range []row{
		{key: workload.Key{Window: workload.First, Region: workload.Global}, part: 2, asOf: 17, table: workload.Table{Lines: []workload.Line{{Item: "post-1", Count: 9}}}},
		{key: workload.Key{Window: workload.First, Region: "eu"}, part: 2, asOf: 17, final: true, table: workload.Table{Lines: []workload.Line{{Item: "post-2", Count: 4}, {Item: "post-1", Count: 2}}}},
	} {
		got := rows[i]
		if got.key != want.key || got.part != want.part || got.asOf != want.asOf || got.final != want.final || !slices.Equal(got.table.Lines, want.table.Lines) {
			t.Errorf("list %d is read as %+v, want %+v", i, got, want)
		}
	}
	if _, err := rankings([]byte("no rankings")); err == nil {
		t.Error("anything is read as rankings")
	}
	if _, err := jsonRows([]byte("no row")); err == nil {
		t.Error("anything is read as a row")
	}
}
