package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/bench/internal/process"
)

// moment is how everything is at one time.
type moment struct {
	Seconds   float64 `json:"seconds"` // since the load began
	Processed int64   `json:"processed"`
	Lag       int64   `json:"lag_events"` // in the topic, and not processed
	Millrank  int64   `json:"millrank_bytes"`
	Redis     int64   `json:"redis_bytes"`
	History   int64   `json:"clickhouse_bytes"`
}

// measure has the load produce, and looks once a second.
func (g *steadyRig) measure(ctx context.Context, c config) (*steady, error) {
	r := &steady{Settings: c, Machine: process.ThisMachine(ctx)}
	if _, err := g.until(ctx, ready, nil); err != nil {
		return nil, err
	}
	g.progress.Printf("%d events/s for %v, of which the last %v are measured", c.Rate, c.Warmup+c.Duration, c.Duration)
	began := time.Now()
	if _, err := fmt.Fprintln(g.load.In, "go"); err != nil {
		return nil, fmt.Errorf("the load: %w", err)
	}
	look := func() error {
		m, err := g.look(ctx, began)
		r.Moments = append(r.Moments, m)
		if len(r.Moments)%10 == 0 {
			g.progress.Printf("%3.0f s: %d events processed, %d behind, %d MiB", m.Seconds, m.Processed, m.Lag, m.Millrank>>20)
		}
		return err
	}
	if _, err := g.until(ctx, warm, look); err != nil {
		return nil, err
	}
	before, err := g.used(ctx)
	if err != nil {
		return nil, err
	}
	all, err := g.until(ctx, produced, look)
	if err != nil {
		return nil, err
	}
	after, err := g.used(ctx)
	if err != nil {
		return nil, err
	}
	g.progress.Print("produced; waiting for the last probes")
	over, err := g.until(ctx, done, look)
	if err != nil {
		return nil, err
	}
	r.Produced, r.Late, r.BehindMax = all.Produced, over.Loaded.Late, milliseconds(over.Loaded.BehindMax)
	if r.Counted, err = g.drain(ctx, all.Produced); err != nil {
		return nil, err
	}
	r.add(began, before, after, over.Loaded.Probes)
	return r, nil
}

// until looks once a second, until the load comes to a phase.
func (g *steadyRig) until(ctx context.Context, phase string, look func() error) (note, error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case n, ok := <-g.notes:
			if !ok || n.Phase != phase {
				return n, fmt.Errorf("the load is %q, where it should be %q", n.Phase, phase)
			}
			return n, nil
		case <-ticker.C:
			if look == nil {
				continue
			}
			if err := look(); err != nil {
				return note{}, err
			}
		case <-g.program.Done:
			return note{}, fmt.Errorf("Millrank has ended early: %w", g.program.Err())
		case <-ctx.Done():
			return note{}, context.Cause(ctx)
		}
	}
}

func (g *steadyRig) look(ctx context.Context, began time.Time) (m moment, err error) {
	m.Seconds = time.Since(began).Seconds()
	status, err := g.ask(ctx, "/status")
	if err != nil {
		return m, fmt.Errorf("Millrank's status: %w", err)
	}
	for _, p := range status.Partitions { // those that it has; a rebalance takes none of what was done
		g.processed[p.Partition] = max(g.processed[p.Partition], p.ProcessedThrough+1)
	}
	for _, n := range g.processed {
		m.Processed += n
	}
	ends, err := g.admin.ListEndOffsets(ctx, eventsTopic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return m, fmt.Errorf("the end of topic %s: %w", eventsTopic, err)
	}
	ends.Each(func(end kadm.ListedOffset) { m.Lag += end.Offset })
	m.Lag = max(0, m.Lag-m.Processed) // it was processed before the topic's end was asked for
	if needs := g.program.Needs(); len(needs) > 0 {
		m.Millrank = needs[len(needs)-1].Memory
	}
	if g.redis.Memory != nil {
		m.Redis, err = g.redis.Memory()
	} else {
		text, failed := g.client.Info(ctx, "memory").Result()
		m.Redis, err = int64(field(text, "used_memory_rss:")), failed
	}
	if err != nil {
		return m, fmt.Errorf("Redis's memory: %w", err)
	}
	m.History, err = g.history.Memory()
	return m, err
}

// used is the CPU time that each process has taken, and the machine.
type used struct {
	at  time.Time
	cpu map[string]time.Duration
}

func (g *steadyRig) used(ctx context.Context) (used, error) {
	c := counters{cpu: map[string]time.Duration{}}
	u := used{time.Now(), c.cpu}
	for name, cpu := range map[string]func() (time.Duration, error){
		"load": g.load.CPU, "kafka": g.kafka.CPU, "redis": g.redis.CPU, "clickhouse": g.history.CPU, machine: process.MachineCPU,
	} {
		if cpu == nil {
			continue
		}
		took, err := cpu()
		if err != nil {
			return u, err
		}
		u.cpu[name] = took
	}
	u.cpu["millrank"] = g.program.Until(u.at).CPU
	if g.redis.CPU != nil {
		return u, nil
	}
	return u, c.ask(ctx, g.client)
}

// drain waits until all that was produced is processed, and returns how many events were counted.
func (g *steadyRig) drain(ctx context.Context, produced int64) (counted int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("not everything was processed in time"))
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, err := g.ask(ctx, "/status")
		if err != nil {
			return 0, fmt.Errorf("Millrank's status: %w", err)
		}
		if counted = status.Decisions["counted"]; counted >= produced {
			return counted, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return counted, nil // the report says so
		}
	}
}
