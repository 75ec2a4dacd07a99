package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
)

// TestReport: medians, ratios and doubts are in it; a table that is wrong makes it fail for those that promise to be right, and not for the others.
func TestReport(t *testing.T) {
	good, bad := trial.Verdict{Tables: 450, Exact: 450}, trial.Verdict{Tables: 450, Exact: 81, Over: 12, Wrong: "region eu: line 1"}
	r := report{Machine: process.Machine{CPUs: 2, Go: "go1.x"}, Workload: workload.Default(), Engines: []engineReport{
		{Name: boundName, What: "plain", Runs: []trial.Result{{Rate: 1_000_000, CPU: 1, PeakRSS: 100 << 20, Verdict: good}, {Rate: 1_200_000, CPU: 2, PeakRSS: 120 << 20, Verdict: good}, {Rate: 1_100_000, CPU: 3, PeakRSS: 110 << 20, Verdict: good}}},
		{Name: millrankName, What: "ours", Runs: []trial.Result{{Rate: 550_000, CPU: 4, PeakRSS: 220 << 20, Verdict: good}}},
		{Name: "flink", What: "theirs.", Runs: []trial.Result{{Rate: 110_000, CPU: 20, PeakRSS: 1 << 30, Verdict: bad}}},
	}}
	r.reckon()
	text := r.markdown()
	for _, want := range []string{"1,100,000 (1,000,000–1,200,000)", "550,000", "| 0.50 |", "| 2.00 |", "450 of 450", "81 of 450", "12 events too many", "go1.x", "rate.svg"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the report:\n%s", want, text)
		}
	}
	if lines := strings.Split(r.benchmarks(), "\n"); len(lines) != 6 || lines[3] != "BenchmarkJob/engine=millrank 1 0 ns/op 550000 events/s 4.0000 cpu-s/M 230686720 peak-B" {
		t.Errorf("for benchstat there are %q", lines)
	}
	if err := r.wrong(); err != nil {
		t.Errorf("another engine's tables made it fail: %v", err)
	}
	r.Engines[1].Runs[0].Verdict = bad
	if err := r.wrong(); err == nil || !strings.Contains(err.Error(), "region eu") {
		t.Errorf("Millrank's tables are wrong, and it says %v", err)
	}
}

func TestParse(t *testing.T) {
	var out bytes.Buffer
	c, err := parse([]string{"-only", "millrank", "-events", "1000", "-set", "a=b", "-set", "c=d,e"}, &out)
	if err != nil || strings.Join(c.only, " ") != "millrank" || c.workload.Events != 1000 || len(c.set) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := parse([]string{"-only", "", "-peers"}, &out); err != nil || len(c.only) != 6 {
		t.Errorf("%v, %v", c.only, err)
	}
	if c, err := parse([]string{"-program", "old=/tmp/a", "-program", "new=/tmp/b=c"}, &out); err != nil || len(c.programs) != 2 || c.programs[1] != (build{"new", "/tmp/b=c"}) {
		t.Errorf("%v, %v", c.programs, err)
	}
	for _, bad := range []string{"-only=spark", "-program=old", "-runs=0", "-events=0", "-skew=1", "more"} {
		if _, err := parse([]string{bad}, &out); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
