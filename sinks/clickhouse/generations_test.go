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

// TestGenerations: two runs over a source with different panes, and another source, stand side by side; views show the active one, also
// from roll-ups; dropping one takes all of it, and nothing else.
func TestGenerations(t *testing.T) {
	c := config(t, "generations")
	first, conn := open(t, c)
	c.Generation, c.Boards.Pane = 2, time.Hour
	second, _ := open(t, c)
	c.Source = "test/other"
	other, _ := open(t, c)
	if _, _, ok, err := first.ActiveGeneration(t.Context()); ok || err != nil {
		t.Errorf("one is active already: %v", err)
	}
	for i, sink := range []*clickhouse.Sink{first, second, other} {
		cells := someCells(100 * (i + 1))
		for j := range cells {
			cells[j].Count = int64(i + 1)
		}
		letter := letter("late", 1)
		letter.Generation, letter.Pane = []uint32{1, 2, 2}[i], 0
		_, err := sink.Lists(0).Write(t.Context(), 1, 1, []event.Ranking{{ListKey: event.ListKey{Board: "b"}, Entries: []event.Entry{{Item: fmt.Sprint(i)}}}})
		if err := errors.Join(err, sink.WriteCells(t.Context(), cells), sink.WriteLetters(t.Context(), []clickhouse.Letter{letter})); err != nil {
			t.Fatal(err)
		}
	}
	views := []string{"item_counts", "item_counts_by_hour", "item_counts_by_day", "item_counts_by_week", "item_counts_by_month", "item_counts_by_year", "item_counts_by_month_live", "top_k", "lists", "late_counts", "dead_letter_counts"}
	rows := func(source string) (counts []uint64) {
		for _, view := range views {
			counts = append(counts, scan[uint64](t, conn, "SELECT count() FROM generations."+view+" WHERE source = '"+source+"'"))
		}
		return counts
	}
	want := func(n uint64) []uint64 { return []uint64{n, n, n, n, n, n, n, 1, 1, 1, 1} }
	if err := first.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rows("test/events"); !slices.Equal(got, make([]uint64, len(views))) {
		t.Errorf("nothing is active: %v", got)
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(first.SetActive(t.Context(), 1, 10), first.SetActive(t.Context(), 1, 10), other.SetActive(t.Context(), 2, 1))
	if got := rows("test/events"); !slices.Equal(got, want(100)) {
		t.Errorf("generation 1: %v", got)
	}
	must(second.SetActive(t.Context(), 2, 11))
	if got := rows("test/events"); !slices.Equal(got, want(200)) {
		t.Errorf("generation 2: %v", got)
	}
	if n := scan[int64](t, conn, "SELECT sum(events) FROM generations.item_counts_by_day WHERE source = 'test/events'"); n != 400 {
		t.Errorf("%d events, want 400", n)
	}
	for _, err := range []error{first.SetActive(t.Context(), 1, 10), first.SetActive(t.Context(), 1, 11), first.SetActive(t.Context(), 3, 5)} {
		if !errors.Is(err, clickhouse.ErrSuperseded) {
			t.Errorf("an earlier activation: %v", err)
		}
	}
	if generation, epoch, ok, err := first.ActiveGeneration(t.Context()); generation != 2 || epoch != 11 || !ok || err != nil {
		t.Errorf("active: %d by %d, %t, %v", generation, epoch, ok, err)
	}

	if err := first.Drop(t.Context(), 2); !errors.Is(err, clickhouse.ErrActive) {
		t.Errorf("dropping the active one: %v", err)
	}
	must(first.Drop(t.Context(), 1), first.Drop(t.Context(), 1), first.Refresh(t.Context()))
	for _, table := range []string{"cells", "rankings", "dead_letters", "refused", "rollup_hour", "rollup_day", "rollup_week", "rollup_month", "rollup_year"} {
		if n := scan[uint64](t, conn, "SELECT count() FROM generations."+table+" WHERE source = 'test/events' AND generation = 1"); n != 0 {
			t.Errorf("%s: %d rows of generation 1 are left", table, n)
		}
	}
	if got := rows("test/events"); !slices.Equal(got, want(200)) {
		t.Errorf("generation 2 after the drop of 1: %v", got)
	}
	if got := rows("test/other"); !slices.Equal(got, want(300)) {
		t.Errorf("the other source after the drop: %v", got)
	}
	// What was dropped can be written anew.
	must(first.WriteCells(t.Context(), someCells(100)))
	if n := scan[uint64](t, conn, "SELECT count() FROM generations.cells FINAL WHERE source = 'test/events' AND generation = 1"); n != 100 {
		t.Errorf("written anew: %d rows, want 100", n)
	}
}

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

// TestLists: readers see the newest revision of a list, whole; a shorter or an empty one hides the longer one before it.
func TestLists(t *testing.T) {
	random := seeded(t)
	c := config(t, "listing")
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	writer := sink.Lists(3)
	newest := map[event.ListKey]event.Ranking{}
	var all []event.Ranking
	for range 500 {
		by := []string{"", "region", "category", "region,category"}[random.IntN(4)]
		key := event.ListKey{Board: fmt.Sprint("b", random.IntN(2)), By: by, Start: int64(random.IntN(3)) * 3_600_000}
		switch by {
		case "region", "category":
			key.Group = event.NewGroup([]string{"eu", "us", ""}[random.IntN(3)])
		case "region,category":
			key.Group = event.NewGroup([]string{"eu", ""}[random.IntN(2)], []string{"x", ""}[random.IntN(2)])
		}
		list := event.Ranking{ListKey: key, End: key.Start + 3_600_000, Revision: random.Int64N(1 << 40), Final: random.IntN(2) == 0, Exact: true, Duplicates: random.Int64N(5)}
		for range random.IntN(6) {
			list.Entries = append(list.Entries, event.Entry{Item: fmt.Sprint("i", random.IntN(1000)), Score: float64(random.IntN(100)) / 4})
		}
		slices.SortFunc(list.Entries, event.Top.Compare)
		if old, ok := newest[key]; !ok || old.Revision < list.Revision {
			newest[key] = list
		}
		all = append(all, list)
	}
	for len(all) > 0 {
		n := min(len(all), 1+random.IntN(100))
		for range 2 {
			if behind, err := writer.Write(t.Context(), 1, event.NoTime, all[:n]); behind || err != nil {
				t.Fatal(behind, err)
			}
		}
		all = all[n:]
	}
	writer.Filled()
	var entries, heads []string
	for key, list := range newest {
		by := key.By
		if by == "" {
			by = "global"
		}
		var region, category string
		for i, name := range strings.FieldsFunc(key.By, func(r rune) bool { return r == ',' }) {
			if value := key.Group.Values()[i]; name == "region" {
				region = value
			} else {
				category = value
			}
		}
		head := fmt.Sprint(key.Board, " ", by, " ", key.Start, " ", list.End, " ", region, "|", category, " ", list.Final, " ", list.Revision)
		heads = append(heads, fmt.Sprint(head, " ", len(list.Entries), " ", list.Duplicates))
		for i, e := range list.Entries {
			entries = append(entries, fmt.Sprint(head, " ", i+1, " ", e.Item, " ", e.Score))
		}
	}
	slices.Sort(entries)
	slices.Sort(heads)
	const head = "SELECT format('{} {} {} {} {}|{} {} {} ', board, grouped_by, toString(toUnixTimestamp64Milli(window_start)), toString(toUnixTimestamp64Milli(window_end)), region, dimensions['category'], toString(final), toString(revision))"
	same(t, "top_k", column(t, conn, head+" || format('{} {} {}', toString(rank), item_id, toString(score)) FROM listing.top_k"), entries)
	same(t, "lists", column(t, conn, head+" || format('{} {}', toString(entries), toString(duplicates)) FROM listing.lists"), heads)
}
