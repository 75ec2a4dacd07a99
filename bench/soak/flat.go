package main

import (
	"fmt"
	"math"
	"time"
)

// point is a measurement at a moment, seconds since the start of the run.
type point struct{ at, value float64 }

// tolerance is by how much a measurement may grow, by a line fitted to it, over the stretch that is looked at: a share of what it is in the middle, or so much.
type tolerance struct {
	Share float64 `json:"share"`
	Least float64 `json:"at_least"`
}

// trend is how a measurement went over a stretch.
type trend struct {
	Samples int     `json:"samples"`
	From    float64 `json:"from_s"` // seconds since the start of the run
	Until   float64 `json:"until_s"`
	Middle  float64 `json:"middle"`
	Growth  float64 `json:"growth"` // by the line, from the first to the last sample; negative where it fell
	Allowed float64 `json:"allowed"`
	Flat    bool    `json:"flat"`
}

// Fewer samples, or over less time, say nothing: a level moves by a step now and then, when connections are opened anew or a partition comes.
const (
	samplesLeast = 30
	stretchLeast = 2 * time.Minute
)

// judgeFlat fits a line to the second half of what is left when the settling is over, and says whether it is flat. It reports false where that is too short.
func judgeFlat(points []point, settle time.Duration, t tolerance) (trend, bool) {
	if len(points) == 0 {
		return trend{}, false
	}
	begin, end := points[0].at+settle.Seconds(), points[len(points)-1].at
	middle := begin + (end-begin)/2
	var half []point
	for _, p := range points {
		if p.at >= middle {
			half = append(half, p)
		}
	}
	if begin >= end || len(half) < samplesLeast || half[len(half)-1].at-half[0].at < stretchLeast.Seconds() {
		return trend{}, false
	}
	slope, mean := fit(half)
	r := trend{Samples: len(half), From: half[0].at, Until: half[len(half)-1].at, Middle: mean}
	r.Growth = slope * (r.Until - r.From)
	r.Allowed = max(t.Least, t.Share*mean)
	r.Flat = r.Growth <= r.Allowed
	return r, true
}

// fit returns the slope of the line of least squares, and the mean.
func fit(points []point) (slope, mean float64) {
	var n, x, y float64
	for _, p := range points {
		n, x, y = n+1, x+p.at, y+p.value
	}
	x, y = x/n, y/n
	var xy, xx float64
	for _, p := range points {
		xy += (p.at - x) * (p.value - y)
		xx += (p.at - x) * (p.at - x)
	}
	if xx == 0 {
		return math.NaN(), y
	}
	return xy / xx, y
}

// String says how it went, with its numbers shown by a function.
func (t trend) text(show func(float64) string) string {
	return fmt.Sprintf("%s, growth %s in %.0f s (allowed %s)", show(t.Middle), show(t.Growth), t.Until-t.From, show(t.Allowed))
}
