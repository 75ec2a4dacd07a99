// Program intake measures how fast records come out of Kafka: by sarama alone, by
// watermill-kafka with one message per record, and by this project's ways. It starts a
// broker, writes a topic of events, and has each way read that topic in turn:
//
//	go run ./bench/intake -broker real -records 5000000
//
// The broker is a process of its own, so CPU and memory are the readers'. Rates are of the
// median round; ways that are compared run in turn, round by round, so that what else the
// machine does falls on all of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"

	"github.com/millrank/millrank/bench/internal/process"
)

// config is what the command line says.
type config struct {
	broker      string
	records     int64
	slowRecords int64
	partitions  int
	rounds      int
	duplicates  float64
	items       uint64
	seed        uint64
	only        string
	profile     string
	json        bool
}

func main() { process.Main("intake", nil, start) }

// start runs the program: results go to out, what it is doing goes to progress.
func start(ctx context.Context, args []string, out, progress io.Writer) error {
	c, err := parse(args, progress)
	if err != nil {
		return err
	}
	return run(ctx, c, out, progress)
}

func parse(args []string, output io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("intake", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&c.broker, "broker", "real", "which `broker` to start: real (Apache Kafka, from make deps) or kfake")
	flags.Int64Var(&c.records, "records", 5_000_000, "how many records to write and read")
	flags.Int64Var(&c.slowRecords, "slow-records", 200_000, "how many of them the slow ways read")
	flags.IntVar(&c.partitions, "partitions", 12, "partitions of the topic")
	flags.IntVar(&c.rounds, "rounds", 3, "how often each way reads; the median counts")
	flags.Float64Var(&c.duplicates, "duplicates", 0, "share of records that repeat one of the last 10,000, 0 to 0.9")
	flags.Uint64Var(&c.items, "items", 100_000, "how many different items there are; their counts follow Zipf's law")
	flags.Uint64Var(&c.seed, "seed", 1, "the same seed gives the same records")
	flags.StringVar(&c.only, "only", "", "measure only these `ways`, comma-separated")
	flags.StringVar(&c.profile, "cpuprofile", "", "write a CPU profile of the reading to this `file`, for go tool pprof; with -only, of these ways")
	flags.BoolVar(&c.json, "json", false, "print JSON, one line for each way, instead of a table")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, c.validate()
}

func (c config) validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.broker != process.Real && c.broker != process.Kfake, "-broker: %q is neither real nor kfake", c.broker)
	wrong(c.records < 1, "-records: %d, at least 1", c.records)
	wrong(c.slowRecords < 1, "-slow-records: %d, at least 1", c.slowRecords)
	wrong(c.partitions < 1, "-partitions: %d, at least 1", c.partitions)
	wrong(c.rounds < 1, "-rounds: %d, at least 1", c.rounds)
	wrong(c.duplicates < 0 || c.duplicates > 0.9, "-duplicates: %v, 0 to 0.9", c.duplicates)
	wrong(c.items < 1, "-items: %d, at least 1", c.items)
	known := ways(clients{})
	for _, name := range c.wanted() {
		wrong(!slices.ContainsFunc(known, func(w way) bool { return w.name == name }), "-only: there is no way %q", name)
	}
	return errors.Join(errs...)
}

// wanted returns the names of the ways to measure; none means all.
func (c config) wanted() []string {
	if c.only == "" {
		return nil
	}
	return strings.Split(c.only, ",")
}

// run starts the broker, writes the topic, measures and reports.
func run(ctx context.Context, c config, out, output io.Writer) (err error) {
	progress := log.New(output, "", 0)
	progress.Printf("starting a broker (%s)", c.broker)
	broker, err := process.StartKafka(ctx, c.broker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()

	progress.Printf("writing %d records", c.records)
	wrote, err := writeTopic(ctx, broker.Addresses, c)
	if err != nil {
		return err
	}
	progress.Printf("wrote %s", wrote)

	if c.profile != "" {
		stop, err := process.Profile(c.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	var results []measured
	for _, w := range ways(clients{brokers: broker.Addresses}) {
		if wanted := c.wanted(); len(wanted) == 0 || slices.Contains(wanted, w.name) {
			results = append(results, measured{way: w})
		}
	}
	for round := range c.rounds {
		for i := range results {
			m := &results[i]
			if m.way.read == nil {
				continue
			}
			n := c.records
			if m.way.slow {
				n = min(n, c.slowRecords)
			}
			r, err := measure(ctx, m.way, n)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", m.way.name, round+1, err)
			}
			progress.Printf("round %d: %s: %.0f records/s", round+1, m.way.name, r.FromStart)
			m.rounds = append(m.rounds, r)
		}
	}
	return report(out, c, wrote, results)
}
