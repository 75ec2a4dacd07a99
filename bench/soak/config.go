package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrank/millrank/bench/internal/workload"
)

// config is what the command line says.
type config struct {
	Rate     int64         `json:"events_per_second"`
	Duration time.Duration `json:"duration_ns"`
	Seed     uint64        `json:"seed"`
	// Every is how often there is a fault; 0: never. Only are the kinds of faults that there can be; none: all.
	Every      time.Duration `json:"fault_every_ns"`
	Only       []string      `json:"only_faults,omitempty"`
	Processes  int           `json:"processes"`
	Partitions int           `json:"partitions"`
	Items      int64         `json:"items"`
	Settle     time.Duration `json:"settle_ns"` // a process is judged from so long after its start on

	patience time.Duration // how long the drain may take without getting on
	program  string        // empty: it is built
	folder   string
	keep     bool
}

func defaults() config {
	return config{
		Rate: 50_000, Duration: time.Hour, Seed: uint64(time.Now().UnixNano() % 1_000_000), Every: 20 * time.Second,
		Processes: 3, Partitions: 8, Items: 20_000, Settle: 3 * time.Minute,
		patience: 3 * time.Minute, folder: filepath.Join("dist", "soak"),
	}
}

func parse(args []string, output io.Writer) (config, error) {
	c := defaults()
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Int64Var(&c.Rate, "rate", c.Rate, "events a second, those that are sent again included")
	flags.DurationVar(&c.Duration, "duration", c.Duration, "how long events are produced")
	flags.Uint64Var(&c.Seed, "seed", c.Seed, "the same seed gives the same events and the same faults")
	flags.DurationVar(&c.Every, "every", c.Every, "how often there is a fault; 0: never")
	flags.Func("only", "only these `faults`, comma-separated: "+strings.Join(faultNames(), ", "), func(text string) error {
		if text != "" {
			c.Only = append(c.Only, strings.Split(text, ",")...)
		}
		return nil
	})
	flags.IntVar(&c.Processes, "processes", c.Processes, "processes of Millrank; the first one is never killed or stopped")
	flags.IntVar(&c.Partitions, "partitions", c.Partitions, "partitions of the events topic")
	flags.Int64Var(&c.Items, "items", c.Items, "how many different items there are; their counts follow Zipf's law")
	flags.DurationVar(&c.Settle, "settle", c.Settle, "from how long after its start on a process's memory, goroutines and files are judged")
	flags.DurationVar(&c.patience, "patience", c.patience, "how long the end may take without getting on")
	flags.StringVar(&c.program, "program", "", "the built `file`; empty: it is built as releases are")
	flags.StringVar(&c.folder, "out", c.folder, "`folder` for the report; a run gets a folder in it")
	flags.BoolVar(&c.keep, "keep", false, "keep the data of ClickHouse, too; logs are always kept where something is wrong")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, c.validate()
}

func (c config) validate() error {
	errs := []error{c.workload().Validate()}
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Duration < time.Second, "-duration: %v, at least 1s", c.Duration)
	wrong(c.Processes < 2, "-processes: %d, at least 2, since one of them is never killed", c.Processes)
	wrong(c.Every < 0, "-every: %v, at least 0", c.Every)
	for _, name := range c.Only {
		wrong(!slices.Contains(faultNames(), name), "-only: there is no fault %q; there are %s", name, strings.Join(faultNames(), ", "))
	}
	return errors.Join(errs...)
}

// workload returns the events in the middle of the stream: those of the benchmarks, as many as are due.
func (c config) workload() workload.Settings {
	w := workload.Default()
	w.Events, w.PerSecond = int64(c.Duration.Seconds()*float64(c.Rate)), c.Rate
	w.Seed, w.Items, w.Regions, w.Partitions = c.Seed, c.Items, 4, c.Partitions
	return w
}
