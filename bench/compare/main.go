// Program compare has engines do the same job, one after the other, on the same Apache Kafka and the same events:
//
//	go run ./bench/compare -events 5000000 -runs 3
//
// docs/performance.md says what the job is and how it is measured. Results are medians; all runs are in report.json.
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
	workload workload.Settings
	runs     int
	warm     bool
	only     []string
	set      []string
	programs []build
	patience time.Duration
	folder   string
	profiles trial.Profiles
	keep     bool
	json     bool
}

func main() { process.Main("compare", trial.Parts(), start) }

// start runs the program: results go to out and into files, what it is doing goes to progress.
func start(ctx context.Context, args []string, out, progress io.Writer) error {
	c, err := parse(args, progress)
	if err != nil {
		return err
	}
	r, err := run(ctx, c, progress)
	if err != nil {
		return err
	}
	if err := r.write(c.folder); err != nil {
		return err
	}
	if err := r.show(out, c.json); err != nil {
		return err
	}
	fmt.Fprintf(progress, "the report is in %s\n", filepath.Join(c.folder, "report.md"))
	return r.wrong()
}

func parse(args []string, output io.Writer) (config, error) {
	c := config{workload: workload.Default()}
	w := &c.workload
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(output)
	var peers bool
	list := func(to *[]string) func(string) error {
		return func(text string) error {
			if text != "" {
				*to = append(*to, strings.Split(text, ",")...)
			}
			return nil
		}
	}
	flags.Int64Var(&w.Events, "events", w.Events, "how many events, those that are sent again included")
	flags.BoolVar(&c.warm, "warm-up", true, "have the bound and Millrank run twice before, which isn't counted: a broker that has just started compiles its own code while it serves the first one")
	flags.IntVar(&c.runs, "runs", 3, "how often each engine runs; the median counts")
	flags.Func("only", "only these `engines`, comma-separated: "+strings.Join(names(), ", ")+" (default: "+strings.Join(defaults(), ",")+")", list(&c.only))
	flags.BoolVar(&peers, "peers", false, "all engines, where -only doesn't say which; the peers in Java are made by scripts/peers.sh")
	flags.Uint64Var(&w.Seed, "seed", w.Seed, "the same seed gives the same events")
	flags.Int64Var(&w.Items, "items", w.Items, "how many different items there are; their counts follow Zipf's law")
	flags.Float64Var(&w.Skew, "skew", w.Skew, "exponent of that law, above 1")
	flags.IntVar(&w.Partitions, "partitions", w.Partitions, "partitions of the events topic")
	flags.Int64Var(&w.PerSecond, "per-second", w.PerSecond, "events in a second of event time")
	flags.Func("set", "a further `path=value` of Millrank's settings; may be given again", func(text string) error {
		c.set = append(c.set, text)
		return nil
	})
	flags.Func("program", "a further build of Millrank, `name=file`, which runs in turn with the others; may be given again", func(text string) error {
		name, file, ok := strings.Cut(text, "=")
		if !ok || name == "" || file == "" {
			return fmt.Errorf("%q is not name=file", text)
		}
		c.programs = append(c.programs, build{name, file})
		return nil
	})
	flags.DurationVar(&c.patience, "patience", 20*time.Minute, "how long one run may take")
	flags.StringVar(&c.folder, "out", filepath.Join("dist", "bench"), "`folder` for report.md, report.json and pictures")
	flags.StringVar(&c.profiles.Folder, "cpuprofile", "", "write a CPU profile of each run into this `folder`, for go tool pprof")
	flags.IntVar(&c.profiles.Seconds, "profile-seconds", 3, "how long one of Millrank takes, which must be less than the run; the bound's is of all of it")
	flags.BoolVar(&c.keep, "keep", false, "keep what engines have logged, and the program that was built, and say where")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of tables")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case len(c.only) > 0:
	case peers:
		c.only = names()
	default:
		c.only = defaults()
	}
	return c, c.validate()
}

func (c config) validate() error {
	errs := []error{c.workload.Validate()}
	if c.runs < 1 {
		errs = append(errs, fmt.Errorf("-runs: %d, at least 1", c.runs))
	}
	for _, name := range c.only {
		if !slices.Contains(names(), name) {
			errs = append(errs, fmt.Errorf("-only: there is no engine %q; there are %s", name, strings.Join(names(), ", ")))
		}
	}
	return errors.Join(errs...)
}

// warmUps is how many rounds aren't counted: the broker goes on compiling its own code for so long.
const warmUps = 2

// topic is the topic of the events.
const topic = "events"

// run starts the broker, writes the events, and has each engine do the job, in turn, round by round, so that what else the machine does
// falls on all of them.
func run(ctx context.Context, c config, output io.Writer) (r report, err error) {
	progress := log.New(output, "", log.Ltime)
	if c.profiles.Folder != "" {
		if err := os.MkdirAll(c.profiles.Folder, 0o750); err != nil {
			return r, fmt.Errorf("-cpuprofile: %w", err)
		}
	}
	folder, err := os.MkdirTemp("", "millrank-bench-")
	if err != nil {
		return r, fmt.Errorf("a folder for the engines: %w", err)
	}
	defer func() {
		if !c.keep {
			err = errors.Join(err, os.RemoveAll(folder))
			return
		}
		progress.Printf("what engines have logged is in %s", folder)
	}()
	progress.Print("building Millrank, as releases are")
	engines, err := chosen(ctx, c, folder)
	if err != nil {
		return r, err
	}
	progress.Print("starting Apache Kafka")
	kafka, err := process.StartKafka(ctx, process.Real)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, kafka.Stop()) }()
	b, err := trial.NewBench(ctx, kafka, topic, c.workload, folder, progress)
	if err != nil {
		return r, err
	}
	b.Patience = c.patience
	r = newReport(process.ThisMachine(ctx), c, engines)
	first := 1
	if c.warm {
		first = 1 - warmUps
	}
	for round := first; round <= c.runs; round++ {
		for i, e := range engines {
			switch _, jvm := e.(trial.JVM); {
			case round > 0:
				progress.Printf("round %d of %d: %s", round, c.runs, e.Name())
			case jvm: // the broker is warm without them, and they take minutes
				continue
			default:
				progress.Printf("warming up: %s", e.Name())
			}
			result, err := b.Run(ctx, e)
			if err != nil {
				return r, err
			}
			progress.Printf("  %s", result)
			if round <= 0 { // in which the broker compiles what it does for them, on our cores
				continue
			}
			r.Engines[i].Runs = append(r.Engines[i].Runs, result)
		}
	}
	r.reckon()
	return r, nil
}
