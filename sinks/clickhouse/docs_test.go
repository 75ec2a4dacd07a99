package clickhouse_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// fortnight is the Wikipedia data set of 12 September 2015, and ever smaller parts of it on the 13 days before.
func fortnight(t *testing.T) *dataSet {
	t.Helper()
	facts, err := sim.Facts("wikipedia-edits")
	if err != nil {
		t.Fatal(err)
	}
	var all []sim.Fact
	for back := 13; back >= 0; back-- {
		for i, fact := range facts {
			if i%(back+1) == 0 {
				fact.EventID += fmt.Sprint("-", back)
				fact.Timestamp = fact.Timestamp.AddDate(0, 0, -back)
				all = append(all, fact)
			}
		}
	}
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.DedupSegment = 10*time.Minute, 2*time.Minute, time.Minute
	return decided(s, sim.Arrive(5, all, sim.Arrival{
		Partitions: 3, DelayMean: 5 * time.Second, DelayMax: 2 * time.Minute, Duplicates: .02, Late: .01, Future: .01, Malformed: .01, Settings: s,
	}))
}

// TestDocs runs the queries of docs/clickhouse.md, and compares the answers with what Go makes of the oracle's cells.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and its own code is the oracle")
	}
	text, err := os.ReadFile("../../docs/clickhouse.md")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, match := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		queries = append(queries, match[1])
	}
	d := fortnight(t)
	fillDocs(t, d)
	answers := docAnswers{sim.MergeCells(d.cells...), d}.all()
	if len(queries) != len(answers) {
		t.Fatalf("%d queries in the docs, %d answers", len(queries), len(answers))
	}
	for i, query := range queries {
		got := get(t, query+" FORMAT TSVRaw")
		if len(got) == 0 {
			t.Errorf("query %d has an empty answer", i+1)
		}
		same(t, fmt.Sprintf("query %d", i+1), got, answers[i])
	}
}

// fillDocs writes it all to the database millrank.
func fillDocs(t *testing.T, d *dataSet) {
	t.Helper()
	c := config(t, "millrank")
	c.Dimensions, c.Boards.Dimensions, c.Boards.Pane = c.Dimensions[:1], c.Dimensions[:1], d.settings.Pane
	sink, _ := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := sink.WriteCells(t.Context(), d.rows()); err != nil {
		t.Fatal(err)
	}
	if err := sink.WriteLetters(t.Context(), d.letters()); err != nil {
		t.Fatal(err)
	}
	for by, dims := range map[string][]int{"": nil, "region": {0}} {
		var lists []event.Ranking
		for _, l := range d.daily(dims) {
			lists = append(lists, event.Ranking{
				ListKey: event.ListKey{Board: "daily", By: by, Group: l.Group, Start: l.Start}, End: l.End, Entries: l.Entries, Final: true, Exact: true, Revision: 7,
			})
		}
		if _, err := sink.Lists(0).Write(t.Context(), 7, 0, lists); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (d *dataSet) daily(dims []int) []sim.List {
	return sim.Rankings(d.settings.Pane, sim.Board{Size: 24 * time.Hour, Slide: 24 * time.Hour, Dims: dims, K: 100}, d.cells...)
}

// docAnswers computes what the docs' queries are to say.
type docAnswers struct {
	cells sim.Cells
	set   *dataSet
}

// count is how often something was counted, by keys that are joined by tabs.
type count struct {
	key string
	n   int64
}

// counts adds events up by a key; cells for which it is empty are left out.
func (a docAnswers) counts(key func(at time.Time, region, item string) string) map[string]int64 {
	sums := map[string]int64{}
	for cell, totals := range a.cells {
		if k := key(time.UnixMilli(cell.Pane).UTC(), cell.Group.Values()[0], cell.Item); k != "" {
			sums[k] += totals.Count
		}
	}
	return sums
}

const theDay = "2015-09-12"

func day(at time.Time) string { return at.Format(time.DateOnly) }

// best returns the first k of each head, the part of the key before the last tab: most first, then by item descending.
func best(sums map[string]int64, k int) (lines []string) {
	lists := map[string][]count{}
	for key, n := range sums {
		head, item := key[:strings.LastIndexByte(key, '\t')], key[strings.LastIndexByte(key, '\t')+1:]
		lists[head] = append(lists[head], count{item, n})
	}
	for _, head := range slices.Sorted(maps.Keys(lists)) {
		list := lists[head]
		slices.SortFunc(list, func(a, b count) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(b.key, a.key)) })
		for _, c := range list[:min(k, len(list))] {
			lines = append(lines, fmt.Sprintf("%s\t%s\t%d", head, c.key, c.n))
		}
	}
	return lines
}

func (a docAnswers) all() [][]string {
	perRegion := a.counts(func(at time.Time, region, item string) string {
		if day(at) != theDay {
			return ""
		}
		return region + "\t" + item
	})
	perHour := a.counts(func(at time.Time, region, item string) string {
		if day(at) != theDay || region != "en.wikipedia" {
			return ""
		}
		return at.Truncate(time.Hour).Format(time.DateTime) + "\t" + item
	})
	return [][]string{
		best(perRegion, 10), best(perHour, 10), a.leaderboard(), a.trend(), a.shares(), a.gains(), a.enteredAndLeft(), a.lateAndDuplicates(), a.letters(), a.half(),
	}
}

func (a docAnswers) leaderboard() (lines []string) {
	for _, l := range a.set.daily([]int{0}) {
		if l.Group == event.NewGroup("de.wikipedia") && day(time.UnixMilli(l.Start).UTC()) == theDay {
			for i, e := range l.Entries {
				lines = append(lines, fmt.Sprintf("%d\t%s\t%v\ttrue", i+1, e.Item, e.Score))
			}
		}
	}
	return lines
}

func (a docAnswers) trend() (lines []string) {
	sums := a.counts(func(at time.Time, _, item string) string {
		if item != "Jeremy Corbyn" {
			return ""
		}
		return day(at)
	})
	for at := time.Date(2015, 8, 30, 0, 0, 0, 0, time.UTC); day(at) <= theDay; at = at.AddDate(0, 0, 1) {
		lines = append(lines, fmt.Sprintf("%s\t%d", day(at), sums[day(at)]))
	}
	return lines
}

func (a docAnswers) shares() (lines []string) {
	var all []count
	total := int64(0)
	for region, n := range a.counts(func(at time.Time, region, _ string) string {
		if day(at) != theDay {
			return ""
		}
		return region
	}) {
		all, total = append(all, count{region, n}), total+n
	}
	slices.SortFunc(all, func(a, b count) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.key, b.key)) })
	for _, c := range all[:10] {
		percent := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*float64(c.n)/float64(total)), "0"), ".")
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s", c.key, c.n, percent))
	}
	return lines
}

func (a docAnswers) gains() (lines []string) {
	week := func(first, last string) map[string]int64 {
		return a.counts(func(at time.Time, _, item string) string {
			if day(at) < first || day(at) > last {
				return ""
			}
			return item
		})
	}
	this, last := week("2015-09-07", "2015-09-13"), week("2015-08-31", "2015-09-06")
	gains := map[string]int64{}
	for item, n := range this {
		gains["\t"+item] = n - last[item]
	}
	for _, line := range best(gains, 10) {
		item := strings.Split(line, "\t")[1]
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d", item, this[item], last[item]))
	}
	return lines
}

func (a docAnswers) enteredAndLeft() (lines []string) {
	ranks := map[string]*[2]int{}
	for _, l := range a.set.daily(nil) {
		which := slices.Index([]string{"2015-09-11", theDay}, day(time.UnixMilli(l.Start).UTC()))
		for i, e := range l.Entries {
			if which < 0 || i == 10 {
				break
			}
			if ranks[e.Item] == nil {
				ranks[e.Item] = &[2]int{}
			}
			ranks[e.Item][which] = i + 1
		}
	}
	items := slices.SortedFunc(maps.Keys(ranks), func(a, b string) int {
		return cmp.Or(cmp.Compare(ranks[a][0], ranks[b][0]), cmp.Compare(ranks[a][1], ranks[b][1]))
	})
	for _, item := range items {
		if r := ranks[item]; r[0] == 0 || r[1] == 0 {
			lines = append(lines, fmt.Sprintf("%s\t%d\t%d", item, r[0], r[1]))
		}
	}
	return lines
}

func (a docAnswers) lateAndDuplicates() (lines []string) {
	sums := map[string]*[3]int64{}
	of := func(region string) *[3]int64 {
		if sums[region] == nil {
			sums[region] = &[3]int64{}
		}
		return sums[region]
	}
	for cell, totals := range a.cells {
		if day(time.UnixMilli(cell.Pane).UTC()) == theDay {
			s := of(cell.Group.Values()[0])
			s[0], s[1] = s[0]+totals.Count, s[1]+totals.Duplicates
		}
	}
	for _, l := range a.set.letters() {
		if l.Reason == "late" && day(time.UnixMilli(l.Pane).UTC()) == theDay {
			of(l.Group.Values()[0])[2]++
		}
	}
	for _, region := range slices.Sorted(maps.Keys(sums)) {
		s := sums[region]
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d\t%d", region, s[0], s[1], s[2]))
	}
	return lines
}

func (a docAnswers) letters() (lines []string) {
	sums := map[string]int64{}
	for _, l := range a.set.letters() {
		if at := time.UnixMilli(l.Timestamp).UTC(); day(at) == theDay {
			sums[at.Truncate(time.Hour).Format(time.DateTime)+"\t"+l.Reason]++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		lines = append(lines, fmt.Sprintf("%s\t%d", key, sums[key]))
	}
	return lines
}

func (a docAnswers) half() []string {
	sums := slices.Collect(maps.Values(a.counts(func(at time.Time, _, item string) string {
		if at.Month() != time.September {
			return ""
		}
		return item
	})))
	slices.SortFunc(sums, func(a, b int64) int { return cmp.Compare(b, a) })
	total, before, items := int64(0), int64(0), 0
	for _, n := range sums {
		total += n
	}
	for _, n := range sums {
		if 2*before < total {
			items++
		}
		before += n
	}
	return []string{fmt.Sprintf("%d\t%d", items, len(sums))}
}
