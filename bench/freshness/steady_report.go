package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrank/millrank/bench/internal/chart"
	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/results"
)

// steady is what a steady run has shown.
type steady struct {
	Settings config          `json:"settings"`
	Machine  process.Machine `json:"machine"`

	Freshness spread    `json:"freshness"` // of the probes after the warm-up
	Probes    int       `json:"probes"`
	Lost      int       `json:"lost"`
	Times     []stretch `json:"freshness_over_time"`
	Moments   []moment  `json:"moments"`
	Produced  int64     `json:"produced"`
	Counted   int64     `json:"counted"`
	Late      int64     `json:"late"`
	BehindMax float64   `json:"behind_max_ms"`
	// CPU is how many CPUs each process took on average; Others everything else on the machine.
	CPU    map[string]float64 `json:"cpus"`
	Others float64            `json:"others_cpus"`
}

// stretch is freshness in some seconds of the run.
type stretch struct {
	Seconds float64 `json:"seconds"` // when it began
	Spread  spread  `json:"freshness"`
}

// stretchOf is how long a stretch is.
const stretchOf = 5 * time.Second

// add adds what the probes and the clocks say.
func (r *steady) add(began time.Time, before, after used, probes []probe) {
	var all []time.Duration
	by := map[int64][]time.Duration{}
	for _, p := range probes {
		switch {
		case !p.Seen:
			r.Lost++
			continue
		case p.Measured:
			all = append(all, p.Took)
		}
		n := int64(time.Unix(0, p.Sent).Sub(began) / stretchOf)
		by[n] = append(by[n], p.Took)
	}
	r.Probes, r.Freshness = len(all), spreadOf(all)
	for _, n := range slices.Sorted(maps.Keys(by)) {
		r.Times = append(r.Times, stretch{(time.Duration(n) * stretchOf).Seconds(), spreadOf(by[n])})
	}
	r.CPU = map[string]float64{}
	seconds := after.at.Sub(before.at).Seconds()
	for name, cpu := range after.cpu {
		took := (cpu - before.cpu[name]).Seconds() / seconds
		if name == machine {
			r.Others += took
			continue
		}
		r.CPU[name] = took
		r.Others -= took
	}
	r.Others = max(0, r.Others)
}

// wrong returns what makes the run a failure: never the time that something took.
func (r *steady) wrong() error {
	var errs []error
	if r.Lost > 0 {
		errs = append(errs, fmt.Errorf("%d probes were never seen", r.Lost))
	}
	if r.Probes == 0 {
		errs = append(errs, errors.New("there were no probes"))
	}
	if r.Counted != r.Produced {
		errs = append(errs, fmt.Errorf("%d events were produced, and %d counted", r.Produced, r.Counted))
	}
	return errors.Join(errs...)
}

// charts are what is drawn, by the names of files.
func (r *steady) charts() map[string]chart.Chart {
	fresh := func(name string, of func(spread) float64) chart.Series {
		s := chart.Series{Name: name}
		for _, t := range r.Times {
			s.XY = append(s.XY, [2]float64{t.Seconds, of(t.Spread)})
		}
		return s
	}
	line := func(name string, of func(moment) float64) chart.Series {
		s := chart.Series{Name: name}
		for _, m := range r.Moments {
			s.XY = append(s.XY, [2]float64{m.Seconds, of(m)})
		}
		return s
	}
	marks := []chart.Mark{{X: r.Settings.Warmup.Seconds(), Label: "measured from here"}}
	return map[string]chart.Chart{
		"freshness": {
			Title: "From an event's being produced to its being seen in Redis", X: "seconds", Y: "ms", Marks: marks,
			Series: []chart.Series{fresh("p50", func(s spread) float64 { return s.P50 }), fresh("p99", func(s spread) float64 { return s.P99 })},
		},
		"lag": {Title: "Events in the topic that are not processed yet", X: "seconds", Y: "events", Marks: marks, Series: []chart.Series{line("lag", func(m moment) float64 { return float64(m.Lag) })}},
		"memory": {
			Title: "Memory", X: "seconds", Y: "MiB", Marks: marks,
			Series: []chart.Series{
				line("Millrank", func(m moment) float64 { return float64(m.Millrank >> 20) }), line("Redis", func(m moment) float64 { return float64(m.Redis >> 20) }),
				line("ClickHouse's engine", func(m moment) float64 { return float64(m.History >> 20) }),
			},
		},
	}
}

// markdown returns the report.
func (r *steady) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	c := r.Settings
	var lag, memory int64
	for _, m := range r.Moments {
		if m.Seconds >= c.Warmup.Seconds() {
			lag, memory = max(lag, m.Lag), max(memory, m.Millrank)
		}
	}
	say("%d events/s for %v, after %v; %d items, %d regions, 3 boards; Kafka (%s), Redis (%s), ClickHouse's engine, the load and Millrank with all its handlers on the same machine: %s.\n",
		c.Rate, c.Duration, c.Warmup, c.Items, c.Regions, c.Broker, c.Redis, r.Machine)
	say("| freshness p50 | p90 | p99 | worst | lag at most | memory at most | counted | probes lost |\n|---|---|---|---|---|---|---|---|")
	f := r.Freshness
	say("| %.0f ms | %.0f ms | %.0f ms | %.0f ms | %d events | %d MiB | %d of %d | %d of %d |\n", f.P50, f.P90, f.P99, f.Max, lag, memory>>20, r.Counted, r.Produced, r.Lost, r.Probes+r.Lost)
	var cpu []string
	for _, name := range slices.Sorted(maps.Keys(r.CPU)) {
		cpu = append(cpu, fmt.Sprintf("%s %.2f", name, r.CPU[name]))
	}
	say("CPUs taken: %s; everything else %.2f. %d events were produced more than %v after they were due, %.0f ms at most.\n", strings.Join(cpu, ", "), r.Others, r.Late, lateAfter, r.BehindMax)
	charts := r.charts()
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		say("![%s](%s.svg)\n", charts[name].Title, name)
	}
	return b.String()
}

// write writes report.md, report.json and the pictures.
func (r *steady) write(folder string) error {
	return results.Write(folder, r.markdown(), r, func(folder string) error {
		for name, c := range r.charts() {
			if err := chart.Lines(filepath.Join(folder, name+".svg"), c); err != nil {
				return err
			}
		}
		return nil
	})
}
