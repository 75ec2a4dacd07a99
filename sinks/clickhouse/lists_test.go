package clickhouse_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sinks/clickhouse"
)

var _ handlers.ListWriter = (*clickhouse.Lists)(nil)

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
