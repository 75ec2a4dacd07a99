package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// sweepFreshness runs program freshness at one load after the other. A load that the machine can't keep up with is no error: it is what is looked for.
func sweepFreshness(ctx context.Context, c config, folder string, progress *log.Logger) (swept, error) {
	made := swept{Name: freshnessName, Title: "From an event's being produced to its being seen in Redis, by load", X: "events per second", Log: true}
	progress.Printf("sweep %s: %d points", made.Name, len(c.loads))
	program := filepath.Join(folder, "freshness")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/millrank/millrank/bench/freshness")
	if out, err := build.CombinedOutput(); err != nil {
		return made, fmt.Errorf("building bench/freshness: %w\n%s", err, out)
	}
	for _, load := range c.loads {
		p, err := freshness(ctx, program, load, c)
		if err != nil {
			return made, fmt.Errorf("freshness at %d events/s: %w", load, err)
		}
		progress.Printf("  %d events/s: p50 %.0f ms, p99 %.0f ms, %d events behind in the end", load, p.P50, p.P99, p.Lag)
		made.Points = append(made.Points, p)
	}
	return made, nil
}

// freshness measures at one load.
func freshness(ctx context.Context, program string, load int64, c config) (measured, error) {
	command := exec.CommandContext(ctx, program, "-broker", "real", "-rate", strconv.FormatInt(load, 10), "-duration", c.freshness.String(), "-warmup", "3s", "-json")
	command.Stderr = os.Stderr
	out, failed := command.Output() // it fails where probes were lost, and says so in its result
	var r struct {
		Freshness struct {
			P50 float64 `json:"p50_ms"`
			P99 float64 `json:"p99_ms"`
		} `json:"freshness"`
		Lost   int `json:"lost"`
		Engine struct {
			PerSecond float64 `json:"processed_per_second"`
			Lag       int64   `json:"lag_events"`
			PeakRSS   int64   `json:"peak_rss_bytes"`
		} `json:"engine"`
		CPU map[string]float64 `json:"cpu_seconds_per_million"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return measured{}, fmt.Errorf("its result: %w (%w)", err, failed)
	}
	p := measured{X: float64(load), P50: r.Freshness.P50, P99: r.Freshness.P99, Lost: r.Lost, Lag: r.Engine.Lag}
	p.Result.Rate, p.Result.CPU, p.Result.PeakRSS = r.Engine.PerSecond, r.CPU["engine"], r.Engine.PeakRSS
	return p, nil
}
