package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/bench/internal/chart"
	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/results"
	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
)

// report is all sweeps that were made.
type report struct {
	At       time.Time         `json:"at"`
	Machine  process.Machine   `json:"machine"`
	Workload workload.Settings `json:"workload"`
	Sweeps   []swept           `json:"sweeps"`
}

// swept is a sweep that was made.
type swept struct {
	Name   string     `json:"name"`
	Title  string     `json:"title"`
	X      string     `json:"x"`
	Log    bool       `json:"by_powers"`
	Memory bool       `json:"about_memory"`
	Points []measured `json:"points"`
	// Each is what Bytes are of: the slope of peak memory over what is alive; 0 where that isn't asked.
	Each  string  `json:"each,omitempty"`
	Bytes float64 `json:"bytes_each,omitempty"`
}

// measured is a point that was measured.
type measured struct {
	X       float64      `json:"x"`
	Result  trial.Result `json:"result"`
	Updates float64      `json:"updates_bytes_per_event"` // as the broker stores them, compressed
	Live    float64      `json:"live,omitempty"`
	Ready   float64      `json:"ready_seconds,omitempty"` // of a restart
	P50     float64      `json:"p50_ms,omitempty"`        // of freshness, as what follows
	P99     float64      `json:"p99_ms,omitempty"`
	Lost    int          `json:"probes_lost,omitempty"`
	Lag     int64        `json:"lag_events,omitempty"`
}

// reckon takes the slope of memory over what is alive, by least squares.
func (s *swept) reckon() {
	if s.Each == "" || len(s.Points) < 2 {
		return
	}
	var x, y float64
	for _, p := range s.Points {
		x, y = x+p.Live, y+float64(p.Result.PeakRSS)
	}
	n := float64(len(s.Points))
	x, y = x/n, y/n
	var both, square float64
	for _, p := range s.Points {
		both += (p.Live - x) * (float64(p.Result.PeakRSS) - y)
		square += (p.Live - x) * (p.Live - x)
	}
	if square > 0 {
		s.Bytes = both / square
	}
}

// wrong returns where tables were not exact.
func (r *report) wrong() error {
	var errs []error
	for _, s := range r.Sweeps {
		for _, p := range s.Points {
			if s.Name != freshnessName && !p.Result.Verdict.AllExact() {
				errs = append(errs, fmt.Errorf("sweep %s, %v %s: %s", s.Name, p.X, s.X, p.Result.Verdict))
			}
		}
	}
	return errors.Join(errs...)
}

// table returns a sweep as a table.
func (s *swept) table() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	x := func(p measured) string { return humanize.Commaf(p.X) }
	switch s.Name {
	case restartName:
		t.AppendHeader(table.Row{"horizon, " + s.X, "seconds until it is ready", "exact tables in the end"})
		for _, p := range s.Points {
			t.AppendRow(table.Row{x(p), fmt.Sprintf("%.2f", p.Ready), exact(p)})
		}
	case freshnessName:
		t.AppendHeader(table.Row{s.X, "p50 ms", "p99 ms", "processed/s", "events behind in the end", "CPU s per M events", "peak RSS MiB"})
		for _, p := range s.Points {
			t.AppendRow(table.Row{
				x(p), fmt.Sprintf("%.0f", p.P50), fmt.Sprintf("%.0f", p.P99), humanize.Comma(int64(p.Result.Rate)), humanize.Comma(p.Lag),
				fmt.Sprintf("%.2f", p.Result.CPU), p.Result.PeakRSS >> 20,
			})
		}
	default:
		t.AppendHeader(table.Row{s.X, "events/s", "CPU s per M events", "peak RSS MiB", "bytes of updates per event", "exact tables", "foreign CPUs"})
		for _, p := range s.Points {
			r := p.Result
			t.AppendRow(table.Row{
				x(p), humanize.Comma(int64(r.Rate)), fmt.Sprintf("%.2f", r.CPU), r.PeakRSS >> 20, fmt.Sprintf("%.1f", p.Updates), exact(p), fmt.Sprintf("%.2f", r.Foreign),
			})
		}
	}
	return t
}

func exact(p measured) string {
	return fmt.Sprintf("%d of %d", p.Result.Verdict.Exact, p.Result.Verdict.Tables)
}

// lines returns what is drawn of a sweep, by the name of its file.
func (s *swept) lines() map[string]chart.Chart {
	line := func(name string, of func(measured) float64) chart.Series {
		series := chart.Series{Name: name, Points: true}
		for _, p := range s.Points {
			series.XY = append(series.XY, [2]float64{p.X, of(p)})
		}
		return series
	}
	draw := func(y string, series ...chart.Series) chart.Chart {
		return chart.Chart{Title: s.Title, X: s.X, Y: y, LogX: s.Log, Series: series}
	}
	memory := draw("MiB", line("peak memory", func(p measured) float64 { return float64(p.Result.PeakRSS >> 20) }))
	switch {
	case s.Name == restartName:
		return map[string]chart.Chart{s.Name: draw("seconds until it is ready", line("after a crash", func(p measured) float64 { return p.Ready }))}
	case s.Name == freshnessName:
		return map[string]chart.Chart{s.Name: draw("ms", line("p50", func(p measured) float64 { return p.P50 }), line("p99", func(p measured) float64 { return p.P99 }))}
	case s.Memory:
		return map[string]chart.Chart{s.Name: memory}
	}
	charts := map[string]chart.Chart{s.Name: draw("events/s", line("events/s", func(p measured) float64 { return p.Result.Rate }))}
	if s.Name == "flush" || s.Name == "skew" || s.Name == "items" {
		charts[s.Name+"-updates"] = draw("bytes of updates per event", line("stored by the broker", func(p measured) float64 { return p.Updates }))
	}
	if s.Each != "" {
		charts[s.Name+"-memory"] = memory
	}
	return charts
}

// markdown returns the report.
func (r *report) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("%s events at each point, unless said otherwise; one run each. %s; %s.\n", humanize.Comma(r.Workload.Events), r.At.Format(time.DateOnly), r.Machine)
	say("Rates are from launch: about half a second of start-up is in them.\n")
	for i := range r.Sweeps {
		s := &r.Sweeps[i]
		say("### %s\n\n%s\n", s.Title, s.table().RenderMarkdown())
		if s.Each != "" {
			say("Peak memory grows by about %s for each %s, garbage that isn't collected yet included.\n", humanize.IBytes(uint64(max(0, s.Bytes))), s.Each)
		}
		for _, name := range files(s.lines()) {
			say("![%s](%s.svg)\n", s.Title, name)
		}
	}
	return b.String()
}

// write writes report.md, report.json and the pictures.
func (r *report) write(folder string) error {
	return results.Write(folder, r.markdown(), r, func(folder string) error {
		for i := range r.Sweeps {
			charts := r.Sweeps[i].lines()
			for _, name := range files(charts) {
				if err := chart.Lines(filepath.Join(folder, name+".svg"), charts[name]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// show prints the results.
func (r *report) show(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	for i := range r.Sweeps {
		s := &r.Sweeps[i]
		fmt.Fprintf(out, "%s\n%s\n\n", s.Title, s.table().Render())
	}
	fmt.Fprintln(out, r.Machine)
	return nil
}

func files(charts map[string]chart.Chart) []string { return slices.Sorted(maps.Keys(charts)) }
