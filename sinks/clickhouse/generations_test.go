package clickhouse_test

import (
	"errors"
	"fmt"
	"slices"
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
