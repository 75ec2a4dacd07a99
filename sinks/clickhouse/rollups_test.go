package clickhouse_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/clickhouse"
)

// TestRollUps: late corrections come out right at every level, whether or not a refresh has seen the interim rows, and a refresh leaves periods
// alone that nothing was written in.
func TestRollUps(t *testing.T) {
	random := seeded(t)
	c := config(t, "rolling")
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	var cells []clickhouse.Cell
	at := time.Date(2023, 12, 25, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i := range 3000 {
		cells = append(cells, clickhouse.Cell{
			Partition: int32(i % 2), Pane: at + random.Int64N(14*24*60)*60_000, Group: event.NewGroup(fmt.Sprint("r", i%3), fmt.Sprint("c", i%2)), Item: fmt.Sprint(i % 50),
			Count: 1 + random.Int64N(5), Sum: random.Int64N(100) - 50, Min: -1, Max: 1, Duplicates: random.Int64N(2), AsOf: random.Int64N(100),
		})
	}
	slices.SortFunc(cells, func(a, b clickhouse.Cell) int { return int(a.AsOf - b.AsOf) })
	for round := range 3 {
		var part []clickhouse.Cell
		for i := range cells {
			if round == 0 || random.IntN(10) == 0 { // corrections, of the same cells
				cells[i].AsOf += 1000
				cells[i].Count += int64(round)
				part = append(part, cells[i])
			}
		}
		if err := sink.WriteCells(t.Context(), part); err != nil {
			t.Fatal(err)
		}
		if err := sink.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, period := range []string{"hour", "day", "week", "month", "year"} {
			query := "SELECT toString(tuple(*)) FROM rolling.item_counts_by_" + period
			same(t, fmt.Sprintf("round %d: by %s", round, period), column(t, conn, query), column(t, conn, query+"_live"))
		}
	}
	if n := scan[int64](t, conn, "SELECT sum(events) FROM rolling.item_counts_by_year"); n != scan[int64](t, conn, "SELECT sum(events) FROM rolling.item_counts") {
		t.Errorf("%d events by year", n)
	}
	if n := scan[uint64](t, conn, "SELECT uniq(year) FROM rolling.item_counts_by_year"); n != 2 {
		t.Errorf("%d years, want 2", n)
	}
	mustExec(t, conn, "ALTER TABLE rolling.cells UPDATE written_at = written_at - INTERVAL 1 DAY WHERE 1 SETTINGS mutations_sync = 2")
	before := scan[time.Time](t, conn, "SELECT max(refreshed_at) FROM rolling.rollup_hour")
	if err := sink.WriteCells(t.Context(), []clickhouse.Cell{{Pane: at, Group: event.NewGroup("r0", "c0"), Item: "new", Count: 1, AsOf: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := scan[uint64](t, conn, "SELECT uniq(hour) FROM rolling.rollup_hour WHERE refreshed_at > {before:DateTime64(3, 'UTC')}", named("before", before.UTC().Format("2006-01-02 15:04:05.000"))); n != 1 {
		t.Errorf("%d hours were made anew, want the one that something was written in", n)
	}
}

// TestRollUpsStay: roll-ups may stay longer than their cells: what merges have taken from the cells is not taken from them, also when
// a correction comes afterwards.
func TestRollUpsStay(t *testing.T) {
	c := config(t, "staying")
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-10 * 24 * time.Hour).Truncate(time.Hour).UnixMilli()
	cells := someCells(2)
	for i := range cells {
		cells[i].Pane = old
	}
	write := func(cells []clickhouse.Cell) {
		t.Helper()
		if err := errors.Join(sink.WriteCells(t.Context(), cells), sink.Refresh(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	write(cells)
	c.TTL.Cells = 48 * time.Hour
	open(t, c)
	mustExec(t, conn, "OPTIMIZE TABLE staying.cells FINAL")
	if n := scan[uint64](t, conn, "SELECT count() FROM staying.cells"); n != 0 {
		t.Errorf("%d cells are left", n)
	}
	cells[0].Count, cells[0].AsOf = 5, 1000
	young := someCells(1)
	young[0].Pane = time.Now().Add(-time.Hour).Truncate(time.Hour).UnixMilli()
	write([]clickhouse.Cell{cells[0], young[0]})
	for period, want := range map[string]int64{"hour": 3, "day": 3, "year": 3} {
		if n := scan[int64](t, conn, "SELECT sum(events) FROM staying.item_counts_by_"+period); n != want {
			t.Errorf("by %s: %d events, want %d", period, n, want)
		}
	}
}

// TestPruning: views read what they are asked for, not the whole table.
func TestPruning(t *testing.T) {
	c := config(t, "pruning")
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	const hours, items = 24, 5000
	for generation := range 3 {
		mustExec(t, conn, fmt.Sprintf(`INSERT INTO pruning.cells (source, generation, pane_start, region, item_id, count)
			SELECT 'test/events', %d, toDateTime64('2023-11-15 00:00:00', 3, 'UTC') + INTERVAL intDiv(number, %d) HOUR, 'eu', toString(number %% %d), 1 FROM numbers(%d)`, generation, items, items, hours*items))
	}
	if err := sink.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "OPTIMIZE TABLE pruning.cells FINAL", "OPTIMIZE TABLE pruning.rollup_hour FINAL")
	for query, most := range map[string]uint64{
		"SELECT sum(events) FROM pruning.item_counts": hours * items,
		"SELECT sum(events) FROM pruning.item_counts WHERE pane_start >= '2023-11-15 10:00:00' AND pane_start < '2023-11-15 11:00:00'": items,
		"SELECT item_id, sum(events) FROM pruning.item_counts_by_hour WHERE hour = '2023-11-15 10:00:00' GROUP BY 1":                   items,
	} {
		rows := uint64(0)
		for _, line := range get(t, "EXPLAIN ESTIMATE "+query+" FORMAT TSVRaw") {
			var n uint64
			if fields := strings.Split(line, "\t"); len(fields) > 3 && fields[1] != "activations" {
				if _, err := fmt.Sscan(fields[3], &n); err != nil {
					t.Fatal(err)
				}
				rows += n
			}
		}
		if rows == 0 || rows > most+2*8192 {
			t.Errorf("%s reads %d rows, want about %d", query, rows, most)
		}
	}
}
