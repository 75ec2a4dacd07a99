package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// goal is what p99 is to be below.
const goal = time.Second

// result is what was measured. Rates are per second, of the time after the warm-up.
type result struct {
	Settings config `json:"settings"`
	Go       string `json:"go"`
	CPUs     int    `json:"cpus"`

	Probes    int     `json:"probes"` // measured
	Lost      int     `json:"lost"`   // never seen, also those of the warm-up
	Freshness spread  `json:"freshness"`
	Goal      float64 `json:"goal_p99_ms"`
	GoalMet   bool    `json:"goal_met"`
	Stages    []stage `json:"stages"`

	Load struct {
		Produced  int64   `json:"produced"` // events acknowledged, in the whole run
		Late      int64   `json:"late"`     // of them, produced more than 50 ms after they were due
		BehindMax float64 `json:"behind_max_ms"`
	} `json:"load"`
	Engine struct {
		Processed   int64   `json:"processed"` // events, in the whole run
		Counted     int64   `json:"counted"`
		Letters     int64   `json:"dead_letters"`
		PerSecond   float64 `json:"processed_per_second"`
		Lag         int64   `json:"lag_events"` // when all was produced
		LagUpdates  int64   `json:"lag_updates_messages"`
		LagRankings int64   `json:"lag_rankings_messages"`
		PeakRSS     int64   `json:"peak_rss_bytes"`
	} `json:"engine"`
	// CPU is seconds per million events, by process.
	CPU map[string]float64 `json:"cpu_seconds_per_million"`
	// Others is how many CPUs everything else on the machine took.
	Others float64 `json:"others_cpus"`
	Topics struct {
		Updates        float64 `json:"updates_bytes_per_event"` // before compression, as all of these
		UpdatesPerSec  float64 `json:"updates_messages_per_second"`
		Rankings       float64 `json:"rankings_bytes_per_event"`
		RankingsPerSec float64 `json:"rankings_messages_per_second"`
	} `json:"topics"`
	Redis struct {
		Flushes      float64            `json:"flushes_per_second"`
		Lists        float64            `json:"lists_per_flush"`
		Bytes        float64            `json:"bytes_per_flush"`
		MeanFlush    float64            `json:"flush_mean_ms"`
		LongestFlush float64            `json:"flush_max_ms"` // of the whole run
		Commands     float64            `json:"commands_per_second"`
		BytesPerSec  float64            `json:"bytes_per_second"`
		Deltas       float64            `json:"keys_by_delta_per_second"`
		Whole        float64            `json:"keys_whole_per_second"`
		Resent       int64              `json:"deltas_resent"`
		Server       map[string]float64 `json:"server_commands_per_second,omitempty"` // what Redis has run, by name, scripts' commands included
		Script       float64            `json:"script_mean_us,omitempty"`
	} `json:"redis"`
}

// add adds what is between two counts, and what the load says.
func (r *result) add(c config, begin, end counters, produced int64, l loaded) {
	r.Settings, r.Go, r.CPUs = c, runtime.Version(), runtime.NumCPU()
	var times []time.Duration
	for _, p := range l.Probes {
		switch {
		case !p.Seen:
			r.Lost++
		case p.Measured:
			times = append(times, p.Took)
		}
	}
	r.Probes, r.Freshness = len(times), spreadOf(times)
	r.Goal, r.GoalMet = milliseconds(goal), r.Lost == 0 && len(times) > 0 && r.Freshness.P99 < milliseconds(goal)
	r.Load.Produced, r.Load.Late, r.Load.BehindMax = produced, l.Late, milliseconds(l.BehindMax)

	seconds := end.at.Sub(begin.at).Seconds()
	events := max(1, float64(end.processed-begin.processed))
	r.Engine.PerSecond, r.Engine.Lag = float64(end.processed-begin.processed)/seconds, produced-end.processed
	r.CPU = map[string]float64{}
	for name, cpu := range end.cpu {
		took := (cpu - begin.cpu[name]).Seconds()
		if name == machine {
			r.Others += took / seconds
			continue
		}
		r.CPU[name] = took / events * 1e6
		r.Others -= took / seconds
	}
	r.Others = max(0, r.Others)
	t := &r.Topics
	t.Updates, t.UpdatesPerSec = float64(end.updates[1]-begin.updates[1])/events, float64(end.updates[0]-begin.updates[0])/seconds
	t.Rankings, t.RankingsPerSec = float64(end.rankings[1]-begin.rankings[1])/events, float64(end.rankings[0]-begin.rankings[0])/seconds

	flushes := max(1, float64(end.flushes-begin.flushes))
	bytes := float64(end.sink.Bytes - begin.sink.Bytes)
	s := &r.Redis
	s.Flushes, s.Lists, s.Bytes = float64(end.flushes-begin.flushes)/seconds, float64(end.sink.Lists-begin.sink.Lists)/flushes, bytes/flushes
	s.MeanFlush = milliseconds((end.writing - begin.writing) / time.Duration(flushes))
	s.Commands, s.BytesPerSec = float64(end.sink.Commands-begin.sink.Commands)/seconds, bytes/seconds
	s.Deltas, s.Whole = float64(end.sink.Deltas-begin.sink.Deltas)/seconds, float64(end.sink.Whole-begin.sink.Whole)/seconds
	s.Resent = end.sink.Resent - begin.sink.Resent
	if end.commands == nil {
		return
	}
	s.Server = map[string]float64{}
	for name, calls := range end.commands {
		if calls -= begin.commands[name]; calls > 0 {
			s.Server[name] = float64(calls) / seconds
		}
	}
	const script = "evalsha"
	if calls := end.commands[script] - begin.commands[script]; calls > 0 {
		s.Script = float64((end.busy[script] - begin.busy[script]).Microseconds()) / float64(calls)
	}
}

// wrong returns what makes the run a failure: never the time that something took.
func (r *result) wrong() error {
	var errs []error
	if r.Lost > 0 {
		errs = append(errs, fmt.Errorf("%d probes were never seen", r.Lost))
	}
	if r.Probes == 0 {
		errs = append(errs, errors.New("there were no probes"))
	}
	if r.Engine.Processed != r.Load.Produced || r.Engine.Counted != r.Load.Produced {
		errs = append(errs, fmt.Errorf("%d events were produced, %d processed and %d counted; %d dead letters", r.Load.Produced, r.Engine.Processed, r.Engine.Counted, r.Engine.Letters))
	}
	return errors.Join(errs...)
}

// report prints the result.
func report(out io.Writer, c config, r result) error {
	if c.json {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("result: %w", err)
		}
		return nil
	}
	text := r.table() + r.prose()
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// table shows times, in ms.
func (r *result) table() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, s spread, slow string) {
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t\n", name, s.Mean, s.P50, s.P90, s.P99, s.Max, slow)
	}
	_, _ = fmt.Fprint(table, "ms\tmean\tp50\tp90\tp99\tmax\tslowest 1 %\t\n")
	line("freshness: produced to seen in Redis", r.Freshness, "")
	for _, s := range r.Stages {
		line(s.Name, s.Spread, fmt.Sprintf("%.0f", s.Slow))
	}
	_ = table.Flush() // into memory
	return b.String()
}

// prose says the rest.
func (r *result) prose() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	met := map[bool]string{true: "met", false: "NOT met"}
	say("goal: p99 below %.0f ms: %s; %d probes measured, %d lost", r.Goal, met[r.GoalMet], r.Probes, r.Lost)
	say("load: %d events/s were due; %d produced, %d of them more than %v late, %.0f ms at most", r.Settings.Rate, r.Load.Produced, r.Load.Late, lateAfter, r.Load.BehindMax)
	say("engine: %.0f events/s processed; %d in all, %d dead letters; when all was produced, %d events were not processed, %d messages of updates and %d of rankings not taken; peak RSS %d MiB",
		r.Engine.PerSecond, r.Engine.Processed, r.Engine.Letters, r.Engine.Lag, r.Engine.LagUpdates, r.Engine.LagRankings, r.Engine.PeakRSS>>20)
	var cpu []string
	for _, name := range slices.Sorted(maps.Keys(r.CPU)) {
		cpu = append(cpu, fmt.Sprintf("%s %.2f", name, r.CPU[name]))
	}
	say("CPU seconds per million events, by process: %s; everything else on the machine took %.2f of %d CPUs", strings.Join(cpu, ", "), r.Others, r.CPUs)
	say("topics, before compression: %.0f bytes of updates per event (%.0f messages/s), %.0f of rankings (%.0f messages/s)",
		r.Topics.Updates, r.Topics.UpdatesPerSec, r.Topics.Rankings, r.Topics.RankingsPerSec)
	s := &r.Redis
	say("Redis: %.1f flushes/s of %.0f lists and %.0f bytes, %.1f ms each, %.0f at most; %.0f commands/s and %.2f MB/s; keys by delta %.0f/s, whole %.0f/s; %d deltas resent",
		s.Flushes, s.Lists, s.Bytes, s.MeanFlush, s.LongestFlush, s.Commands, s.BytesPerSec/1e6, s.Deltas, s.Whole, s.Resent)
	if s.Server != nil {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(s.Server)) {
			if s.Server[name] >= 1 {
				names = append(names, fmt.Sprintf("%s %.0f", name, s.Server[name]))
			}
		}
		say("commands/s as Redis counts them, with those in scripts (zmscore is the reader's): %s; a script takes %.0f µs", strings.Join(names, ", "), s.Script)
	}
	c := r.Settings
	say("%s broker, %d partitions, %d shards, %d lanes, Redis: %s; %d regions, 3 boards, K = %d; %d items; %v after %v; %s on %d CPUs",
		c.Broker, c.Partitions, c.Shards, c.Lanes, c.Redis, c.Regions, k, c.Items, c.Duration, c.Warmup, r.Go, r.CPUs)
	return b.String()
}
