package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline/settings"
)

// plan is what 'millrank plan --json' writes.
type plan struct {
	Settings string            `json:"settings"` // where they come from
	Assumed  []string          `json:"assumed"`
	Figures  []settings.Figure `json:"figures"`
	Costs    settings.Costs    `json:"costs"`
}

// planned is what is planned for.
type planned struct {
	traffic  settings.Traffic
	perDay   float64
	running  string
	cores    float64
	memory   string
	settings string // what they are called
	shards   bool   // as many as are suggested
}

// planDefaults are what plan reckons with unless it is told.
func planDefaults() planned {
	t := settings.DefaultTraffic()
	t.Partitions, t.Items, t.ItemRegions, t.Peak, t.Skew, t.Duplicates, t.DeadLetters = 0, 1_000_000, 0, 2, 1, 0.01, 0.001
	return planned{traffic: t, running: "365d", cores: 4, memory: "16GiB"}
}

// planSettings are those that are assumed where there is no file.
func planSettings() []string {
	return []string{
		"source.topic=events", "kafka.bootstrap_servers=localhost:9092", "redis.addresses=localhost:6379", "clickhouse.addresses=localhost:9000",
		`boards=[{name: trending, window: 1h, slide: 5m, k: 100}, {name: hourly, window: 1h, k: 100}]`,
	}
}

func (a *app) planCommand() *cobra.Command {
	p := planDefaults()
	c := &cobra.Command{
		Use: "plan", Short: "Reckon what a stream will need: partitions, cores, memory, disk", Args: noArgs, GroupID: "start",
		Long: `Reckons what a stream needs, from how much comes and from the settings: partitions, processes, cores and memory of each handler, bytes in Kafka, Redis
and ClickHouse, and the network. Each figure says how it is reckoned. It reaches no server.

Boards, windows, K, panes, lateness, horizons, flushes and retention are those of the settings: the file, the environment, and --set. Where there is no
millrank.yaml, two boards are assumed, of an hour: trending, which slides by 5m, and hourly, with K = 100, global and by region; and as many shards as are suggested.

How events fall on items decides much: with --skew 1 by Zipf's law; --skew 0 says that it isn't known, and gives the most that can be.

Memory and bytes are compared with what the program takes at two sizes, and are to be within 25 % of it (test/plan). Cores are those of the machine on which that was: a shared
virtual machine, AMD EPYC. Measure yours by 'go test -tags e2e ./test/plan -v'.`,
		Example: `  millrank plan --events-per-day 10e9 --items 1000000
  millrank plan --events-per-second 50000 --items 20000000 --regions 200 --set time.pane=10s --set dedup.horizon=10m
  millrank plan -c shop.yaml --events-per-day 2e9 --peak 4 --partitions 32 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.plan(p, c.Flags().Changed, c.Flags().Changed("config"))
		},
	}
	t, f := &p.traffic, c.Flags()
	f.Float64Var(&t.EventsPerSecond, "events-per-second", t.EventsPerSecond, "events, on average over a day")
	f.Float64Var(&p.perDay, "events-per-day", 0, "the same, of a day: 10e9")
	f.Float64Var(&t.Peak, "peak", t.Peak, "the busiest second has so many times as many")
	f.IntVar(&t.EventBytes, "event-bytes", t.EventBytes, "bytes of an event as it lies in Kafka, compressed or not")
	f.IntVar(&t.Partitions, "partitions", 0, "partitions of the source topic; 0: as many as are suggested")
	f.IntVar(&t.Items, "items", t.Items, "different items")
	f.IntVar(&t.ItemBytes, "item-bytes", t.ItemBytes, "bytes of an item's ID")
	f.IntVar(&t.Regions, "regions", t.Regions, "different regions (values of each dimension)")
	f.IntVar(&t.ItemRegions, "item-regions", 0, "regions in which an item is seen; 0: all")
	f.Float64Var(&t.Skew, "skew", t.Skew, "how events fall on items: Zipf's exponent; 0: not known, the most that can be")
	f.Float64Var(&t.Duplicates, "duplicates", t.Duplicates, "share of records that are repeats")
	f.Float64Var(&t.DeadLetters, "dead-letters", t.DeadLetters, "share of records that are late, from the future or malformed")
	f.IntVar(&t.Replicas, "replicas", t.Replicas, "replicas of Kafka's topics")
	f.StringVar(&p.running, "running", p.running, "what is never deleted is reckoned as of so long after the start")
	f.Float64Var(&p.cores, "process-cores", p.cores, "cores of each process")
	f.StringVar(&p.memory, "process-memory", p.memory, "memory of each process")
	a.jsonFlag(c)
	return c
}

func (a *app) plan(p planned, changed func(string) bool, chosen bool) error {
	s, memory, err := a.planFor(&p, changed, chosen)
	if err != nil {
		return err
	}
	costs := settings.Cost(s, p.traffic)
	if p.shards && costs.Shards > s.Topics.Updates.Partitions {
		s.Topics.Updates.Partitions = costs.Shards
		costs = settings.Cost(s, p.traffic)
	}
	costs.Fleet(p.cores, memory)
	result := plan{Settings: p.settings, Assumed: p.assumed(changed), Figures: costs.Figures(s), Costs: costs}
	if a.json {
		return a.writeJSON(result)
	}
	return a.showPlan(result)
}

// planFor checks what it is planned for, and reads the settings.
func (a *app) planFor(p *planned, changed func(string) bool, chosen bool) (s settings.Settings, memory int64, err error) {
	t := &p.traffic
	if changed("events-per-day") {
		if changed("events-per-second") {
			return s, 0, usage(errors.New("--events-per-second and --events-per-day: give one of them"))
		}
		t.EventsPerSecond = p.perDay / 86_400
	}
	if t.ItemRegions == 0 {
		t.ItemRegions = t.Regions
	}
	if err := t.Validate(); err != nil {
		return s, 0, usage(err)
	}
	if p.cores <= 0 {
		return s, 0, usage(fmt.Errorf("--process-cores: %v, it must be above 0", p.cores))
	}
	bytes, err := humanize.ParseBytes(p.memory)
	if err != nil || bytes == 0 || bytes > 1<<50 {
		return s, 0, usage(fmt.Errorf("--process-memory: %q, it must be a number of bytes, such as 16GiB", p.memory))
	}
	if err := t.Running.UnmarshalText([]byte(p.running)); err != nil || t.Running <= 0 {
		return s, 0, usage(fmt.Errorf("--running: %q, it must be a time such as 365d", p.running))
	}
	from := settings.From{File: a.config, Environ: os.Environ(), Set: a.set}
	p.settings = a.config
	if _, err := os.Stat(a.config); !chosen && errors.Is(err, fs.ErrNotExist) {
		from.File, from.Set, p.settings = "", append(planSettings(), a.set...), "the defaults"
	}
	s, err = settings.Load(from)
	p.shards = from.File == "" && s.Topics.Updates.Partitions == settings.Default().Topics.Updates.Partitions
	return s, int64(bytes), usage(err)
}
