package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestJudgeFlat: what goes up and down is flat, what only grows is not, what settles at first is, and too little is not judged.
func TestJudgeFlat(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	const mib = 1 << 20
	memory := tolerance{Share: 0.1, Least: 8 * mib}
	noise := func() float64 { return 20 * mib * (random.Float64() - 0.5) }
	for _, c := range []struct {
		name         string
		seconds      int
		at           func(second float64) float64
		judged, flat bool
	}{
		{"noise", 600, func(float64) float64 { return 200*mib + noise() }, true, true},
		{"a leak of 100 KiB/s", 600, func(s float64) float64 { return 200*mib + s*0.1*mib + noise() }, true, false},
		{"a leak of 10 KiB/s over an hour", 3600, func(s float64) float64 { return 200*mib + s*0.01*mib + noise() }, true, true}, // 17 MiB in half an hour, of 20 allowed
		{"a leak of 20 KiB/s over an hour", 3600, func(s float64) float64 { return 200*mib + s*0.02*mib + noise() }, true, false},
		{"it settles in the first minute", 600, func(s float64) float64 { return 200*mib*min(1, s/60) + noise() }, true, true},
		{"it settles in the first half", 600, func(s float64) float64 { return 200*mib*min(1, s/300) + noise() }, true, true},
		{"it falls", 600, func(s float64) float64 { return 400*mib - s*0.1*mib }, true, true},
		{"saw teeth", 600, func(s float64) float64 { return 200*mib + 50*mib*math.Mod(s, 20)/20 }, true, true},
		{"too short", 100, func(float64) float64 { return 200 * mib }, false, false},
		{"nothing", 0, nil, false, false},
	} {
		var points []point
		for s := range c.seconds {
			points = append(points, point{float64(s), c.at(float64(s))})
		}
		got, judged := judgeFlat(points, time.Minute, memory)
		if judged != c.judged || got.Flat != c.flat {
			t.Errorf("%s: %+v, judged: %v; want judged %v, flat %v", c.name, got, judged, c.judged, c.flat)
		}
	}
	if slope, mean := fit([]point{{1, 3}, {2, 5}, {3, 7}}); slope != 2 || mean != 5 {
		t.Errorf("slope %v, mean %v, want 2 and 5", slope, mean)
	}
}
