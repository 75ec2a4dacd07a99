package clickhouse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/clickhouse"
)

func someCells(n int) []clickhouse.Cell {
	cells := make([]clickhouse.Cell, n)
	for i := range cells {
		cells[i] = clickhouse.Cell{Pane: 1_700_000_040_000, Group: event.NewGroup("eu", fmt.Sprint("c", i%3)), Item: fmt.Sprint("item-", i), Count: 1, Sum: 1, Min: 1, Max: 1, AsOf: int64(i)}
	}
	return cells
}

// TestRefused: rows that the server doesn't take are set aside, and the others go in, in however many inserts.
func TestRefused(t *testing.T) {
	random := seeded(t)
	c := config(t, "refusing")
	c.BatchRows = 500
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn,
		"ALTER TABLE refusing.cells ADD CONSTRAINT no_bad CHECK item_id NOT LIKE 'bad%'", // code 469
		"ALTER TABLE refusing.rankings ADD CONSTRAINT no_bad CHECK board != 'bad'",
		"ALTER TABLE refusing.dead_letters ADD CONSTRAINT no_bad CHECK reason != 'bad'")
	cells := someCells(2000)
	var bad []string
	for i := range cells {
		if random.IntN(100) == 0 {
			cells[i].Item = fmt.Sprintf("bad \"'\\ %d", i)
			bad = append(bad, cells[i].Item)
		}
	}
	cells[7].Group, cells[7].Item = event.NewGroup("eu"), "bad group" // the sink itself refuses this one
	bad = slices.DeleteFunc(bad, func(item string) bool { return strings.HasSuffix(item, " 7") })
	bad = append(bad, "bad group")
	for range 2 {
		if err := sink.WriteCells(t.Context(), cells); err != nil {
			t.Fatal(err)
		}
	}
	if n := scan[uint64](t, conn, "SELECT count() FROM refusing.item_counts"); n != uint64(len(cells)-len(bad)) {
		t.Errorf("%d cells, want %d", n, len(cells)-len(bad))
	}
	var got []string
	for _, text := range column(t, conn, "SELECT row_json FROM refusing.refused FINAL WHERE table = 'cells' AND (error LIKE '%no_bad%' OR error LIKE '%dimensions%')") {
		var row struct {
			Item string `json:"item_id"`
		}
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Error(err)
		}
		got = append(got, row.Item)
	}
	slices.Sort(got)
	slices.Sort(bad)
	same(t, "refused", got, bad)
	if stats := sink.Stats(); stats.Refused != int64(2*len(bad)) || stats.Cells != int64(2*(len(cells)-len(bad))) || stats.Narrowed == 0 {
		t.Errorf("%+v", stats)
	}

	if _, err := sink.Lists(0).Write(t.Context(), 1, 5, []event.Ranking{
		{ListKey: event.ListKey{Board: "bad"}, MaxError: math.Inf(1), Entries: []event.Entry{{Item: "a", Score: 1}}}, {ListKey: event.ListKey{Board: "good"}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := sink.WriteLetters(t.Context(), []clickhouse.Letter{letter("bad", 1), letter("good", 2)}); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]uint64{"rankings": 1, "dead_letters": 1, "refused FINAL WHERE table = 'rankings'": 1, "refused FINAL WHERE table = 'dead_letters'": 1} {
		if n := scan[uint64](t, conn, "SELECT count() FROM refusing."+from); n != want {
			t.Errorf("%s: %d rows, want %d", from, n, want)
		}
	}

	// Once the cause is mended, they go in as they are.
	mustExec(t, conn, "ALTER TABLE refusing.cells DROP CONSTRAINT no_bad", "ALTER TABLE refusing.rankings DROP CONSTRAINT no_bad", "ALTER TABLE refusing.dead_letters DROP CONSTRAINT no_bad")
	for _, table := range []string{"cells", "rankings", "dead_letters"} {
		text := strings.Join(column(t, conn, "SELECT row_json FROM refusing.refused FINAL WHERE table = '"+table+"'"), "\n")
		mustExec(t, conn, "INSERT INTO refusing."+table+" FORMAT JSONEachRow\n"+text)
	}
	if n := scan[uint64](t, conn, "SELECT count() FROM refusing.item_counts"); n != uint64(len(cells)) {
		t.Errorf("%d cells after mending, want %d", n, len(cells))
	}
	if n := scan[uint64](t, conn, "SELECT countIf(max_error = inf AND items = ['a']) FROM refusing.rankings"); n != 1 {
		t.Errorf("the refused list did not go in as it was")
	}
}

func letter(reason string, offset int64) clickhouse.Letter {
	return clickhouse.Letter{
		Generation: 1, Reason: reason, Topic: "events", Offset: offset, Timestamp: 1_700_000_000_000,
		EventTime: event.NoTime, Watermark: event.NoTime, Pane: event.NoTime, Lateness: event.NoTime,
	}
}

// TestRefusedAll: where everything is refused for a reason that may be the server's own, nothing is set aside, and it doesn't take long to find out;
// where the rows are at fault, a flood of them is set aside without looking at each one.
func TestRefusedAll(t *testing.T) {
	c := config(t, "refusing_all")
	_, conn := open(t, c)
	cells := someCells(20_000)
	// 43 is ILLEGAL_TYPE_OF_ARGUMENT, which no row is known to cause.
	mustExec(t, conn,
		"CREATE TABLE refusing_all.copied (item_id String) ENGINE = MergeTree ORDER BY item_id",
		"CREATE MATERIALIZED VIEW refusing_all.copying TO refusing_all.copied AS SELECT item_id FROM refusing_all.cells WHERE NOT throwIf(item_id LIKE 'item-1%' OR item_id = 'all', 'not you', toInt32(43)) SETTINGS allow_custom_error_code_in_throwif = 1")
	c.Settings = map[string]string{"allow_custom_error_code_in_throwif": "1"}
	sink, _ := open(t, c)
	for i := range cells {
		cells[i].Item = "all"
	}
	err := sink.WriteCells(t.Context(), cells)
	if err == nil || errors.Is(err, clickhouse.ErrBusy) || sink.Stats().Refused != 0 || sink.Stats().Failed > 100 {
		t.Errorf("all refused for a reason unknown: %v, %+v", err, sink.Stats())
	}
	// Where others are taken, it is the row.
	cells = someCells(40)
	if err := sink.WriteCells(t.Context(), cells); err != nil || sink.Stats().Refused != 11 || sink.Stats().Cells != 29 {
		t.Errorf("some refused for a reason unknown: %v, %+v", err, sink.Stats())
	}
	mustExec(t, conn, "DROP VIEW refusing_all.copying", "ALTER TABLE refusing_all.cells ADD CONSTRAINT none CHECK item_id = ''")
	sink, _ = open(t, c)
	began := time.Now()
	cells = someCells(1500)
	if err := sink.WriteCells(t.Context(), cells); err != nil || sink.Stats().Refused != int64(len(cells)) || sink.Stats().Failed > 600 {
		t.Errorf("all refused: %v, %+v", err, sink.Stats())
	}
	t.Logf("%v to set %d rows aside", time.Since(began), len(cells))
}
