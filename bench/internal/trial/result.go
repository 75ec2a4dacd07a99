package trial

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/workload"
)

// NewBench writes the events into a new topic of a broker, and makes the oracle.
func NewBench(ctx context.Context, kafka process.Server, topic string, w workload.Settings, folder string, progress *log.Logger) (Bench, error) {
	b := Bench{Kafka: kafka, Topic: topic, Workload: w, Folder: folder, Progress: progress, Patience: 20 * time.Minute}
	progress.Printf("writing %d events", w.Events)
	said := time.Now()
	err := workload.Produce(ctx, kafka.Addresses, topic, w, func(events int64) {
		if now := time.Now(); now.Sub(said) > 5*time.Second {
			said = now
			progress.Printf("  %d events, %d %%", events, events*100/w.Events)
		}
	})
	if err != nil {
		return b, err
	}
	progress.Print("counting them, for the oracle")
	b.Oracle = workload.NewOracle(w)
	progress.Printf("  %d tables; %d events are sent again, %d are late", len(b.Oracle.Tables), b.Oracle.Again, b.Oracle.Late)
	return b, nil
}

// Median returns the medians of all numbers, each for itself; of two in the middle, the lower rate and the higher need. The verdict is the first run's that is not
// exact.
func Median(runs []Result) Result {
	if len(runs) == 0 {
		return Result{}
	}
	low := func(of func(Result) float64) float64 { return middle(runs, of, (len(runs)-1)/2) }
	high := func(of func(Result) float64) float64 { return middle(runs, of, len(runs)/2) }
	m := Result{
		Engine:  runs[0].Engine,
		Seconds: high(func(r Result) float64 { return r.Seconds }),
		Rate:    low(func(r Result) float64 { return r.Rate }), Warm: low(func(r Result) float64 { return r.Warm }),
		Disk: runs[0].Disk,
		CPU:  high(func(r Result) float64 { return r.CPU }), Broker: high(func(r Result) float64 { return r.Broker }),
		PeakRSS: int64(high(func(r Result) float64 { return float64(r.PeakRSS) })), Foreign: high(func(r Result) float64 { return r.Foreign }),
		Output: int64(high(func(r Result) float64 { return float64(r.Output) })), Verdict: runs[0].Verdict,
	}
	for _, r := range runs {
		if !r.Verdict.AllExact() {
			m.Verdict = r.Verdict
			break
		}
	}
	return m
}

func middle(runs []Result, of func(Result) float64, at int) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[at]
}

// String returns it in a line.
func (r Result) String() string {
	return fmt.Sprintf("%.0f events/s from launch (%.2f s), %.0f warm; %.2f s of CPU per million events (the broker %.2f); %d MiB; foreign CPUs: %.2f; %s",
		r.Rate, r.Seconds, r.Warm, r.CPU, r.Broker, r.PeakRSS>>20, r.Foreign, r.Verdict)
}

// String returns it in a line.
func (v Verdict) String() string {
	text := fmt.Sprintf("%d of %d tables exact", v.Exact, v.Tables)
	if v.Missing > 0 {
		text += fmt.Sprintf(", %d missing", v.Missing)
	}
	if v.Over > 0 || v.Under > 0 {
		text += fmt.Sprintf(", %d events too many, %d too few", v.Over, v.Under)
	}
	if v.Wrong != "" {
		text += "; " + v.Wrong
	}
	return text
}
