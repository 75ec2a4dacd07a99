package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

// report is all that was measured.
type report struct {
	At       time.Time         `json:"at"`
	Machine  process.Machine   `json:"machine"`
	Workload workload.Settings `json:"workload"`
	Set      []string          `json:"millrank_set,omitempty"`
	Engines  []engineReport    `json:"engines"`
}

// engineReport is one engine's runs.
type engineReport struct {
	Name   string         `json:"name"`
	What   string         `json:"what"`
	Runs   []trial.Result `json:"runs"`
	Median trial.Result   `json:"median"` // each number for itself
	// Ratios to the bound, of the medians; 0 where the bound did not run.
	RateToBound float64 `json:"events_per_second_to_bound"`
	WarmToBound float64 `json:"events_per_second_warm_to_bound"`
	CPUToBound  float64 `json:"cpu_to_bound"`
	RSSToBound  float64 `json:"peak_rss_to_bound"`
}

func newReport(m process.Machine, c config, engines []trial.Engine) report {
	r := report{At: time.Now().UTC().Truncate(time.Second), Machine: m, Workload: c.workload, Set: c.set}
	for _, e := range engines {
		r.Engines = append(r.Engines, engineReport{Name: e.Name(), What: e.What()})
	}
	return r
}

// reckon reckons up medians and ratios, when all runs are there.
func (r *report) reckon() {
	for i := range r.Engines {
		r.Engines[i].Median = trial.Median(r.Engines[i].Runs)
	}
	at := slices.IndexFunc(r.Engines, func(e engineReport) bool { return e.Name == boundName })
	if at < 0 {
		return
	}
	bound := r.Engines[at].Median
	for i := range r.Engines {
		e := &r.Engines[i]
		e.RateToBound, e.CPUToBound = e.Median.Rate/bound.Rate, e.Median.CPU/bound.CPU
		e.RSSToBound = float64(e.Median.PeakRSS) / float64(bound.PeakRSS)
		if bound.Warm > 0 {
			e.WarmToBound = e.Median.Warm / bound.Warm
		}
	}
}

// wrong returns which engines got tables wrong that promise to get them right.
func (r *report) wrong() error {
	var errs []error
	for _, e := range r.Engines {
		for i, run := range e.Runs {
			if !run.Verdict.AllExact() && (e.Name == boundName || strings.HasPrefix(e.Name, millrankName)) {
				errs = append(errs, fmt.Errorf("%s, run %d: %s", e.Name, i+1, run.Verdict))
			}
		}
	}
	return errors.Join(errs...)
}

// table returns the results as a table.
func (r *report) table() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"engine", "events/s from launch", "in steady state", "x bound", "CPU s per M events", "x bound", "peak RSS MiB", "exact tables", "foreign CPUs"})
	for _, e := range r.Engines {
		m := e.Median
		t.AppendRow(table.Row{
			e.Name, spread(e.Runs, func(r trial.Result) float64 { return r.Rate }), humanize.Comma(int64(m.Warm)), ratio(e.RateToBound),
			fmt.Sprintf("%.2f", m.CPU), ratio(e.CPUToBound), m.PeakRSS >> 20, exact(e.Runs), fmt.Sprintf("%.2f", m.Foreign),
		})
	}
	return t
}

// spread shows the median, and the least and the most.
func spread(runs []trial.Result, of func(trial.Result) float64) string {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	median := of(trial.Median(runs))
	text := humanize.Comma(int64(median))
	if len(values) > 1 {
		text += fmt.Sprintf(" (%s–%s)", humanize.Comma(int64(slices.Min(values))), humanize.Comma(int64(slices.Max(values))))
	}
	return text
}

func ratio(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

// exact shows how many tables were exact, in the run where the fewest were.
func exact(runs []trial.Result) string {
	least := slices.MinFunc(runs, func(a, b trial.Result) int { return a.Verdict.Exact - b.Verdict.Exact }).Verdict
	return fmt.Sprintf("%d of %d", least.Exact, least.Tables)
}

// markdown returns the report.
func (r *report) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w := r.Workload
	say("%s events (seed %d), %d tables; medians of %d runs, in brackets the slowest and the fastest. %s; %s.\n",
		humanize.Comma(w.Events), w.Seed, r.Engines[0].Runs[0].Verdict.Tables, len(r.Engines[0].Runs), r.At.Format(time.DateOnly), r.Machine)
	say("%s\n", r.table().RenderMarkdown())
	for _, e := range r.Engines {
		say("- **%s**: %s.%s", e.Name, e.What, e.note())
	}
	if len(r.Set) > 0 {
		say("\nMillrank's settings besides: `%s`.", strings.Join(r.Set, "`, `"))
	}
	say("")
	for _, p := range r.pictures() {
		say("![%s](%s)", p.title, p.file)
	}
	return b.String()
}

// note says what is to be known of an engine's tables.
func (e *engineReport) note() string {
	v := e.Runs[0].Verdict
	if v.AllExact() {
		return ""
	}
	text := fmt.Sprintf(" Of its tables, %d are as the rules of the job want them", v.Exact)
	if v.Over >= 0 {
		text += fmt.Sprintf("; it counted %s events too many and %s too few", humanize.Comma(v.Over), humanize.Comma(v.Under))
	}
	return text + "."
}

// picture is a bar chart of one number.
type picture struct {
	file, title, unit string
	of                func(trial.Result) float64
	format            string
}

func (r *report) pictures() []picture {
	return []picture{
		{"rate.svg", "Events per second, from the launch of the process", "events/s", func(r trial.Result) float64 { return r.Rate }, "#,###."},
		{"cpu.svg", "CPU seconds per million events", "s", func(r trial.Result) float64 { return r.CPU }, "#.##"},
		{"memory.svg", "Peak memory", "MiB", func(r trial.Result) float64 { return float64(r.PeakRSS >> 20) }, "#,###."},
	}
}

// benchmarks returns all runs in the format of Go's benchmarks, for benchstat.
func (r *report) benchmarks() string {
	var b strings.Builder
	for _, e := range r.Engines {
		for _, run := range e.Runs {
			fmt.Fprintf(&b, "BenchmarkJob/engine=%s 1 %.0f ns/op %.0f events/s %.4f cpu-s/M %d peak-B\n", e.Name, run.Seconds*1e9, run.Rate, run.CPU, run.PeakRSS)
		}
	}
	return b.String()
}

// write writes report.md, report.json, runs.txt and the pictures.
func (r *report) write(folder string) error {
	return results.Write(folder, r.markdown(), r, func(folder string) error {
		if err := os.WriteFile(filepath.Join(folder, "runs.txt"), []byte(r.benchmarks()), 0o600); err != nil {
			return fmt.Errorf("runs.txt: %w", err)
		}
		for _, p := range r.pictures() {
			bars := make([]chart.Bar, len(r.Engines))
			for i, e := range r.Engines {
				value := p.of(e.Median)
				bars[i] = chart.Bar{Name: e.Name, Value: value, Text: humanize.FormatFloat(p.format, value)}
			}
			if err := chart.Bars(filepath.Join(folder, p.file), p.title, p.unit, bars); err != nil {
				return err
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
	_, err := fmt.Fprintf(out, "%s\n%s\n", r.table().Render(), r.Machine)
	return err
}
