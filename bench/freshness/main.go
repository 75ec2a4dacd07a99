// Program freshness measures how long it takes from an event being produced to its being seen in Redis, while events come at a constant
// rate:
//
//	go run ./bench/freshness -broker kfake -rate 100000
//
// It starts a Kafka and a Redis, each in a process of its own, and has the whole engine in this one: intake, rank and leaderboard, with
// their defaults. Its load is a process of its own, too, so CPU and memory are the engine's: it produces events at their due times, however
// slow the engine is; among them probes, each an item of its own whose value puts it at the top of its region's lists; and it asks Redis
// every two milliseconds for those that it hasn't seen there. Freshness is the time from just before the call that produces a
// probe to the first answer that shows it, for the probes after the warm-up. Percentiles are by nearest rank: p99 is
// the least time within which 99 % of the probes were seen.
//
// On the way, probes are noted where they pass from stage to stage, which says where the time goes.
//
// With -steady, the engine is the built program in a process of its own, with a settings file, all handlers and a ClickHouse besides, and what
// counts is how freshness, lag and memory are over time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
)

// config is what the command line says.
type config struct {
	Broker     string        `json:"broker"`
	Redis      string        `json:"redis"`
	Rate       int64         `json:"rate"` // events per second
	Duration   time.Duration `json:"duration_ns"`
	Warmup     time.Duration `json:"warmup_ns"`
	Probe      time.Duration `json:"probe_ns"`
	Regions    int           `json:"regions"`
	Items      uint64        `json:"items"`
	Partitions int           `json:"partitions"`
	Shards     int           `json:"shards"`
	Lanes      int           `json:"lanes"`
	Seed       uint64        `json:"seed"`

	profile string
	json    bool
	steady  bool
	folder  string // for steady's report
}

// loadPart is the part of the load's process.
const loadPart = "load"

func main() { process.Main("freshness", parts(), start) }

// parts are what other processes do for this one.
func parts() map[string]process.Part { return map[string]process.Part{loadPart: playLoad} }

// start runs the program: results go to out, what it is doing goes to progress.
func start(ctx context.Context, args []string, out, progress io.Writer) error {
	c, err := parse(args, progress)
	if err != nil {
		return err
	}
	if c.steady {
		return startSteady(ctx, c, out, progress)
	}
	r, err := run(ctx, c, progress)
	if err != nil {
		return err
	}
	if err := report(out, c, r); err != nil {
		return err
	}
	return r.wrong()
}

func parse(args []string, output io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("freshness", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&c.Broker, "broker", process.Kfake, "which `broker` to start: kfake (in a process of its own) or real (Apache Kafka, from make deps)")
	flags.StringVar(&c.Redis, "redis", process.Redis, "which `Redis` to start: server (redis-server, from make deps) or embedded (miniredis, in a process of its own)")
	flags.Int64Var(&c.Rate, "rate", 100_000, "events per second")
	flags.DurationVar(&c.Duration, "duration", 20*time.Second, "how long is measured")
	flags.DurationVar(&c.Warmup, "warmup", 5*time.Second, "how long events are produced before that")
	flags.DurationVar(&c.Probe, "probe", 20*time.Millisecond, "how often there is a probe")
	flags.IntVar(&c.Regions, "regions", 100, "how many regions there are; each has the same share of the events")
	flags.Uint64Var(&c.Items, "items", 100_000, "how many different items there are; their counts follow Zipf's law, s = 1.1")
	flags.IntVar(&c.Partitions, "partitions", 12, "partitions of the events topic, whose key is the item")
	flags.IntVar(&c.Shards, "shards", 8, "partitions of the updates topic")
	flags.IntVar(&c.Lanes, "lanes", 4, "partitions of the rankings topic")
	flags.Uint64Var(&c.Seed, "seed", 1, "the same seed gives the same items, regions and values")
	flags.StringVar(&c.profile, "cpuprofile", "", "write a CPU profile of the engine's process, while it is measured, to this `file`, for go tool pprof")
	flags.BoolVar(&c.steady, "steady", false, "have the built program do it, with all its handlers, Redis and ClickHouse's engine, and show how it holds out over time")
	flags.StringVar(&c.folder, "out", filepath.Join("dist", "bench", "steady"), "with -steady, `folder` for report.md, report.json and pictures")
	flags.BoolVar(&c.json, "json", false, "print JSON, one line, instead of tables")
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
	wrong(c.Broker != process.Real && c.Broker != process.Kfake, "-broker: %q is neither kfake nor real", c.Broker)
	wrong(c.Redis != process.Redis && c.Redis != process.Mini, "-redis: %q is neither server nor embedded", c.Redis)
	wrong(c.Rate < 1, "-rate: %d, at least 1", c.Rate)
	wrong(c.Duration < time.Second, "-duration: %v, at least 1s", c.Duration)
	wrong(c.Warmup < 0, "-warmup: %v, at least 0", c.Warmup)
	wrong(c.Regions < 1, "-regions: %d, at least 1", c.Regions)
	wrong(c.Items < 1, "-items: %d, at least 1", c.Items)
	wrong(c.Partitions < 1, "-partitions: %d, at least 1", c.Partitions)
	wrong(c.Shards < 1, "-shards: %d, at least 1", c.Shards)
	wrong(c.Lanes < 1, "-lanes: %d, at least 1", c.Lanes)
	wrong(c.Probe < time.Millisecond || c.Probe > c.Duration, "-probe: %v, 1ms to -duration", c.Probe)
	wrong((c.Warmup+c.Duration)/max(c.Probe, 1) >= probesMax, "-probe: %v, too often for %v: at most %d probes can be told apart", c.Probe, c.Warmup+c.Duration, probesMax)
	// A probe that isn't seen before K later ones have pushed it out of its list would be taken for lost.
	least := (2*patience + time.Duration(max(c.Regions, 1)*k) - 1) / time.Duration(max(c.Regions, 1)*k)
	wrong(c.Probe < least, "-probe: %v, at least %v with %d regions", c.Probe, least, c.Regions)
	return errors.Join(errs...)
}
