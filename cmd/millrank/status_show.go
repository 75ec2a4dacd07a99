package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/progress"
)

// statusText writes a state for people. width is the terminal's, 0 for any.
func (a *app) statusText(st *progress.State, width int) string {
	var b strings.Builder
	colour := func(c text.Color, s string) string {
		if terminal(a.out) {
			return c.Sprint(s)
		}
		return s
	}
	mark := text.FgGreen
	if !st.Verdict.OK {
		mark = text.FgRed
	}
	fmt.Fprintln(&b, colour(mark, st.Verdict.Summary))
	for _, problem := range st.Verdict.Problems {
		fmt.Fprintln(&b, wrapped("- "+problem, width))
	}
	if h := st.Verdict.Holding; h != nil && !h.Problem {
		fmt.Fprintln(&b, wrapped(h.Sentence, width))
	}
	fmt.Fprintln(&b, statusGeneration(st))

	held := map[int]bool{}
	if h := st.Verdict.Holding; h != nil {
		for _, p := range h.Partitions {
			held[p] = true
		}
	}
	t := a.statusTable(width, st.SourceTopic, "log end", "done through", "lag", "watermark", "behind", "", "replay", "owner")
	for i := range st.Sources {
		one := &st.Sources[i]
		name := fmt.Sprint(one.Partition)
		if held[one.Partition] {
			name = colour(text.FgYellow, name+" ◀ holds time")
		}
		t.AppendRow(table.Row{
			name, comma(one.LogEnd), comma(one.Through), comma(one.Lag), shortTime(one.Watermark), statusBehind(one),
			statusIdle(one), comma(one.Replay), statusOwner(one.Owner),
		})
	}
	fmt.Fprintf(&b, "\n%s\n", t.Render())
	for _, hop := range []struct {
		topic  string
		stages []progress.Stage
	}{{st.UpdatesTopic, st.Shards}, {st.RankingsTopic, st.Rankings}} {
		if len(hop.stages) == 0 {
			continue
		}
		t := a.statusTable(width, hop.topic, "log end", "done through", "lag", "closed through", "replay", "owner")
		for _, one := range hop.stages {
			t.AppendRow(table.Row{one.Partition, comma(one.LogEnd), comma(one.Through), comma(one.Lag), shortTime(one.ClosedThrough), comma(one.Replay), statusOwner(one.Owner)})
		}
		fmt.Fprintf(&b, "\n%s\n", t.Render())
	}
	t = a.statusTable(width, "group", "state", "members", "lag")
	for _, g := range st.Groups {
		t.AppendRow(table.Row{g.Group, g.State, len(g.Members), comma(g.Lag)})
	}
	fmt.Fprintf(&b, "\n%s\n\n%s", t.Render(), statusDecisions(st))
	return b.String()
}

// statusTable is a table as a.table makes it, to be rendered into a text.
func (a *app) statusTable(width int, heads ...any) table.Writer {
	t := a.table(heads...)
	t.SetOutputMirror(nil)
	if width > 0 {
		t.SetAllowedRowLength(width)
	}
	t.SetColumnConfigs(rightAligned(heads))
	return t
}

// rightAligned has all numbers end in one line.
func rightAligned(heads []any) []table.ColumnConfig {
	columns := []table.ColumnConfig{{Number: 1, Align: text.AlignLeft}}
	for i, head := range heads {
		switch head {
		case "log end", "done through", "lag", "replay", "behind", "members":
			columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	return columns
}

func statusGeneration(st *progress.State) string {
	line := fmt.Sprintf("%s, generation %d", st.Name, st.Generation)
	switch st.Active {
	case 0:
		return line + "."
	case st.Generation:
		return line + ": readers see it."
	}
	return fmt.Sprintf("%s: readers see generation %d ('millrank activate' changes that).", line, st.Active)
}

func statusBehind(one *progress.Source) string {
	if one.Watermark == progress.NoTime {
		return "-"
	}
	return (time.Duration(one.BehindMS) * time.Millisecond).Round(time.Second).String()
}

func statusIdle(one *progress.Source) string {
	switch {
	case !one.Heard:
		return "never heard"
	case one.Idle:
		return "idle " + (time.Duration(one.IdleForMS) * time.Millisecond).Round(time.Second).String()
	}
	return ""
}

func statusOwner(owner string) string {
	if owner == "" {
		return "nobody"
	}
	return owner
}

// statusDecisions says what became of records, and of whom that isn't known.
func statusDecisions(st *progress.State) string {
	var b bytes.Buffer
	if len(st.Processes) > 0 {
		var words []string
		for d := range event.Decision(event.Decisions) {
			if n := st.Decisions[d.String()]; n > 0 || d == event.Counted {
				words = append(words, humanize.Comma(n)+" "+d.String())
			}
		}
		fmt.Fprintf(&b, "Records since %d of the processes started: %s; %s conflicts.\n", len(st.Processes), strings.Join(words, ", "), humanize.Comma(st.Conflicts))
	}
	for _, why := range st.Unreachable {
		fmt.Fprintln(&b, "Not asked:", why)
	}
	return b.String()
}

// shortTime writes a time so that a table has room for it.
func shortTime(t progress.Time) string {
	if t == progress.NoTime {
		return "-"
	}
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02 15:04:05.000")
}

func comma(n int64) string { return humanize.Comma(n) }
