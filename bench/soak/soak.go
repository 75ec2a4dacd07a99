package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/internal/progress"
)

// happened is a fault, and when it was.
type happened struct {
	fault
	At    float64 `json:"at_s"`
	Until float64 `json:"until_s"` // what was done had been undone
}

// soak runs everything. Interrupted ends the production early.
func soak(interrupted context.Context, c config, s *screen) (r report, err error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(interrupted))
	defer cancel(nil)
	s.sayf("seed %d: %s events/s for %v, a fault every %v", c.Seed, humanize.Comma(c.Rate), c.Duration, c.Every)
	g, err := newRig(ctx, c, s)
	defer func() { err = errors.Join(err, g.close()) }()
	if err != nil {
		return r, err
	}
	r = report{At: g.begun.UTC().Truncate(time.Second), Machine: process.ThisMachine(ctx), Settings: c, folder: g.folder}
	sampler, err := newSampler(g)
	if err != nil {
		return r, err
	}
	sampling, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	g.begun = time.Now()
	looking.Go(func() { sampler.run(sampling) })
	defer func() {
		stop()
		looking.Wait()
	}()

	s.begin()
	r.Faults, err = g.produce(interrupted, sampler, s)
	s.end()
	if err != nil {
		return r, err
	}
	r.Produced, r.Took = g.producer.made.Load(), g.since()
	s.sayf("%s records produced in %.0f s, %.0f a second; waiting until all is through", humanize.Comma(r.Produced), r.Took, float64(r.Produced)/r.Took)
	if err := g.drain(sampler, s); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.Drained = g.since()
	s.sayf("comparing with the oracle")
	if err := r.compare(ctx, g, s); err != nil {
		r.Problems = append(r.Problems, "the comparison was not finished: "+err.Error())
	}
	stop()
	looking.Wait()
	g.fleet.stop()
	r.Problems = append(r.Problems, g.fleet.found()...)
	if err := sampler.failed(); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.Processes, r.Stream = sampler.processes, sampler.streams
	r.judge()
	return r, nil
}

// produce produces the events, and has faults happen meanwhile.
func (g *rig) produce(interrupted context.Context, sampler *sampler, s *screen) ([]happened, error) {
	producing := make(chan error, 1)
	go func() {
		defer close(g.produced)
		producing <- g.producer.run(interrupted)
	}()
	var showing sync.WaitGroup
	showing.Go(func() { g.show(sampler, s) })
	faults, err := g.faults(s)
	if err != nil {
		return faults, err
	}
	<-g.produced
	showing.Wait()
	if err := <-producing; err != nil {
		return faults, err
	}
	ctx, cancel := context.WithTimeout(g.ctx, time.Minute)
	defer cancel()
	return faults, g.producer.end(ctx)
}

// faults has them happen, each so long after the one before began, until all is produced.
func (g *rig) faults(s *screen) (all []happened, err error) {
	p := newPlan(g.config)
	if g.config.Every == 0 || len(p.kinds) == 0 {
		return nil, nil
	}
	ticker := time.NewTicker(g.config.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-g.produced:
			return all, nil
		}
		f, kind := p.next()
		h := happened{fault: f, At: g.since()}
		s.sayf("fault %d at %.0f s: %v", len(all)+1, h.At, f)
		if err := kind.do(g, f); err != nil {
			return all, fmt.Errorf("fault %v: %w", f, err)
		}
		h.Until = g.since()
		all = append(all, h)
	}
}

// show says how it goes until all is produced.
func (g *rig) show(sampler *sampler, s *screen) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			now, rate := sampler.last()
			text := fmt.Sprintf("%s produced, %s/s processed", humanize.Comma(now.Produced), humanize.Comma(int64(rate)))
			if now.Lag >= 0 {
				text += fmt.Sprintf(", %s behind", humanize.Comma(now.Lag))
			}
			if now.Freshness >= 0 {
				text += fmt.Sprintf(", Redis %.1f s behind", now.Freshness)
			}
			s.status(time.Since(g.begun), text)
		case <-g.produced:
			return
		}
	}
}

// drain returns when all events are processed, and all windows have closed on the way to Redis. What ClickHouse doesn't have then, the comparison waits for.
func (g *rig) drain(sampler *sampler, s *screen) error {
	end := progress.Time(g.producer.stream.settings.FlushTime())
	begun := g.since()
	best, since := [2]int64{-1, -1}, time.Now()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		sampler.mu.Lock()
		state := sampler.state
		sampler.mu.Unlock()
		open := int64(0)
		for _, stage := range append(slices.Clone(state.Shards), state.Rankings...) {
			if stage.ClosedThrough == progress.NoTime || stage.ClosedThrough < end {
				open++
			}
		}
		// What was read before the end of the production says nothing.
		if state.At.Sub(g.begun).Seconds() > begun {
			if state.Verdict.Lag == 0 && open == 0 {
				s.sayf("all is through after %.0f s", g.since()-begun)
				return nil
			}
			if now := [2]int64{state.Verdict.Lag, open}; best[0] < 0 || now[0] < best[0] || now[1] < best[1] {
				best, since = now, time.Now()
			}
		}
		if time.Since(since) > g.config.patience {
			return fmt.Errorf("%d records are not processed and %d partitions on the way have windows open, and nothing has got on for %v: %s", state.Verdict.Lag, open, g.config.patience,
				strings.Join(append([]string{state.Verdict.Summary}, state.Verdict.Problems...), "; "))
		}
		s.status(g.config.Duration, fmt.Sprintf("%s records behind, %d partitions on the way have windows open", humanize.Comma(state.Verdict.Lag), open))
		select {
		case <-ticker.C:
		case <-g.ctx.Done():
			return context.Cause(g.ctx)
		}
	}
}

// compare has the oracle judge the records, and compares.
func (r *report) compare(ctx context.Context, g *rig, s *screen) error {
	c, err := newChecker(ctx, g)
	if err != nil {
		return err
	}
	begun := time.Now()
	letters := lettersTopic{brokers: g.kafka.Brokers(), topic: g.settings.DeadLettersTopic()}
	r.Exactness, err = c.check(g.producer.stream.settings, r.Produced, letters, func(done int64) {
		s.status(g.config.Duration, fmt.Sprintf("%d %% compared", 100*done/max(1, r.Produced)))
	})
	r.Compared = time.Since(begun).Seconds()
	return errors.Join(err, c.close())
}
