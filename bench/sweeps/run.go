package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/pipeline/settings"
)

// stand is where points are measured: a broker, and the events that were written last.
type stand struct {
	kafka    process.Server
	folder   string
	progress *log.Logger
	bench    *trial.Bench // nil until there are events
	written  int          // topics so far
}

// runJobs makes the sweeps that have the job done.
func runJobs(ctx context.Context, c config, program, folder string, progress *log.Logger, r *report) (err error) {
	wanted := slices.DeleteFunc(sweeps(c.workload, program), func(s sweep) bool { return !c.wants(s.name) })
	if len(wanted) == 0 && !c.wants(restartName) {
		return nil
	}
	progress.Print("starting Apache Kafka")
	kafka, err := process.StartKafka(ctx, process.Real)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.Stop()) }()
	at := &stand{kafka: kafka, folder: folder, progress: progress}
	for _, s := range wanted {
		made, err := at.sweep(ctx, c, s)
		if err != nil {
			return fmt.Errorf("sweep %s: %w", s.name, err)
		}
		r.Sweeps = append(r.Sweeps, made)
	}
	if c.wants(restartName) {
		made, err := at.restarts(ctx, c, program)
		if err != nil {
			return fmt.Errorf("sweep %s: %w", restartName, err)
		}
		r.Sweeps = append(r.Sweeps, made)
	}
	return nil
}

// sweep measures all points of a sweep.
func (s *stand) sweep(ctx context.Context, c config, sw sweep) (swept, error) {
	s.progress.Printf("sweep %s: %d points", sw.name, len(sw.points))
	made := swept{Name: sw.name, Title: sw.title, X: sw.x, Log: sw.log, Memory: sw.memory, Each: sw.each}
	for _, p := range sw.points {
		if err := s.have(ctx, p.workload); err != nil {
			return made, err
		}
		var runs []trial.Result
		for range c.runs {
			result, err := s.bench.Run(ctx, p.engine)
			if err != nil {
				return made, fmt.Errorf("%v %s: %w", p.x, sw.x, err)
			}
			runs = append(runs, result)
		}
		median := trial.Median(runs)
		at := measured{X: p.x, Result: median, Updates: float64(median.Disk["updates"]) / float64(p.workload.Events)}
		if sw.live != nil {
			at.Live = sw.live(p, s.bench.Oracle)
		}
		s.progress.Printf("  %v %s: %s", p.x, sw.x, median)
		made.Points = append(made.Points, at)
	}
	made.reckon()
	return made, nil
}

// restarts kills Millrank in the middle of the job, with longer and longer horizons.
func (s *stand) restarts(ctx context.Context, c config, program string) (swept, error) {
	made := swept{Name: restartName, Title: "A restart after a crash, by how long event IDs are remembered", X: "seconds of event time"}
	w := memory(c.workload, trial.Millrank{})[0].points[0].workload
	s.progress.Printf("sweep %s", made.Name)
	if err := s.have(ctx, w); err != nil {
		return made, err
	}
	for _, x := range []float64{45, 90, 180, 360} {
		m := trial.Millrank{Program: program, Adjust: func(s *settings.Settings) {
			s.Dedup.Horizon = settings.Duration(time.Duration(x) * time.Second)
			s.Kafka.GroupInstanceID = "bench" // else the broker waits for the dead process until its session has timed out
		}}
		restarted, err := s.bench.Restart(ctx, m, 0.6)
		if err != nil {
			return made, fmt.Errorf("horizon %v s: %w", x, err)
		}
		s.progress.Printf("  %v %s: ready after %.2f s; %s", x, made.X, restarted.Ready, restarted.Verdict)
		made.Points = append(made.Points, measured{X: x, Ready: restarted.Ready, Result: trial.Result{Verdict: restarted.Verdict}})
	}
	return made, nil
}

// have has these events in the topic, writes them where they aren't there, and deletes the ones before.
func (s *stand) have(ctx context.Context, w workload.Settings) error {
	if s.bench != nil && s.bench.Workload == w {
		return nil
	}
	if s.bench != nil {
		if err := s.bench.Forget(); err != nil {
			return err
		}
		s.bench = nil
	}
	if err := w.Validate(); err != nil {
		return err
	}
	s.written++
	b, err := trial.NewBench(ctx, s.kafka, fmt.Sprintf("events-%d.", s.written), w, s.folder, s.progress)
	if err != nil {
		return err
	}
	b.Patience = 5 * time.Minute
	s.bench = &b
	return nil
}
