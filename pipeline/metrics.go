package pipeline

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/meter"
	"github.com/millrank/millrank/microbatch"
)

func metersOf(t handlers.Telemetry) metric.MeterProvider {
	if t.Meters == nil {
		return otel.GetMeterProvider()
	}
	return t.Meters
}

// observe has the handlers, and the pipeline, observed until Close.
func (p *Pipeline) observe() error {
	m := metersOf(p.options.Telemetry).Meter(scope)
	var observed []metric.Registration
	p.closers = append(p.closers, func() error {
		var errs []error
		for _, r := range observed {
			errs = append(errs, r.Unregister())
		}
		return errors.Join(errs...)
	})
	for _, one := range p.observers() {
		registration, err := one(m)
		if err != nil {
			return err
		}
		observed = append(observed, registration)
	}
	return nil
}

// observers returns what has a meter say how something is.
func (p *Pipeline) observers() []func(metric.Meter) (metric.Registration, error) {
	list := []func(metric.Meter) (metric.Registration, error){p.observeSelf}
	if p.intake != nil {
		list = append(list, p.intake.Observe)
	}
	if p.rank != nil {
		list = append(list, p.rank.Observe)
	}
	if p.leaderboard != nil {
		list = append(list, p.leaderboard.Observe)
	}
	if p.late != nil {
		list = append(list, p.late.Observe)
	}
	if p.historyCells != nil {
		list = append(list, p.historyCells.Observe)
	}
	if p.historyRankings != nil {
		list = append(list, p.historyRankings.Observe)
	}
	if p.historyLetters != nil {
		list = append(list, p.historyLetters.Observe)
	}
	if p.sink != nil {
		list = append(list, p.observeRedis)
	}
	if p.history != nil {
		list = append(list, p.observeHistory)
	}
	return list
}

// observeSelf says how the handlers are, and what this process is.
func (p *Pipeline) observeSelf(m metric.Meter) (metric.Registration, error) {
	w := meter.New(m)
	ready := w.Observed("millrank.ready", "", "1: all handlers run, and none replays")
	is := w.Observed("millrank.handler.state", "", "1 for the state that a handler is in, 0 for the others")
	owned := w.Observed("millrank.partitions.owned", "{partition}", "Partitions that the process owns")
	assigned := w.Total("millrank.partitions.assigned", "{partition}", "Partitions given to the process by rebalances")
	revoked := w.Total("millrank.partitions.revoked", "{partition}", "Partitions taken from the process, or given back")
	ours := w.Observed("millrank.generation.running", "", "The generation that the process is of")
	active := w.Observed("millrank.generation.active", "", "The generation that readers see, as far as the process knows")
	built := w.Observed("millrank.build.info", "", "What runs; always 1")
	build := metric.WithAttributes(attribute.String("millrank.version", p.options.Version), attribute.String("vcs.ref.head.revision", revision()),
		attribute.String("process.runtime.version", runtime.Version()))
	return w.Register(func(to metric.Observer) {
		health := p.Health()
		to.ObserveInt64(ready, meter.Number(health.Ready))
		for _, h := range health.Handlers {
			meter.ObserveState(to, is, h.Name, h.State, string(starting), replaying, string(running), waiting, paused, string(stopped))
		}
		for handler, of := range p.memberships {
			came, went := of.assigned.Load(), of.revoked.Load()
			to.ObserveInt64(owned, max(0, came-went), meter.With("millrank.handler", handler))
			to.ObserveInt64(assigned, came, meter.With("millrank.handler", handler))
			to.ObserveInt64(revoked, went, meter.With("millrank.handler", handler))
		}
		to.ObserveInt64(ours, int64(p.settings.Generation))
		to.ObserveInt64(active, int64(p.generations.now().Generation))
		to.ObserveInt64(built, 1, build)
	})
}

// observeRedis says what was written to Redis.
func (p *Pipeline) observeRedis(m metric.Meter) (metric.Registration, error) {
	w := meter.New(m)
	lists := w.Total("millrank.redis.lists", "{list}", "Lists written to Redis")
	keys := w.Total("millrank.redis.keys", "{key}", "Keys of lists, by what was done")
	moved := w.Total("millrank.redis.moved", "{list}", "Lists moved when a generation was activated")
	late := w.Total("millrank.redis.late", "{event}", "Late events counted in Redis, or too old for that")
	trips := w.Total("millrank.redis.round_trips", "{round_trip}", "Round trips to Redis")
	commands := w.Total("millrank.redis.commands", "{command}", "Commands in round trips to Redis")
	sent := w.Total("millrank.redis.sent", "By", "Bytes of commands to Redis")
	return w.Register(func(to metric.Observer) {
		s := p.sink.Stats()
		to.ObserveInt64(lists, s.Lists)
		for outcome, n := range map[string]int64{
			"whole": s.Whole, "delta": s.Deltas, "repeat": s.Repeats, "older": s.Older, "resent": s.Resent, "lost": s.Lost, "forgotten": s.Forgotten, "misplaced": s.Misplaced,
		} {
			to.ObserveInt64(keys, n, meter.With(outcomeKey, outcome))
		}
		to.ObserveInt64(moved, s.Moved)
		to.ObserveInt64(late, s.Late, meter.With(outcomeKey, "counted"))
		to.ObserveInt64(late, s.LateOld, meter.With(outcomeKey, "too_old"))
		to.ObserveInt64(trips, s.Pipelines)
		to.ObserveInt64(commands, s.Commands)
		to.ObserveInt64(sent, s.Bytes)
	})
}

// outcomeKey is the attribute of what came of something.
const outcomeKey attribute.Key = "millrank.outcome"

// observeHistory says what was written to ClickHouse.
func (p *Pipeline) observeHistory(m metric.Meter) (metric.Registration, error) {
	w := meter.New(m)
	rows := w.Total("millrank.clickhouse.rows", "{row}", "Rows written to ClickHouse")
	refused := w.Total("millrank.clickhouse.refused", "{row}", "Rows that ClickHouse refused for what they hold, set aside in the table refused")
	inserts := w.Total("millrank.clickhouse.inserts", "{insert}", "Inserts into ClickHouse, by what came of them")
	sent := w.Total("millrank.clickhouse.sent", "By", "Bytes of rows in acknowledged inserts")
	return w.Register(func(to metric.Observer) {
		s := p.history.Stats()
		for table, n := range map[string]int64{"cells": s.Cells, "rankings": s.Lists, "dead_letters": s.Letters} {
			to.ObserveInt64(rows, n, meter.With("millrank.table", table))
		}
		to.ObserveInt64(refused, s.Refused)
		for outcome, n := range map[string]int64{"acknowledged": s.Inserts, "failed": s.Failed, "narrowed": s.Narrowed} {
			to.ObserveInt64(inserts, n, meter.With(outcomeKey, outcome))
		}
		to.ObserveInt64(sent, s.Bytes)
	})
}

// revision is the commit that the program was built from; "" where that isn't known.
func revision() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// membership counts the partitions that a handler was given, and those that were taken from it.
type membership struct{ assigned, revoked atomic.Int64 }

func (m *membership) joins(*microbatch.Claim)  { m.assigned.Add(1) }
func (m *membership) leaves(*microbatch.Claim) { m.revoked.Add(1) }
