package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/millrank/millrank/bench/internal/chart"
	"github.com/millrank/millrank/bench/internal/process"
)

// report is all that came out of a run.
type report struct {
	At        time.Time       `json:"at"`
	Machine   process.Machine `json:"machine"`
	Settings  config          `json:"settings"`
	Passed    bool            `json:"passed"`
	Problems  []string        `json:"problems,omitempty"` // why not
	Produced  int64           `json:"produced"`           // records
	Took      float64         `json:"produced_in_s"`
	Drained   float64         `json:"drained_at_s"`
	Compared  float64         `json:"compared_in_s"`
	Exactness exactness       `json:"exactness"`
	Trends    []judged        `json:"trends"`
	Faults    []happened      `json:"faults"`
	Stream    []streamSample  `json:"stream"`
	Processes []processSample `json:"processes"`

	folder string
}

// judged is a measurement of a process, from one start to its end.
type judged struct {
	Slot    int    `json:"slot"`
	PID     int    `json:"pid"`
	Measure string `json:"measure"`
	trend
}

// measure is what must not grow in a process.
type measure struct {
	name, title, unit string
	tolerance
	of   func(processSample) (float64, bool)
	show func(float64) string
}

const mebibyte = 1 << 20

func measures() []measure {
	whole := func(x float64) string { return fmt.Sprintf("%.0f", x) }
	return []measure{
		{"memory", "Memory of each process (RSS)", "MiB", tolerance{0.1, 8 * mebibyte}, func(s processSample) (float64, bool) { return float64(s.RSS), true }, func(x float64) string { return fmt.Sprintf("%.1f MiB", x/mebibyte) }},
		{"goroutines", "Goroutines of each process", "", tolerance{0.1, 50}, func(s processSample) (float64, bool) { return float64(s.Goroutines), s.Goroutines > 0 }, whole},
		{"files", "Open file descriptors of each process", "", tolerance{0.1, 25}, func(s processSample) (float64, bool) { return float64(s.Files), true }, whole},
	}
}

// judge says whether it has passed. While the end is waited for, processes rest, so what they were like then doesn't count.
func (r *report) judge() {
	type life struct{ slot, pid int }
	lives := map[life][]processSample{}
	var order []life
	for _, s := range r.Processes {
		if s.At > r.Took {
			continue
		}
		l := life{s.Slot, s.PID}
		if lives[l] == nil {
			order = append(order, l)
		}
		lives[l] = append(lives[l], s)
	}
	for _, l := range order {
		for _, m := range measures() {
			var points []point
			for _, s := range lives[l] {
				if value, known := m.of(s); known {
					points = append(points, point{s.At, value})
				}
			}
			t, enough := judgeFlat(points, r.Settings.Settle, m.tolerance)
			if !enough {
				continue
			}
			r.Trends = append(r.Trends, judged{l.slot, l.pid, m.name, t})
			if !t.Flat {
				r.Problems = append(r.Problems, fmt.Sprintf("%s: %s grows: %s", slotName(l.slot), m.name, t.text(m.show)))
			}
		}
	}
	if n := r.Exactness.Differences; n > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d differences from the oracle; the first: %s", n, r.Exactness.First[0]))
	}
	r.Passed = len(r.Problems) == 0
}

// text says it in some lines.
func (r *report) text(s *screen) string {
	e := &r.Exactness
	words := "PASSED"
	if !r.Passed {
		words = "FAILED"
	}
	lines := []string{
		fmt.Sprintf("%s: seed %d, %s records in %.0f s (%s a second), %d faults", s.verdict(r.Passed, words), r.Settings.Seed,
			humanize.Comma(r.Produced), r.Took, humanize.Comma(int64(float64(r.Produced)/max(1, r.Took))), len(r.Faults)),
		fmt.Sprintf("%d differences from the oracle in %s cells, %s lists (each in Redis and in ClickHouse), and %s", e.Differences, humanize.Comma(e.Cells), humanize.Comma(e.Lists), r.letters()),
	}
	if len(r.Trends) == 0 {
		lines = append(lines, fmt.Sprintf("memory, goroutines and files: not judged, since no process lived for long enough (-settle %v, and %v more)", r.Settings.Settle, 2*stretchLeast))
	}
	for i := range r.Trends {
		lines = append(lines, r.Trends[i].line())
	}
	for _, p := range r.Problems {
		lines = append(lines, s.verdict(false, "- "+p))
	}
	return strings.Join(append(lines, "report: "+filepath.Join(r.folder, "report.md")), "\n")
}

func (r *report) letters() string {
	d := r.Exactness.Decided
	return fmt.Sprintf("%s late, %s future, %s malformed dead letters", humanize.Comma(d["late"]), humanize.Comma(d["future"]), humanize.Comma(d["malformed"]))
}

func (j *judged) line() string {
	i := slices.IndexFunc(measures(), func(m measure) bool { return m.name == j.Measure })
	words := "flat"
	if !j.Flat {
		words = "GROWS"
	}
	return fmt.Sprintf("%s (pid %d), %s: %s; %s", slotName(j.Slot), j.PID, j.Measure, words, j.text(measures()[i].show))
}

// write writes report.md, report.json and the pictures.
func (r *report) write() error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	pictures, err := r.pictures()
	if err != nil {
		return err
	}
	for file, content := range map[string][]byte{"report.json": text, "report.md": []byte(r.markdown(pictures))} {
		//nolint:gosec // the command line says which folder
		if err := os.WriteFile(filepath.Join(r.folder, file), content, 0o600); err != nil {
			return fmt.Errorf("the report: %w", err)
		}
	}
	return nil
}

// picture is a chart that was drawn.
type picture struct{ file, title string }

func (r *report) pictures() ([]picture, error) {
	var all []picture
	draw := func(file, title, y string, series []chart.Series) error {
		if !slices.ContainsFunc(series, func(s chart.Series) bool { return len(s.XY) > 0 }) {
			return nil // a run of some seconds
		}
		all = append(all, picture{file, title})
		return chart.Lines(filepath.Join(r.folder, file), chart.Chart{Title: title, X: "seconds since the start", Y: y, Series: series, Marks: r.marks()})
	}
	for _, m := range measures() {
		scale := 1.0
		if m.unit == "MiB" {
			scale = mebibyte
		}
		if err := draw(m.name+".svg", m.title, m.unit, r.perProcess(scale, m.of)); err != nil {
			return nil, err
		}
	}
	if err := draw("cpu.svg", "CPUs that each process took", "CPUs", r.perProcess(1, func(s processSample) (float64, bool) { return s.CPU, true })); err != nil {
		return nil, err
	}
	rate := []chart.Series{{Name: "produced"}, {Name: "processed"}}
	one := map[string]*chart.Series{"lag": {Name: "records behind"}, "freshness": {Name: "Redis"}, "closing": {Name: "closing watermark"}}
	for i, s := range r.Stream {
		if i > 0 {
			rate[0].XY = append(rate[0].XY, [2]float64{s.At, rateAt(r.Stream, i, 10, func(x streamSample) int64 { return x.Produced })})
		}
		if i > 0 && s.Processed >= 0 {
			rate[1].XY = append(rate[1].XY, [2]float64{s.At, rateAt(r.Stream, i, 10, func(x streamSample) int64 { return x.Processed })})
		}
		for name, value := range map[string]float64{"lag": float64(s.Lag), "freshness": s.Freshness, "closing": s.Closed} {
			if value >= 0 {
				one[name].XY = append(one[name].XY, [2]float64{s.At, value})
			}
		}
	}
	if err := draw("rate.svg", "Records a second, over 10 s", "records/s", rate); err != nil {
		return nil, err
	}
	if err := draw("lag.svg", "Records of the source that are not processed", "records", []chart.Series{*one["lag"]}); err != nil {
		return nil, err
	}
	return all, draw("freshness.svg", "How far results are behind the newest event", "seconds of event time", []chart.Series{*one["freshness"], *one["closing"]})
}

// perProcess makes a line for each process.
func (r *report) perProcess(scale float64, of func(processSample) (float64, bool)) []chart.Series {
	var series []chart.Series
	for _, s := range r.Processes {
		for len(series) <= s.Slot {
			series = append(series, chart.Series{Name: slotName(len(series))})
		}
		if value, known := of(s); known {
			series[s.Slot].XY = append(series[s.Slot].XY, [2]float64{s.At, value / scale})
		}
	}
	return series
}

// labelsMost is how many marks can have their names beside them.
const labelsMost = 40

// marks are where faults were, by their names or, where they are many, without.
func (r *report) marks() []chart.Mark {
	var marks []chart.Mark
	for _, f := range r.Faults {
		m := chart.Mark{X: f.At}
		if len(r.Faults) <= labelsMost {
			m.Label = f.String()
		}
		marks = append(marks, m)
	}
	return marks
}

// markdown returns the report for people.
func (r *report) markdown(pictures []picture) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Soak of %s, seed %d\n", r.At.Format(time.DateTime), r.Settings.Seed)
	say("```\n%s\n```\n", r.text(&screen{}))
	say("%s. %d processes, %d partitions, %d items, faults every %v. Drained after %.0f s, compared in %.0f s. By the oracle: %v.\n",
		r.Machine, r.Settings.Processes, r.Settings.Partitions, r.Settings.Items, r.Settings.Every, r.Drained-r.Took, r.Compared, r.Exactness.Decided)
	if len(r.Exactness.First) > 0 {
		say("## Differences\n\n```\n%s\n```\n", strings.Join(r.Exactness.First, "\n"))
	}
	for _, p := range pictures {
		say("![%s](%s)\n", p.title, p.file)
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"fault", "at, s", "until, s", "what"})
	for i, f := range r.Faults {
		t.AppendRow(table.Row{i + 1, fmt.Sprintf("%.0f", f.At), fmt.Sprintf("%.0f", f.Until), f.fault})
	}
	say("## Faults\n\n%s", t.RenderMarkdown())
	return b.String()
}
