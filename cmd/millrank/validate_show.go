package main

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/pipeline/settings"
)

// showCosts says that the settings are fine, and what they cost.
func (a *app) showCosts(v validation, s settings.Settings) error {
	c, t := v.Costs, v.Costs.Traffic
	assumed := ""
	if v.Assumed {
		assumed = " (assumed: give your own with --events-per-second)"
	}
	_, err := fmt.Fprintf(a.out, "%s is fine.\n\nWhat it costs at most, all processes together, with %s events a second%s,\n%s different items in a pane, %d regions, %d partitions, keyed by item:\n\n",
		v.File, humanize.Comma(int64(t.EventsPerSecond)), assumed, humanize.Comma(int64(t.Items)), t.Regions, t.Partitions)
	if err != nil {
		return err
	}
	out := a.table("", "", "set by")
	row := func(name, value, by string) { out.AppendRow(table.Row{name, value, by}) }
	row("A restart reads again", fmt.Sprintf("%s records, %v of events: %s", humanize.Comma(c.ReplayRecords), c.ReplaySpan, seconds(c.ReplaySeconds)), "time.*, dedup.horizon")
	row("Memory of intake", bytesText(c.EventIDBytes+c.IntakeBytes), fmt.Sprintf("%s event IDs (dedup.*), %s cells per pane", humanize.Comma(c.EventIDs), humanize.Comma(c.PaneCells)))
	row("Memory of rank", bytesText(c.RankBytes), fmt.Sprintf("%s cells: %s", humanize.Comma(c.RankCells), rankBy(s)))
	if len(s.Redis.Addresses) > 0 {
		row("Memory of leaderboard", bytesText(c.ListBytes), fmt.Sprintf("%s lists that change: boards[].k", humanize.Comma(c.Lists)))
		row("Memory of Redis", bytesText(c.RedisBytes), fmt.Sprintf("%s lists, kept for %v: redis.ttl, boards[].k", humanize.Comma(c.RedisKeys), c.RedisTTL))
	}
	row("Source topic keeps", fmt.Sprintf("%v at least, and as long as nothing may run", c.EventsRetention), "its retention.ms")
	row("Updates topic keeps", c.UpdatesRetention.String(), "topics.updates.retention")
	row("Rankings topic keeps", c.RankingsRetention.String(), "topics.rankings.retention")
	out.Render()
	return nil
}

// rankBy says which settings bound rank's memory.
func rankBy(s settings.Settings) string {
	if s.Limits.RankItems > 0 {
		return "limits.rank_items, the longest window"
	}
	return "the longest window; limits.rank_items can bound it"
}

// bytesText returns a number of bytes for people.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

// seconds returns about how long it takes.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Second {
		return "less than a second"
	}
	return "about " + settings.Duration(d.Round(time.Second)).String()
}
