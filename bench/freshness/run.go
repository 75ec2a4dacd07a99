package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"runtime/debug"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/event"
)

// run starts everything, measures, and ends it.
func run(ctx context.Context, c config, output io.Writer) (r result, err error) {
	progress := log.New(output, "", log.Ltime)
	progress.Printf("starting Kafka (%s), Redis (%s) and the engine", c.Broker, c.Redis)
	var g rig
	if g.kafka, err = process.StartKafka(ctx, c.Broker); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, g.kafka.Stop()) }()
	if g.redis, err = process.StartRedis(ctx, c.Redis); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, g.redis.Stop()) }()
	if g.engine, err = newEngine(ctx, c, g.kafka.Addresses, g.redis.Addresses[0], output); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, g.engine.close()) }()
	if err := g.engine.start(ctx); err != nil {
		return r, err
	}
	load, notes, err := startLoad(job{Config: c, Brokers: g.kafka.Addresses, Redis: g.redis.Addresses[0]})
	if err != nil {
		return r, err
	}
	g.load = load
	defer func() { err = errors.Join(err, load.Stop()) }()
	m := measurement{rig: g, config: c, notes: follow(notes), progress: progress}
	return m.measure(ctx)
}

// follow hands on what the load's process says. The channel is closed when that has ended.
func follow(from *json.Decoder) <-chan note {
	notes := make(chan note, 4) // there are no more
	go func() {
		defer close(notes)
		for {
			var n note
			if from.Decode(&n) != nil {
				return // its error is what Stop returns
			}
			notes <- n
		}
	}()
	return notes
}

// measurement is one run of the load.
type measurement struct {
	rig
	config   config
	notes    <-chan note
	progress *log.Logger
}

func (m measurement) measure(ctx context.Context) (r result, err error) {
	if _, err := m.phase(ctx, ready); err != nil {
		return r, err
	}
	m.progress.Printf("%d events/s for %v, of which the last %v are measured", m.config.Rate, m.config.Warmup+m.config.Duration, m.config.Duration)
	if _, err := fmt.Fprintln(m.load.In, "go"); err != nil {
		return r, fmt.Errorf("the load: %w", err)
	}
	if _, err := m.phase(ctx, warm); err != nil {
		return r, err
	}
	m.progress.Print("warm")
	debug.FreeOSMemory() // what came before is not to be in the peak
	if err := process.ResetPeakRSS(); err != nil {
		return r, err
	}
	if m.config.profile != "" {
		stop, err := process.Profile(m.config.profile)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	begin, err := m.count(ctx)
	if err != nil {
		return r, err
	}
	all, err := m.phase(ctx, produced)
	if err != nil {
		return r, err
	}
	end, err := m.count(ctx)
	if err != nil {
		return r, err
	}
	r.Engine.LagUpdates, r.Engine.LagRankings = m.engine.behind()
	if r.Engine.PeakRSS, err = process.PeakRSS(); err != nil {
		return r, err
	}
	m.progress.Printf("produced; %d events are not processed yet; waiting for the last probes", all.Produced-end.processed)
	over, err := m.phase(ctx, done)
	if err != nil {
		return r, err
	}
	drained := m.engine.await(ctx, patience, func() error {
		if n := m.engine.processed(); n != all.Produced {
			return fmt.Errorf("%d of %d events are processed", n, all.Produced)
		}
		return nil
	})
	if drained != nil {
		m.progress.Print(drained) // the numbers say so
	}
	decided, _ := m.engine.intake.Decided()
	r.Engine.Counted, r.Engine.Letters = decided[event.Counted], decided[event.Malformed]+decided[event.Future]+decided[event.Late]
	r.Engine.Processed = m.engine.processed()
	r.add(m.config, begin, end, all.Produced, *over.Loaded)
	r.Stages = m.engine.trace.stages(over.Loaded.Probes)
	r.Redis.LongestFlush = milliseconds(time.Duration(m.engine.writes.longest.Load()))
	return r, nil
}

// phase returns what the load says when it comes to a phase. Meanwhile it says how far everything is.
func (m measurement) phase(ctx context.Context, want string) (note, error) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case n, ok := <-m.notes:
			switch {
			case !ok:
				return n, errors.New("the load has ended early")
			case n.Phase != want:
				return n, fmt.Errorf("the load is %s, where it should be %s", n.Phase, want)
			}
			return n, nil
		case <-ticker.C:
			updates, rankings := m.engine.behind()
			m.progress.Printf("%d events processed; %d messages of updates and %d of rankings wait", m.engine.processed(), updates, rankings)
		case <-m.engine.ended:
			return note{}, errors.Join(errors.New("the engine has ended early"), m.engine.err)
		case <-ctx.Done():
			return note{}, context.Cause(ctx)
		}
	}
}
