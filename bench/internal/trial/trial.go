package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/workload"
)

// Result is one run of an engine. Rates are events per second.
type Result struct {
	Engine string `json:"engine"`
	// Seconds is from the start of the process to the last row that changed a table, by the broker's clock.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"events_per_second"` // from the start of the process
	// Warm is the rate between the last row of the window at 20 % of the event time and that of the window at 90 %; 0 where there are too few windows.
	Warm float64 `json:"events_per_second_warm"`
	// CPU is user and system time of the process, per million events, up to that row; Broker that of Kafka.
	CPU     float64 `json:"cpu_seconds_per_million"`
	Broker  float64 `json:"broker_cpu_seconds_per_million"`
	PeakRSS int64   `json:"peak_rss_bytes"`
	// Foreign is how many CPUs were taken by others than the engine, the broker and this program.
	Foreign float64 `json:"foreign_cpus"`
	Output  int64   `json:"output_bytes"`
	// Disk is how many bytes the broker stores of the engine's topics, compressed, by what comes last in their names.
	Disk    map[string]int64 `json:"disk_bytes"`
	Verdict Verdict          `json:"verdict"`
}

// Bench is what all runs have in common.
type Bench struct {
	Kafka    process.Server
	Topic    string // of the events
	Workload workload.Settings
	Oracle   workload.Oracle
	Folder   string // for what engines log and keep
	Progress *log.Logger
	Patience time.Duration // how long a run may take
}

// Quiet times after which nothing more is expected: of an engine that goes on, of one that has ended, and where all is exact already.
const (
	quietRunning = 6 * time.Second
	quietEnded   = 2 * time.Second
	quietExact   = time.Second
)

// Run has an engine do the job once. An engine that gets it wrong is no error: the verdict says so.
func (b Bench) Run(ctx context.Context, e Engine) (r Result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.Patience, fmt.Errorf("it did not finish within %v", b.Patience))
	defer cancel()
	round, err := b.round(e)
	if err != nil {
		return r, err
	}
	launch, err := e.Launch(ctx, round)
	if err != nil {
		return r, fmt.Errorf("%s: %w", e.Name(), err)
	}
	defer func() { err = errors.Join(err, b.remove(round.Name)) }()
	t := newTables(b.Oracle)
	f, err := follow(ctx, b.Kafka.Addresses, launch, t)
	if err != nil {
		return r, fmt.Errorf("%s: %w", e.Name(), err)
	}
	defer f.close()
	around, err := b.lookAround()
	if err != nil {
		return r, err
	}
	group, err := launchAll(launch, filepath.Join(round.Folder, "log"))
	if err != nil {
		return r, fmt.Errorf("%s: %w", e.Name(), err)
	}
	beside := make(chan error, 1)
	if launch.Beside != nil {
		go func() { beside <- launch.Beside(ctx) }()
	} else {
		beside <- nil
	}
	verdict, err := b.await(ctx, e, launch, group, f)
	if err = errors.Join(err, <-beside); err == nil {
		r, err = b.result(e, group, f, around)
		r.Verdict = verdict
		var errDisk error
		r.Disk, errDisk = b.disk(ctx, round.Name)
		err = errors.Join(err, errDisk)
	}
	if err = errors.Join(err, group.stop()); err != nil {
		return r, fmt.Errorf("%s: %w\n%s", e.Name(), err, logTail(round.Folder))
	}
	return r, nil
}

// round makes ready what a run needs of its own.
func (b Bench) round(e Engine) (Round, error) {
	name := fmt.Sprintf("%s-%d", e.Name(), time.Now().UnixMilli())
	r := Round{Brokers: b.Kafka.Addresses, Topic: b.Topic, Workload: b.Workload, Folder: filepath.Join(b.Folder, name), Name: name}
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return r, fmt.Errorf("%s: %w", e.Name(), err)
	}
	return r, nil
}

// Forget deletes the topic of the events.
func (b Bench) Forget() error { return b.remove(b.Topic) }

// await returns the verdict once the output stands. Meanwhile it says how far the engine is.
func (b Bench) await(ctx context.Context, e Engine, l Launch, g *group, f *follower) (Verdict, error) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	said := time.Now()
	for {
		s, err := f.look(l.Total)
		if err != nil {
			return Verdict{}, err
		}
		ended := g.ended()
		if s.complete && (s.verdict.AllExact() && s.quiet > quietExact || s.quiet > quietRunning || ended && s.quiet > quietEnded) {
			return s.verdict, nil
		}
		if ended && s.quiet > quietRunning {
			return Verdict{}, fmt.Errorf("it ended with %d of %d tables published: %w", s.seen, len(b.Oracle.Tables), errors.Join(errors.New("too early"), g.err()))
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			need := g.until(said)
			b.Progress.Printf("  %s: %d of %d tables, %.1f s of CPU, %d MiB", e.Name(), s.seen, len(b.Oracle.Tables), need.CPU.Seconds(), need.Memory>>20)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return Verdict{}, fmt.Errorf("%w; %d of %d tables published", context.Cause(ctx), s.seen, len(b.Oracle.Tables))
		}
	}
}

// result reckons up a run.
func (b Bench) result(e Engine, g *group, f *follower, before surroundings) (Result, error) {
	after, err := b.lookAround()
	if err != nil {
		return Result{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.tables.end()
	r := Result{Engine: e.Name(), Seconds: end.Sub(g.started()).Seconds(), Output: f.bytes}
	events := float64(b.Workload.Events)
	r.Rate = events / r.Seconds
	need := g.until(end)
	r.CPU, r.PeakRSS = need.CPU.Seconds()/events*1e6, need.Peak
	r.Broker = (after.broker - before.broker).Seconds() / events * 1e6

	whole := after.at.Sub(before.at)
	others := after.machine - before.machine - (after.broker - before.broker) - (after.own - before.own) - g.until(after.at).CPU
	r.Foreign = max(0, others.Seconds()/whole.Seconds())

	windows := (f.tables.last - workload.First) / b.Workload.Window.Milliseconds()
	from, to := workload.First+windows*20/100*b.Workload.Window.Milliseconds(), workload.First+windows*90/100*b.Workload.Window.Milliseconds()
	if took := f.tables.ended(to).Sub(f.tables.ended(from)).Seconds(); took > 0 {
		r.Warm = float64((to-from)*b.Workload.PerSecond/1000) / took
	}
	return r, nil
}

// surroundings is what the machine has done up to a moment.
type surroundings struct {
	at                   time.Time
	machine, broker, own time.Duration
}

func (b Bench) lookAround() (s surroundings, err error) {
	s.at = time.Now()
	var errs [3]error
	s.machine, errs[0] = process.MachineCPU()
	s.own, errs[1] = process.CPU()
	if b.Kafka.CPU != nil {
		s.broker, errs[2] = b.Kafka.CPU()
	}
	return s, errors.Join(errs[:]...)
}

// logTail returns the last lines of what an engine has written.
func logTail(folder string) string {
	const lines = 20
	var all []string
	files, _ := filepath.Glob(filepath.Join(folder, "log*")) // the pattern is fine
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			text = []byte(err.Error())
		}
		last := strings.Split(string(bytes.TrimSpace(text)), "\n")
		all = append(all, "the end of "+file+":")
		all = append(all, last[max(0, len(last)-lines):]...)
	}
	return strings.Join(all, "\n")
}
