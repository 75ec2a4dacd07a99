package main

import (
	"fmt"
	"time"

	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/pipeline/settings"
)

// point is one place of a sweep: a workload, and how Millrank is set.
type point struct {
	x        float64
	workload workload.Settings
	engine   trial.Millrank
}

// sweep changes one thing, and leaves the rest.
type sweep struct {
	name, title string
	x           string // what is changed, with its unit
	log         bool   // by powers
	memory      bool   // memory is what is looked at, not speed
	points      []point
	// live says how many of something there are in memory at a point, and what: memory for each is the slope over the points. nil where that isn't asked.
	live func(p point, o workload.Oracle) float64
	each string
}

// sweeps returns all sweeps that have the job done, over so many events.
func sweeps(base workload.Settings, program string) []sweep {
	engine := trial.Millrank{Program: program}
	byWorkload := func(change func(*workload.Settings, float64), values ...float64) (points []point) {
		for _, x := range values {
			w := base
			change(&w, x)
			points = append(points, point{x, w, engine})
		}
		return points
	}
	bySettings := func(change func(*settings.Settings, float64), values ...float64) (points []point) {
		for _, x := range values {
			e := engine
			e.Adjust = func(s *settings.Settings) { change(s, x) }
			points = append(points, point{x, base, e})
		}
		return points
	}
	all := []sweep{
		{
			name: "items", title: "How many items there are", x: "items", log: true,
			points: byWorkload(func(w *workload.Settings, x float64) { w.Items = int64(x) }, 1e3, 1e4, 1e5, 1e6, 1e7),
		},
		{
			name: "skew", title: "How unevenly events fall on items", x: "Zipf's exponent",
			points: byWorkload(func(w *workload.Settings, x float64) { w.Skew = x }, 1.01, 1.1, 1.3, 1.6, 2),
		},
		{
			name: "partitions", title: "Partitions of the events topic", x: "partitions", log: true,
			points: byWorkload(func(w *workload.Settings, x float64) { w.Partitions = int(x) }, 1, 2, 4, 8, 16, 32, 64),
		},
		{
			name: "shards", title: "Shards: partitions of the updates topic", x: "shards", log: true,
			points: bySettings(func(s *settings.Settings, x float64) { s.Topics.Updates.Partitions = int(x) }, 1, 2, 4, 8, 16),
		},
		{
			name: "batch", title: "How many records are read together (limits.batch_records)", x: "records", log: true,
			points: bySettings(func(s *settings.Settings, x float64) {
				s.Limits.BatchRecords, s.Limits.BatchBytes = int(x), settings.Bytes(max(64<<10, int64(x)*256))
			}, 64, 256, 1024, 4096, 16384),
		},
		{
			name: "window", title: "How long windows are", x: "seconds", log: true,
			points: byWorkload(func(w *workload.Settings, x float64) {
				w.Window, w.Late = time.Duration(x)*time.Second, 0 // late ones would not be late enough for a long window
			}, 1, 5, 10, 60, 300),
		},
		{
			name: "flush", title: "How often updates are flushed (flush.updates, flush.rankings)", x: "milliseconds", log: true,
			points: bySettings(func(s *settings.Settings, x float64) {
				every := settings.Duration(time.Duration(x) * time.Millisecond)
				s.Flush.Updates, s.Flush.Rankings = every, every
			}, 25, 100, 250, 1000, 4000),
		},
		boards(bySettings),
		{
			name: "processes", title: "Processes on this machine", x: "processes",
			points: []point{{1, base, engine}, {2, base, many(engine, 2)}, {4, base, many(engine, 4)}},
		},
	}
	return append(all, memory(base, engine)...)
}

// memory returns the sweeps that are about memory.
func memory(base workload.Settings, engine trial.Millrank) []sweep {
	base.Late = 0
	var cells, ids, panes []point
	for _, x := range []float64{1e4, 1e5, 1e6, 1e7} {
		w := base
		w.Items, w.PerSecond = int64(x), max(1, base.Events*int64(time.Second)/int64(base.Window)) // all in one window
		cells = append(cells, point{x, w, engine})
	}
	base.PerSecond = max(1, base.Events/500) // 500 s: event time passes more slowly, so that more fits into it
	for _, x := range []float64{45, 90, 180, 360} {
		e := engine
		e.Adjust = func(s *settings.Settings) { s.Dedup.Horizon = settings.Duration(time.Duration(x) * time.Second) }
		ids = append(ids, point{x, base, e})
	}
	for _, x := range []float64{30, 60, 120, 240, 480} {
		w, e := base, engine
		w.AllowedLateness = time.Duration(x) * time.Second
		e.Adjust = func(s *settings.Settings) { s.Dedup.Horizon = settings.Duration(45 * time.Second) }
		panes = append(panes, point{x, w, e})
	}
	return []sweep{
		{
			name: "horizon", title: "How long event IDs are remembered (dedup.horizon)", x: "seconds", memory: true, points: ids,
			live: func(p point, _ workload.Oracle) float64 { return p.x * float64(p.workload.PerSecond) }, each: "event ID",
		},
		{
			name: "panes", title: "How long panes stay open (time.allowed_lateness)", x: "seconds", memory: true, points: panes,
			live: livePanes, each: fmt.Sprintf("pane, of %d events", base.PerSecond*int64(base.Window.Seconds())),
		},
		{
			name: "cells", title: "How many items there are, where all events are in one window", x: "items", log: true, memory: true, points: cells,
			live: liveCells, each: "item of a region and window (in the intake and in rank together)",
		},
	}
}

// livePanes is how many panes are open at once.
func livePanes(p point, _ workload.Oracle) float64 {
	w := p.workload
	return float64(w.Window+w.AllowedLateness+w.OutOfOrderness) / float64(w.Window)
}

// liveCells is how many cells there are where no window closes: items of a region.
func liveCells(_ point, o workload.Oracle) float64 { return float64(o.Cells) }

// boards has more and more boards, each the same but for its name; the first one's lists are checked.
func boards(bySettings func(func(*settings.Settings, float64), ...float64) []point) sweep {
	return sweep{
		name: "boards", title: "Boards over the same events", x: "boards",
		points: bySettings(func(s *settings.Settings, x float64) {
			for i := 1; i < int(x); i++ {
				further := s.Boards[0]
				further.Name = fmt.Sprintf("further-%d", i)
				s.Boards = append(s.Boards, further)
			}
		}, 1, 2, 4, 8),
	}
}

func many(e trial.Millrank, processes int) trial.Millrank {
	e.Processes = processes
	return e
}
