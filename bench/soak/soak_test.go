//go:build e2e

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/testserver"
)

func TestMain(m *testing.M) { process.Tests(m, parts()) }

// TestSoak: the whole of it, for half a minute, with a process killed and Redis emptied. All is exact, and the report says so.
func TestSoak(t *testing.T) {
	testserver.Require(t, apachekafka.Available())
	_, err := redisserver.Find()
	testserver.Require(t, err)
	clickhousetest.Require(t)
	var out bytes.Buffer
	folder := t.TempDir()
	r, err := start(t.Context(), []string{
		"-rate", "2000", "-duration", "30s", "-every", "12s", "-only", "kill,redis-empty", "-processes", "2", "-partitions", "4", "-items", "2000", "-seed", "11", "-out", folder,
	}, &out, t.Output())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	e := r.Exactness
	if len(r.Faults) != 2 || r.Produced < 55_000 || e.Records != r.Produced || e.Cells < 5000 || e.Lists < 50 || e.Decided["malformed"] == 0 || e.Decided["future"] == 0 || e.Decided["duplicate"] == 0 {
		t.Errorf("it shows nothing: %d faults, %d records, %+v", len(r.Faults), r.Produced, e)
	}
	answered := map[int]int{}
	for _, s := range r.Processes {
		if s.Goroutines > 0 {
			answered[s.Slot]++
		}
	}
	if len(r.Stream) < 5 || answered[0] < 5 || answered[1] < 5 {
		t.Errorf("%d samples of the stream, %d of processes, of which %v say how many goroutines there are", len(r.Stream), len(r.Processes), answered)
	}
	text, err := os.ReadFile(filepath.Join(r.folder, "report.md"))
	if err != nil || !strings.Contains(string(text), "PASSED") {
		t.Errorf("the report: %v\n%s", err, text)
	}
	for _, file := range []string{"report.json", "memory.svg", "goroutines.svg", "files.svg", "cpu.svg", "rate.svg", "lag.svg", "freshness.svg"} {
		if _, err := os.Stat(filepath.Join(r.folder, file)); err != nil {
			t.Error(err)
		}
	}
}
