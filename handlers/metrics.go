package handlers

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/meter"
)

// The handlers' Observe methods have a meter say what their Status does, each time that it is read, until the registration is undone. Their errors
// are the meter's. docs/metrics.md says what there is.

// Observe has a meter say how far partitions of the source are, and what became of records.
func (in *Intake) Observe(m metric.Meter) (metric.Registration, error) {
	o := newObserved(m, intakeName, in.config.Now)
	records := o.Total("millrank.intake.records", "{record}", "Records of the source, by what became of them")
	conflicts := o.Total("millrank.intake.conflicts", "{record}", "Duplicates that differ from the record that they repeat")
	panes := o.Observed("millrank.intake.open_panes", "{pane}", "Panes that late events can still be counted in")
	ids := o.Observed("millrank.intake.live_ids", "{id}", "Event IDs remembered, to find duplicates")
	idle := o.Observed("millrank.intake.idle", "", "1: nothing comes, so that the partition doesn't hold time back")
	paused := o.Observed("millrank.intake.paused", "", "1: reading pauses, since too many records are bad: limits.dead_letter_share")
	far := o.progress()
	return o.Register(func(to metric.Observer) {
		decided, differ := in.Decided()
		for d, n := range decided {
			to.ObserveInt64(records, n, meter.With(decisionKey, event.Decision(d).String()))
		}
		to.ObserveInt64(conflicts, differ)
		for _, s := range in.Status() {
			at := o.partition(s.Topic, s.Partition)
			far.observe(to, progress{
				s.Offset, s.LogEnd, s.LowWater, s.ProcessedThrough, s.Watermark, s.PendingCells, s.Replaying, s.ReplayThrough,
			}, at)
			to.ObserveInt64(panes, int64(s.OpenPanes), at)
			to.ObserveInt64(ids, int64(s.LiveIDs), at)
			to.ObserveInt64(idle, meter.Number(s.Idle), at)
			to.ObserveInt64(paused, meter.Number(!s.PausedUntil.IsZero()), at)
		}
	})
}

// Observe has a meter say how far shards are, and how full.
func (r *Rank) Observe(m metric.Meter) (metric.Registration, error) {
	o := newObserved(m, rankName, r.config.Now)
	held := o.Observed("millrank.rank.items", "{item}", "Items that a shard holds: one per pane, group, item and source partition")
	limit := o.Observed("millrank.rank.items.limit", "{item}", "How many items a shard may hold: limits.rank_items. 0: any number")
	evicted := o.Total("millrank.rank.items.evicted", "{item}",
		"Items that a shard has let go for want of room; lists that this can touch say exact=false. Raise limits.rank_items, or use more shards")
	holds := o.Observed("millrank.rank.held_back_by", "{partition}", "Number of the source partition that holds the closing watermark back; -1: all are idle")
	far := o.hops()
	return o.Register(func(to metric.Observer) {
		for _, s := range r.Status() {
			at := o.partition(s.Topic, s.Partition)
			far.observe(to, &s.HopStatus, s.PendingLists, true, at)
			to.ObserveInt64(held, int64(s.Items), at)
			to.ObserveInt64(limit, int64(s.Room), at)
			to.ObserveInt64(evicted, s.Evicted, at)
			to.ObserveInt64(holds, int64(s.HeldBackBy), at)
		}
	})
}

// Observe has a meter say how far partitions of the rankings are, and how the store is.
func (l *Leaderboard) Observe(m metric.Meter) (metric.Registration, error) {
	o := newObserved(m, l.config.Name, l.config.Now)
	refills := o.Total("millrank.store.refills", "{partition}", "How often a partition's lists were filled in anew")
	refilling := o.Observed("millrank.store.refilling", "", "1: what the store has lost is being filled in")
	breaker := o.breaker()
	far := o.hops()
	return o.Register(func(to metric.Observer) {
		parts, state := l.Status()
		o.observeBreaker(to, breaker, state)
		to.ObserveInt64(refills, l.Refills(), meter.With(handlerKey, o.handler))
		for _, s := range parts {
			at := o.partition(s.Topic, s.Partition)
			far.observe(to, &s.HopStatus, s.PendingLists, true, at)
			to.ObserveInt64(refilling, meter.Number(s.Refilling), at)
		}
	})
}

// Observe has a meter say how far shards are, and how the store is.
func (c *Cells) Observe(m metric.Meter) (metric.Registration, error) {
	return observeRows(m, cellsName, c.config.Now, c.Status)
}

// Observe has a meter say how far partitions of the dead letters are, and how the store is.
func (l *Letters) Observe(m metric.Meter) (metric.Registration, error) {
	return observeRows(m, lettersName, l.config.Now, l.Status)
}

func observeRows(m metric.Meter, handler string, now func() time.Time, status func() ([]RowsStatus, string)) (metric.Registration, error) {
	o := newObserved(m, handler, now)
	breaker := o.breaker()
	far := o.hops()
	return o.Register(func(to metric.Observer) {
		parts, state := status()
		o.observeBreaker(to, breaker, state)
		for _, s := range parts {
			far.observe(to, &s.HopStatus, s.PendingRows, false, o.partition(s.Topic, s.Partition))
		}
	})
}

// Observe has a meter say how many records of the dead-letter topic could not be read.
func (l *LateCounts) Observe(m metric.Meter) (metric.Registration, error) {
	o := newObserved(m, lateName, nil)
	foreign := o.Total("millrank.late.foreign", "{record}", "Records of the dead-letter topic that late could not read")
	return o.Register(func(to metric.Observer) { to.ObserveInt64(foreign, l.Foreign()) })
}

// observed makes the instruments of one handler that are read when somebody looks.
type observed struct {
	*meter.Maker
	handler string
	now     func() time.Time
}

func newObserved(m metric.Meter, handler string, now func() time.Time) observed {
	return observed{meter.New(m), handler, now}
}

// partition returns the attributes of a partition.
func (o *observed) partition(topic string, partition int) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(handlerKey.String(o.handler), topicKey.String(topic), partitionID(partition)))
}

func (o *observed) breaker() metric.Int64ObservableGauge {
	return o.Observed("millrank.store.breaker", "", "1 for the state that the circuit breaker of a handler's store is in, 0 for the others")
}

func (o *observed) observeBreaker(to metric.Observer, gauge metric.Int64ObservableGauge, is string) {
	meter.ObserveState(to, gauge, o.handler, is, "closed", "half-open", "open")
}
