package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Widths of parts of a board, in characters.
const (
	topItemWidth = 48
	topBarWidth  = 30
)

// topText writes a list for people. before is the ranks that items had, nil where that isn't shown; width is the terminal's, 0 for any.
func (a *app) topText(s *topShown, before map[string]int, width int) string {
	var b strings.Builder
	state := "interim: it is still counted"
	if s.Final {
		state = "final"
	}
	title := fmt.Sprintf("%s: %s by %s, %s", s.Board, s.Order, s.Measure, topOfGroup(s.By, s.Group))
	if terminal(a.out) {
		title = text.Bold.Sprint(title)
	}
	fmt.Fprintf(&b, "%s\n%s to %s UTC, %s\n\n", title, shortWindow(s.Start), shortWindow(s.End), state)
	if len(s.Items) == 0 {
		fmt.Fprintln(&b, "The list is empty: no item has been counted, or none reaches min_count.")
	}
	bar := topBarWidth
	if width > 0 {
		bar = min(bar, max(5, width-topItemWidth-30))
	}
	t := a.table("", "item", s.Measure, "")
	t.SetOutputMirror(nil)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, Align: text.AlignRight}, {Number: 3, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	greatest := 0.0
	for _, item := range s.Items {
		greatest = max(greatest, item.Score)
	}
	for _, item := range s.Items {
		line := topBar(item.Score, greatest, bar)
		if terminal(a.out) {
			line = text.FgBlue.Sprint(line)
		}
		row := table.Row{item.Rank, text.Trim(printable(item.Item), topItemWidth), humanize.Commaf(item.Score), line}
		if before != nil {
			row[0] = fmt.Sprintf("%s %d", a.topMoved(item, before), item.Rank)
		}
		t.AppendRow(row)
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", t.Render(), wrapped(topFacts(s), width))
	return b.String()
}

// topMoved marks an item whose rank has changed.
func (a *app) topMoved(item topItem, before map[string]int) string {
	was, ok := before[item.Item]
	var mark string
	c := text.FgGreen
	switch {
	case !ok:
		mark = "new"
	case was > item.Rank:
		mark = "▲" + strconv.Itoa(was-item.Rank)
	case was < item.Rank:
		mark, c = "▼"+strconv.Itoa(item.Rank-was), text.FgRed
	default:
		return ""
	}
	if terminal(a.out) {
		return c.Sprint(mark)
	}
	return mark
}

// topBar draws a score, in eighths of a character.
func topBar(score, greatest float64, width int) string {
	if score <= 0 || greatest <= 0 {
		return ""
	}
	eighths := int(score / greatest * float64(width) * 8)
	line := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		line += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return line
}

// topFacts says in words what is known of a list.
func topFacts(s *topShown) string {
	var facts []string
	switch {
	case s.Exact:
		facts = append(facts, "Scores are exact.")
	case s.MaxError == "inf":
		facts = append(facts, "Scores can be wrong, it isn't known by how much: there were more items than limits.rank_items, or a sum ran over.")
	default:
		facts = append(facts, fmt.Sprintf("Scores can be wrong by at most %s: there were more items than limits.rank_items.", s.offBy))
	}
	if s.Dups > 0 {
		facts = append(facts, humanize.Comma(s.Dups)+" repeats of events were dropped.")
	}
	if s.Late > 0 {
		facts = append(facts, humanize.Comma(s.Late)+" events came too late to be counted.")
	}
	line := "Written at " + s.Updated
	if s.Mark != "" {
		line += ", when time was at " + s.Mark
	}
	return strings.Join(facts, " ") + "\n" + line + fmt.Sprintf("; revision %d.", s.Revision)
}

// wrapped breaks lines that a terminal of this width would cut; 0 is any.
func wrapped(s string, width int) string {
	if width <= 0 {
		return s
	}
	return text.WrapSoft(s, width)
}

// printable shows a text so that it can do nothing to a terminal: what doesn't print is escaped, as in Go.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
