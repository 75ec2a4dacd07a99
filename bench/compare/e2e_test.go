//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/trial"
)

func TestMain(m *testing.M) { process.Tests(m, trial.Parts()) }

// TestRun has the bound and the built program do a small job on a real Kafka, once.
func TestRun(t *testing.T) {
	folder := t.TempDir()
	var out bytes.Buffer
	// 200 s of event time, so that there are late events.
	args := []string{"-events", "50000", "-per-second", "250", "-items", "5000", "-runs", "1", "-warm-up=false", "-json", "-out", folder}
	if err := start(t.Context(), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Engines) != 2 {
		t.Fatalf("%d engines", len(r.Engines))
	}
	for _, e := range r.Engines {
		v := e.Median.Verdict
		if v.Tables != 180 || !v.AllExact() {
			t.Errorf("%s: %v", e.Name, v)
		}
		if e.Median.Rate <= 0 || e.Median.CPU <= 0 || e.Median.PeakRSS <= 0 || e.RateToBound <= 0 {
			t.Errorf("%+v", e)
		}
	}
	if r.Engines[1].Median.Disk["updates"] == 0 {
		t.Errorf("nobody knows how large the updates are: %v", r.Engines[1].Median.Disk)
	}
	for _, name := range []string{"report.md", "report.json", "rate.svg", "cpu.svg", "memory.svg"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
