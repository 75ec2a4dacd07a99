package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded/clickhousetest"
)

func TestSteadyReport(t *testing.T) {
	began := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	r := &steady{Settings: config{Rate: 1000, Duration: 20 * time.Second, Warmup: 5 * time.Second}, Produced: 20, Counted: 20}
	var probes []probe
	for i := range 25 { // a second apart, and slower in the last five seconds
		p := probe{Number: i, Sent: began.Add(time.Duration(i) * time.Second).UnixNano(), Took: 300 * time.Millisecond, Seen: true, Measured: i >= 5}
		if i >= 20 {
			p.Took = 900 * time.Millisecond
		}
		probes = append(probes, p)
	}
	for i := range 25 {
		r.Moments = append(r.Moments, moment{Seconds: float64(i), Processed: int64(i * 1000), Lag: int64(i), Millrank: int64(i) << 20})
	}
	at := func(seconds int) used {
		return used{began.Add(time.Duration(seconds) * time.Second), map[string]time.Duration{"millrank": time.Duration(seconds) * time.Second / 2, machine: time.Duration(seconds) * time.Second}}
	}
	r.add(began, at(5), at(25), probes)
	if len(r.Times) != 5 || r.Times[3].Spread.P99 != 300 || r.Times[4].Spread.P50 != 900 || r.Times[4].Seconds != 20 {
		t.Errorf("over time: %+v", r.Times)
	}
	if r.Probes != 20 || r.Lost != 0 || r.Freshness.P50 != 300 || r.Freshness.P99 != 900 || r.CPU["millrank"] != 0.5 || r.Others != 0.5 {
		t.Errorf("%+v", r)
	}
	folder := t.TempDir()
	if err := errors.Join(r.write(folder), r.wrong()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 300 ms | 900 ms | 900 ms | 900 ms | 24 events | 24 MiB | 20 of 20 | 0 of 20 |", "millrank 0.50", "](lag.svg)"} {
		if !strings.Contains(r.markdown(), want) {
			t.Errorf("%q is not in the report:\n%s", want, r.markdown())
		}
	}
	for _, name := range []string{"freshness.svg", "lag.svg", "memory.svg", "report.md", "report.json"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	r.Counted--
	r.Lost = 1
	if err := r.wrong(); err == nil || !strings.Contains(err.Error(), "19 counted") || !strings.Contains(err.Error(), "never seen") {
		t.Errorf("what is wrong is said to be %v", err)
	}
}

// TestSteady has the built program work for some seconds, at a low rate, with embedded servers.
func TestSteady(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	clickhousetest.Require(t)
	var out bytes.Buffer
	args := []string{
		"-steady", "-redis", "embedded", "-rate", "1000", "-warmup", "2s", "-duration", "3s", "-regions", "15", "-items", "1000",
		"-partitions", "3", "-shards", "2", "-lanes", "2", "-probe", "50ms", "-json", "-out", t.TempDir(),
	}
	if err := start(t.Context(), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r steady
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Counted < 5000 || r.Probes < 10 || len(r.Moments) < 2 || len(r.Times) == 0 {
		t.Errorf("%+v", r)
	}
	last := r.Moments[len(r.Moments)-1]
	if last.Processed == 0 || last.Millrank < 1<<20 || last.Redis < 1<<20 || last.History < 1<<20 {
		t.Errorf("in the end: %+v", last)
	}
}
