// Program sweeps changes one thing at a time and measures what Millrank makes of it, on a real Apache Kafka, as program compare does:
//
//	go run ./bench/sweeps -only items,shards
//
// Every point's tables are compared with the oracle's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/bench/internal/workload"
)

// config is what the command line says.
type config struct {
	workload  workload.Settings
	runs      int
	only      []string
	freshness time.Duration
	loads     []int64
	folder    string
	json      bool
}

func main() { process.Main("sweeps", trial.Parts(), start) }

func start(ctx context.Context, args []string, out, progress io.Writer) error {
	c, err := parse(args, progress)
	if err != nil {
		return err
	}
	r, err := run(ctx, c, progress)
	if len(r.Sweeps) > 0 { // also those that were made before one failed
		err = errors.Join(err, r.write(c.folder))
	}
	if err != nil {
		return err
	}
	if err := r.show(out, c.json); err != nil {
		return err
	}
	fmt.Fprintf(progress, "the report is in %s\n", filepath.Join(c.folder, "report.md"))
	return r.wrong()
}

// Sweeps that are made in another way than by the job alone.
const (
	restartName   = "restart"
	freshnessName = "freshness"
)

// names returns all sweeps' names.
func names() []string {
	var all []string
	for _, s := range sweeps(workload.Default(), "") {
		all = append(all, s.name)
	}
	return append(all, restartName, freshnessName)
}

func parse(args []string, output io.Writer) (config, error) {
	c := config{workload: workload.Default(), loads: []int64{10_000, 25_000, 50_000, 100_000, 150_000, 200_000}}
	flags := flag.NewFlagSet("sweeps", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Int64Var(&c.workload.Events, "events", 2_000_000, "how many events there are at each point")
	flags.IntVar(&c.runs, "runs", 1, "how often each point is measured; the median counts")
	flags.Func("only", "only these `sweeps`, comma-separated: "+strings.Join(names(), ", "), func(text string) error {
		if text != "" {
			c.only = append(c.only, strings.Split(text, ",")...)
		}
		return nil
	})
	flags.DurationVar(&c.freshness, "freshness", 10*time.Second, "how long freshness is measured at each load")
	flags.Func("loads", "loads of the sweep of freshness, events per `second`, comma-separated", func(text string) error {
		c.loads = nil
		for part := range strings.SplitSeq(text, ",") {
			var load int64
			if _, err := fmt.Sscan(part, &load); err != nil || load < 1 {
				return fmt.Errorf("%q is no number of events per second", part)
			}
			c.loads = append(c.loads, load)
		}
		return nil
	})
	flags.StringVar(&c.folder, "out", filepath.Join("dist", "bench", "sweeps"), "`folder` for report.md, report.json and pictures")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of tables")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, c.validate()
}

func (c config) validate() error {
	errs := []error{c.workload.Validate()}
	if c.runs < 1 {
		errs = append(errs, fmt.Errorf("-runs: %d, at least 1", c.runs))
	}
	if c.freshness < time.Second {
		errs = append(errs, fmt.Errorf("-freshness: %v, at least 1s", c.freshness))
	}
	for _, name := range c.only {
		if !slices.Contains(names(), name) {
			errs = append(errs, fmt.Errorf("-only: there is no sweep %q; there are %s", name, strings.Join(names(), ", ")))
		}
	}
	return errors.Join(errs...)
}

// wants reports whether a sweep is to be made.
func (c config) wants(name string) bool { return len(c.only) == 0 || slices.Contains(c.only, name) }

// run makes the sweeps. Where one fails, those before it are in what it returns.
func run(ctx context.Context, c config, output io.Writer) (r report, err error) {
	progress := log.New(output, "", log.Ltime)
	folder, err := os.MkdirTemp("", "millrank-bench-")
	if err != nil {
		return r, fmt.Errorf("a folder for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	progress.Print("building Millrank, as releases are")
	program, err := trial.Build(ctx, folder)
	if err != nil {
		return r, err
	}
	r = report{At: time.Now().UTC().Truncate(time.Second), Machine: process.ThisMachine(ctx), Workload: c.workload}
	if err := runJobs(ctx, c, program, folder, progress, &r); err != nil {
		return r, err
	}
	if c.wants(freshnessName) {
		s, err := sweepFreshness(ctx, c, folder, progress)
		if err != nil {
			return r, err
		}
		r.Sweeps = append(r.Sweeps, s)
	}
	return r, nil
}
