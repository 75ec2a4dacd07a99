package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/sinks/redis"
)

// counters are all that is counted, at one moment. Differences of two say what happened in between.
type counters struct {
	at        time.Time
	cpu       map[string]time.Duration // by process; missing: not known
	processed int64                    // events
	updates   [2]int64                 // messages, bytes
	rankings  [2]int64
	flushes   int64 // to Redis
	writing   time.Duration
	sink      redis.Stats
	commands  map[string]int64         // what Redis has run, by command
	busy      map[string]time.Duration // how long
}

// machine stands for all processes, also those of others.
const machine = "machine"

// rig is everything that takes part.
type rig struct {
	engine       *engine
	kafka, redis process.Server
	load         *process.Child
}

// count returns the counters of this moment.
func (r rig) count(ctx context.Context) (counters, error) {
	e := r.engine
	c := counters{
		at: time.Now(), cpu: map[string]time.Duration{}, processed: e.processed(),
		updates:  [2]int64{e.updates.messages.Load(), e.updates.bytes.Load()},
		rankings: [2]int64{e.rankings.messages.Load(), e.rankings.bytes.Load()},
		flushes:  e.writes.flushes.Load(), writing: time.Duration(e.writes.took.Load()), sink: e.sink.Stats(),
	}
	for name, cpu := range map[string]func() (time.Duration, error){
		"engine": process.CPU, "load": r.load.CPU, "kafka": r.kafka.CPU, "redis": r.redis.CPU, machine: process.MachineCPU,
	} {
		if cpu == nil {
			continue
		}
		took, err := cpu()
		if err != nil {
			return c, err
		}
		c.cpu[name] = took
	}
	if r.redis.CPU != nil {
		return c, nil // miniredis, which counts nothing
	}
	err := c.ask(ctx, e.client)
	return c, err
}

// ask asks a real Redis what it has counted.
func (c *counters) ask(ctx context.Context, client *goredis.Client) error {
	c.commands, c.busy = map[string]int64{}, map[string]time.Duration{}
	text, err := client.Info(ctx, "commandstats", "cpu").Result()
	if err != nil {
		return fmt.Errorf("what Redis has counted: %w", err)
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			calls, micros := field(value, "calls="), field(value, "usec=")
			c.commands[command] = int64(calls)
			c.busy[command] = time.Duration(micros) * time.Microsecond
		}
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			c.cpu["redis"] += time.Duration(field(value, "") * float64(time.Second))
		}
	}
	return nil
}

// field returns the number after a name, up to a comma.
func field(text, name string) float64 {
	_, rest, _ := strings.Cut(text, name)
	number, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.ParseFloat(number, 64) // Redis's own format
	return n
}

// spread is how some times are spread.
type spread struct {
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// spreadOf returns it, by nearest rank. It sorts the times.
func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	return spread{
		Mean: milliseconds(sum / time.Duration(len(times))),
		P50:  milliseconds(percentile(times, 50)), P90: milliseconds(percentile(times, 90)),
		P99: milliseconds(percentile(times, 99)), Max: milliseconds(times[len(times)-1]),
	}
}

// percentile returns the least of the sorted values such that p % of all are at or below it.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e6) / 1e3
}

// stage is a stretch of the probes' way.
type stage struct {
	Name   string  `json:"name"`
	Spread spread  `json:"took"`
	Slow   float64 `json:"slowest_mean_ms"` // the mean of the slowest hundredth of all probes
}

// stageNames are the stretches that end at each border, and the one after the last.
func stageNames() []string {
	return []string{
		"producer, events topic", "intake, until it flushes", "updates published", "updates topic", "rank, until it flushes",
		"rankings published", "rankings topic", "leaderboard, until it flushes", "Redis", "seen by the reader",
	}
}

// stages returns how long each stretch took. What is taken before it is acknowledged took no time to get there.
func (t *trace) stages(probes []probe) []stage {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := make([][]time.Duration, borders+1)
	slow := make([]time.Duration, borders+1)
	probes = slices.DeleteFunc(slices.Clone(probes), func(p probe) bool { return !p.Measured || !p.Seen })
	slices.SortFunc(probes, func(a, b probe) int { return int(b.Took - a.Took) })
	slowest := (len(probes) + 99) / 100
	for i, p := range probes {
		last := time.Unix(0, p.Sent)
		for b := range borders + 1 {
			at := time.Unix(0, p.Sent).Add(p.Took)
			if b < borders {
				at = t.passed[b][p.Number]
			}
			d := max(0, at.Sub(last))
			last = last.Add(d)
			took[b] = append(took[b], d)
			if i < slowest {
				slow[b] += d
			}
		}
	}
	stages := make([]stage, borders+1)
	for b := range stages {
		stages[b] = stage{Name: stageNames()[b], Spread: spreadOf(took[b])}
		if slowest > 0 {
			stages[b].Slow = milliseconds(slow[b] / time.Duration(slowest))
		}
	}
	return stages
}
