package main

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/pipeline/settings"
)

// showCosts says that the settings are fine, and what they cost.
func (a *app) showCosts(v validation, s settings.Settings) error {
	t := v.Costs.Traffic
	assumed := ""
	if v.Assumed {
		assumed = " (assumed: give your own with --events-per-second)"
	}
	_, err := fmt.Fprintf(a.out, "%s is fine.\n\nWhat it costs at most, all processes together, with %s events a second%s,\n%s different items, %d regions, %d partitions, keyed by item ('millrank plan' has more):\n\n",
		v.File, humanize.Comma(int64(t.EventsPerSecond)), assumed, humanize.Comma(int64(t.Items)), t.Regions, t.Partitions)
	if err != nil {
		return err
	}
	a.figures(slices.DeleteFunc(v.Costs.Figures(s), func(f settings.Figure) bool { return !f.Brief() }))
	return nil
}

// figures writes a table of them.
func (a *app) figures(list []settings.Figure) {
	out := a.table("", "", "set by")
	for _, f := range list {
		out.AppendRow(table.Row{f.Name, f.Value, f.By})
	}
	out.Render()
}
