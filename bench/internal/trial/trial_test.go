package trial

import (
	"log"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/workload"
)

func TestMain(m *testing.M) { process.Tests(m, Parts()) }

// TestBound has the bound do the job on the embedded Kafka; then the same against an oracle that wants something else.
func TestBound(t *testing.T) {
	kafka, err := process.StartKafka(t.Context(), process.Kfake)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := kafka.Stop(); err != nil {
			t.Error(err)
		}
	}()
	b, err := NewBench(t.Context(), kafka, "events", small(), t.TempDir(), log.New(t.Output(), "", 0))
	if err != nil {
		t.Fatal(err)
	}
	b.Patience = time.Minute
	r, err := b.Run(t.Context(), Bound{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if v := r.Verdict; !v.AllExact() || v.Over != 0 || v.Under != 0 {
		t.Error(v)
	}
	if r.Rate <= 0 || r.CPU <= 0 || r.CPU > 1000 || r.PeakRSS < 1<<20 || r.Seconds <= 0 || r.Output == 0 {
		t.Errorf("%+v", r)
	}

	key := workload.Key{Window: workload.First, Region: "sa"}
	wanted := b.Oracle.Tables[key]
	b.Oracle.Tables[key] = workload.Table{Events: wanted.Events + 1, Lines: wanted.Lines[:len(wanted.Lines)-1]}
	r, err = b.Run(t.Context(), Bound{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Verdict; v.Exact != v.Tables-1 || v.Under != 1 || !strings.Contains(v.Wrong, "region sa") {
		t.Error(v)
	}
}

func TestMedian(t *testing.T) {
	good, bad := Verdict{Tables: 2, Exact: 2}, Verdict{Tables: 2, Exact: 1}
	m := Median([]Result{{Rate: 3, CPU: 1, PeakRSS: 7, Verdict: good}, {Rate: 1, CPU: 5, PeakRSS: 9, Verdict: bad}, {Rate: 2, CPU: 4, PeakRSS: 8, Verdict: good}})
	if m.Rate != 2 || m.CPU != 4 || m.PeakRSS != 8 || m.Verdict != bad {
		t.Errorf("%+v", m)
	}
	if m := Median([]Result{{Rate: 3, CPU: 1}, {Rate: 1, CPU: 5}}); m.Rate != 1 || m.CPU != 5 {
		t.Errorf("of two it is not the worse one: %+v", m)
	}
}
