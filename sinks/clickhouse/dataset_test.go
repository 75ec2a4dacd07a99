package clickhouse_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/clickhouse"
)

// dataSet is a data set with injected trouble, and what the oracle makes of it.
type dataSet struct {
	settings operators.Settings
	logs     [][]sim.Record
	outcomes [][]sim.Outcome
	cells    []sim.Cells // by source partition
}

func loadDataSet(tb testing.TB, name string, pane time.Duration) *dataSet {
	tb.Helper()
	facts, err := sim.Facts(name)
	if err != nil {
		tb.Fatal(err)
	}
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.DedupSegment = pane, 2*time.Minute, time.Minute
	return decided(s, sim.Arrive(11, facts, sim.Arrival{
		Partitions: 3, DelayMean: 5 * time.Second, DelayMax: 2 * time.Minute, Duplicates: .02, Late: .01, Future: .01, Malformed: .01, Settings: s,
	}))
}

func decided(s operators.Settings, logs [][]sim.Record) *dataSet {
	d := &dataSet{settings: s, logs: logs}
	for _, log := range logs {
		outcomes := sim.Decide(s, log)
		d.outcomes = append(d.outcomes, outcomes)
		d.cells = append(d.cells, sim.CellsOf(s, log, outcomes))
	}
	return d
}

// rows returns the cells as rows, in their order.
func (d *dataSet) rows() []clickhouse.Cell {
	var rows []clickhouse.Cell
	for partition, cells := range d.cells {
		for _, key := range cells.Keys() {
			t := cells[key]
			rows = append(rows, clickhouse.Cell{
				Partition: int32(partition), Pane: key.Pane, Group: key.Group, Item: key.Item,
				Count: t.Count, Sum: t.Sum, Min: t.Min, Max: t.Max, Duplicates: t.Duplicates, AsOf: 1_000_000,
			})
		}
	}
	return rows
}

// interim returns what the writer has said of some cells before: less, as of earlier offsets.
func interim(random *rand.Rand, rows []clickhouse.Cell) []clickhouse.Cell {
	var older []clickhouse.Cell
	for _, r := range rows {
		for random.IntN(3) == 0 {
			r.AsOf -= 1 + random.Int64N(1000)
			r.Count, r.Sum = random.Int64N(r.Count+1), random.Int64N(1000)
			older = append(older, r)
		}
	}
	return older
}

// letters returns the oracle's dead letters as rows.
func (d *dataSet) letters() []clickhouse.Letter {
	var letters []clickhouse.Letter
	for partition, log := range d.logs {
		for i, o := range d.outcomes[partition] {
			if !o.Decision.DeadLetter() {
				continue
			}
			r := log[i]
			l := clickhouse.Letter{
				Generation: 1, Reason: o.Decision.String(), Topic: "events", Partition: int32(partition), Offset: r.Offset, Timestamp: r.Time,
				EventTime: event.NoTime, Watermark: event.NoTime, Pane: event.NoTime, Lateness: event.NoTime,
			}
			switch o.Decision {
			case event.Late:
				l.EventTime, l.Pane, l.Lateness, l.Group, l.Item = r.At, o.Pane, o.Lateness, r.Group(), r.Item
			case event.Future:
				l.EventTime = r.At
			default:
				l.Error = "unreadable"
			}
			letters = append(letters, l)
		}
	}
	return letters
}

// itemCounts is what the view item_counts is to hold, as lines.
func (d *dataSet) itemCounts() []string {
	var want []string
	for key, t := range sim.MergeCells(d.cells...) {
		want = append(want, fmt.Sprintf("%d %s %s %d %d %d %d %d", key.Pane, strings.Join(key.Group.Values(), "|"), key.Item, t.Count, t.Sum, t.Min, t.Max, t.Duplicates))
	}
	slices.Sort(want)
	return want
}

const itemCountsQuery = "SELECT format('{} {} {} {} {} {} {} {}', toString(toUnixTimestamp64Milli(pane_start)), region, item_id, toString(events), toString(value_sum), toString(value_min), toString(value_max), toString(duplicates)) FROM %s.item_counts"

func itemCounts(tb testing.TB, conn driver.Conn, database string) []string {
	tb.Helper()
	return column(tb, conn, fmt.Sprintf(itemCountsQuery, database))
}

// column returns the only column of an answer, sorted.
func column(tb testing.TB, conn driver.Conn, query string) []string {
	tb.Helper()
	rows, err := conn.Query(tb.Context(), query)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			tb.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// same reports the first difference of two sorted lists.
func same(tb testing.TB, what string, got, want []string) {
	tb.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			tb.Fatalf("%s: %d lines, want %d; first missing: %s", what, len(got), len(want), want[i])
		case i >= len(want):
			tb.Fatalf("%s: %d lines, want %d; first too much: %s", what, len(got), len(want), got[i])
		case got[i] != want[i]:
			tb.Fatalf("%s: line %d of %d is\n%s\nwant\n%s", what, i, len(got), got[i], want[i])
		}
	}
}

// TestDataSets writes both data sets' cells: in any order, older versions before and after, twice, while merges stand still. The views must
// show what the oracle says, and the lists that are added up from them what the data sets' own batch answers say.
func TestDataSets(t *testing.T) {
	for name, measures := range map[string][]string{"wikipedia-edits": {"count"}, "online-retail": {"count", "sum"}} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "wikipedia-edits" {
				t.Skip("it is long")
			}
			random := seeded(t)
			d := loadDataSet(t, name, time.Hour)
			database := strings.ReplaceAll(name, "-", "_")
			c := config(t, database)
			c.Dimensions, c.Boards.Dimensions, c.Boards.Pane = c.Dimensions[:1], c.Dimensions[:1], time.Hour
			if name == "wikipedia-edits" {
				c.BatchRows = 10_000 // many parts; the other one has a year of months, each with parts of its own
			}
			sink, conn := open(t, c)
			mustExec(t, conn, "SYSTEM STOP MERGES "+database+".cells")
			if err := sink.SetActive(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
			rows := d.rows()
			again := slices.Clone(rows)
			random.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			all := slices.Concat(rows, interim(random, again[:len(again)/3]), again[:len(again)/3])
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			if err := sink.WriteCells(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			same(t, "item_counts", itemCounts(t, conn, database), d.itemCounts())
			if n := scan[uint64](t, conn, "SELECT count() FROM "+database+".cells"); n <= uint64(len(rows)) {
				t.Errorf("%d rows for %d cells; the test is to have several versions of some", n, len(rows))
			}
			if err := sink.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, measure := range measures {
				for window, view := range map[string]string{"1h": "hour", "1d": "day"} {
					expected, err := sim.Expected(name, measure, window)
					if err != nil {
						t.Fatal(err)
					}
					compareExpected(t, database, measure, view, "", expected)
					if name == "wikipedia-edits" {
						compareExpected(t, database, measure, view, "_live", expected)
					}
				}
			}
			mustExec(t, conn, "SYSTEM START MERGES "+database+".cells", "OPTIMIZE TABLE "+database+".cells FINAL")
			same(t, "item_counts after merges", get(t, fmt.Sprintf(itemCountsQuery, database)+" ORDER BY 1 FORMAT TSVRaw"), d.itemCounts())

			letters := d.letters()
			for range 2 {
				random.Shuffle(len(letters), func(i, j int) { letters[i], letters[j] = letters[j], letters[i] })
				if err := sink.WriteLetters(t.Context(), letters); err != nil {
					t.Fatal(err)
				}
			}
			compareLetters(t, conn, database, letters)
			if stats := sink.Stats(); stats.Cells != int64(len(all)) || stats.Letters != int64(2*len(letters)) || stats.Inserts < int64(len(all)/100_000) || stats.Failed+stats.Refused+stats.Narrowed != 0 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// compareExpected compares the best ten of each period, in their order, with a data set's batch answers.
func compareExpected(t *testing.T, database, measure, period, kind string, expected []sim.ExpectedList) {
	t.Helper()
	score := map[string]string{"count": "events", "sum": "value_sum"}[measure]
	from := fmt.Sprintf("%s.item_counts_by_%s%s", database, period, kind)
	slices.SortFunc(expected, func(a, b sim.ExpectedList) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(region(a), region(b)))
	})
	for group, by := range map[string]string{"all regions": "'all regions'", "by region": "region"} {
		got := get(t, fmt.Sprintf("SELECT toUnixTimestamp(toDateTime(%s, 'UTC')) AS start, %s AS list, item_id, sum(%s) AS score FROM %s GROUP BY ALL "+
			"ORDER BY start, list, score DESC, item_id DESC LIMIT 10 BY start, list FORMAT TSVRaw", period, by, score, from))
		var want []string
		for _, list := range expected {
			if (list.Region == nil) != (group == "all regions") {
				continue
			}
			for _, e := range list.Top {
				want = append(want, fmt.Sprintf("%d\t%s\t%s\t%d", list.Start.Unix(), region(list), e.Item, e.Score))
			}
		}
		same(t, from+" by "+measure+", "+group, got, want)
	}
}

func region(l sim.ExpectedList) string {
	if l.Region == nil {
		return "all regions"
	}
	return *l.Region
}

func compareLetters(t *testing.T, conn driver.Conn, database string, letters []clickhouse.Letter) {
	t.Helper()
	late, reasons := map[string]int{}, map[string]int{}
	for _, l := range letters {
		reasons[fmt.Sprintf("%s %s", l.Reason, time.UnixMilli(l.Timestamp).UTC().Format("2006-01-02 15"))]++
		if l.Reason == "late" {
			late[fmt.Sprintf("%d %s %s", l.Pane, l.Group.Values()[0], l.Item)]++
		}
	}
	lines := func(counts map[string]int) []string {
		var all []string
		for key := range maps.Keys(counts) {
			all = append(all, fmt.Sprint(key, " ", counts[key]))
		}
		slices.Sort(all)
		return all
	}
	same(t, "late_counts", column(t, conn, "SELECT format('{} {} {} {}', toString(toUnixTimestamp64Milli(pane_start)), region, item_id, toString(late)) FROM "+database+".late_counts"), lines(late))
	same(t, "dead_letter_counts", column(t, conn, "SELECT format('{} {} {}', reason, formatDateTime(hour, '%Y-%m-%d %H'), toString(events)) FROM "+database+".dead_letter_counts"), lines(reasons))
}
