package handlers

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Observe has a meter say how full rank's shards are, until the registration is undone:
//
//	millrank.rank.items           cells that a shard holds, one per pane, group, item and source partition
//	millrank.rank.items.limit     how many it may hold: limits.rank_items; 0: any number
//	millrank.rank.items.evicted   how many it has let go for want of room, since this process has it: above 0, lists may say exact=false
//
// each with the shard, as messaging.destination.partition.id. Its error is the meter's.
func (r *Rank) Observe(meter metric.Meter) (metric.Registration, error) {
	held, err := meter.Int64ObservableGauge("millrank.rank.items", metric.WithUnit("{item}"),
		metric.WithDescription("Items that a shard holds: one per pane, group, item and source partition"))
	if err != nil {
		return nil, fmt.Errorf("metrics of rank: %w", err)
	}
	limit, err := meter.Int64ObservableGauge("millrank.rank.items.limit", metric.WithUnit("{item}"),
		metric.WithDescription("How many items a shard may hold: limits.rank_items. 0: any number"))
	if err != nil {
		return nil, fmt.Errorf("metrics of rank: %w", err)
	}
	evicted, err := meter.Int64ObservableCounter("millrank.rank.items.evicted", metric.WithUnit("{item}"),
		metric.WithDescription("Items that a shard has let go for want of room; lists that this can touch say exact=false. Raise limits.rank_items, or use more shards"))
	if err != nil {
		return nil, fmt.Errorf("metrics of rank: %w", err)
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, s := range r.Status() {
			shard := metric.WithAttributes(attribute.Int("messaging.destination.partition.id", s.Partition))
			o.ObserveInt64(held, int64(s.Items), shard)
			o.ObserveInt64(limit, int64(s.Room), shard)
			o.ObserveInt64(evicted, s.Evicted, shard)
		}
		return nil
	}, held, limit, evicted)
	if err != nil {
		return nil, fmt.Errorf("metrics of rank: %w", err)
	}
	return registration, nil
}
