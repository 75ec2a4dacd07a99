package main

import (
	"context"
	"runtime/debug"
	"slices"

	"github.com/millrank/millrank/bench/internal/process"
)

// round is what one reading took. Rates are in records per second.
type round struct {
	Records   int64   `json:"records"`
	FromStart float64 `json:"per_second_from_start"` // since before the client was made
	FromFirst float64 `json:"per_second_from_first"` // since the first record came
	CPU       float64 `json:"cpu_seconds_per_million"`
	PeakRSS   int64   `json:"peak_rss_bytes"`
}

// measured is a way with its rounds.
type measured struct {
	way    way
	rounds []round
}

// measure has one way read n records.
func measure(ctx context.Context, w way, n int64) (round, error) {
	debug.FreeOSMemory() // what came before is not this one's
	if err := process.ResetPeakRSS(); err != nil {
		return round{}, err
	}
	begin, err := now()
	if err != nil {
		return round{}, err
	}
	r, err := w.read(ctx, topicName, n)
	if err != nil {
		return round{}, err
	}
	end, err := now()
	if err != nil {
		return round{}, err
	}
	if !r.begin.time.IsZero() {
		begin = r.begin
	}
	peak, err := process.PeakRSS()
	if err != nil {
		return round{}, err
	}
	return round{
		Records:   r.records,
		FromStart: float64(r.records) / r.done.Sub(begin.time).Seconds(),
		FromFirst: float64(r.records) / r.done.Sub(r.first).Seconds(),
		CPU:       (end.cpu - begin.cpu).Seconds() / float64(r.records) * 1e6,
		PeakRSS:   peak,
	}, nil
}

// median returns the median of one number of all rounds; of two in the middle, the lower.
func (m measured) median(of func(round) float64) float64 {
	values := make([]float64, len(m.rounds))
	for i, r := range m.rounds {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// middle returns the medians of all numbers, each for itself.
func (m measured) middle() round {
	return round{
		Records:   int64(m.median(func(r round) float64 { return float64(r.Records) })),
		FromStart: m.median(func(r round) float64 { return r.FromStart }),
		FromFirst: m.median(func(r round) float64 { return r.FromFirst }),
		CPU:       m.median(func(r round) float64 { return r.CPU }),
		PeakRSS:   int64(m.median(func(r round) float64 { return float64(r.PeakRSS) })),
	}
}
