package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
)

// TestSweeps: what every point of every sweep is told makes sense, also to Millrank.
func TestSweeps(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sweeps(workload.Default(), "millrank") {
		if seen[s.name] || len(s.points) < 3 || s.title == "" || s.x == "" || (s.live == nil) != (s.each == "") {
			t.Errorf("%+v", s)
		}
		seen[s.name] = true
		for _, p := range s.points {
			if err := p.workload.Validate(); err != nil {
				t.Errorf("%s, %v: %v", s.name, p.x, err)
			}
			round := trial.Round{Brokers: []string{"127.0.0.1:9092"}, Topic: "events", Workload: p.workload, Folder: t.TempDir(), Name: "sweep"}
			if _, err := p.engine.Settings(round); err != nil {
				t.Errorf("%s, %v: %v", s.name, p.x, err)
			}
		}
	}
}

// TestSlope: memory for each of what is alive is the slope.
func TestSlope(t *testing.T) {
	s := swept{Each: "event ID"}
	for _, live := range []float64{1000, 2000, 8000} {
		s.Points = append(s.Points, measured{Live: live, Result: trial.Result{PeakRSS: int64(1<<20 + 48*live)}})
	}
	if s.reckon(); math.Abs(s.Bytes-48) > 1e-6 {
		t.Errorf("%v bytes each, want 48", s.Bytes)
	}
}

func TestReport(t *testing.T) {
	good, bad := trial.Verdict{Tables: 9, Exact: 9}, trial.Verdict{Tables: 9, Exact: 8, Wrong: "region eu"}
	r := report{Workload: workload.Default(), Sweeps: []swept{
		{Name: "items", Title: "How many items there are", X: "items", Log: true, Each: "item", Bytes: 64, Points: []measured{
			{X: 1000, Updates: 12.5, Result: trial.Result{Rate: 1_234_567, CPU: 2.5, PeakRSS: 300 << 20, Verdict: good}},
			{X: 1e6, Result: trial.Result{Rate: 900_000, Verdict: good}},
		}},
		{Name: restartName, Title: "A restart", X: "seconds", Points: []measured{{X: 45, Ready: 1.25, Result: trial.Result{Verdict: good}}, {X: 90, Ready: 2, Result: trial.Result{Verdict: good}}}},
		{Name: freshnessName, Title: "Freshness", X: "events per second", Points: []measured{{X: 1000, P50: 400, P99: 712, Lag: 7}, {X: 2000, P99: 800}}},
	}}
	folder := t.TempDir()
	if err := r.write(folder); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.show(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234,567", "2.50", "300", "12.5", "9 of 9", "1.25", "712"} {
		if !strings.Contains(r.markdown(), want) || !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report:\n%s\n%s", want, r.markdown(), out.String())
		}
	}
	if !strings.Contains(r.markdown(), "about 64 B for each item") {
		t.Errorf("memory of an item isn't in the report:\n%s", r.markdown())
	}
	for _, name := range []string{"items.svg", "items-updates.svg", "items-memory.svg", "restart.svg", "freshness.svg", "report.json"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	if err := r.wrong(); err != nil {
		t.Error(err)
	}
	r.Sweeps[1].Points[1].Result.Verdict = bad
	if err := r.wrong(); err == nil || !strings.Contains(err.Error(), "sweep restart, 90") {
		t.Errorf("a wrong table: %v", err)
	}
}
