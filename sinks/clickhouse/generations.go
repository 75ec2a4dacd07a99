package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ActiveGeneration returns the generation of Source that views show, and the epoch of its activation. ok is false if none was activated
// yet: views then show nothing of Source.
func (s *Sink) ActiveGeneration(ctx context.Context) (generation uint32, epoch int64, ok bool, err error) {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	var n uint64
	err = s.conn.QueryRow(s.consistent(ctx), "SELECT count(), argMax(generation, (epoch, generation)), max(epoch) FROM "+schema{s.config}.Name("activations")+" WHERE source = {source:String}",
		clickhouse.Named("source", s.config.Source)).Scan(&n, &generation, &epoch)
	return generation, epoch, n > 0, explain(err)
}

// SetActive has views show a generation of Source. Of several activations that of the greatest epoch counts, whatever the order in which they
// come; to repeat one does no harm. The error wraps ErrSuperseded where another one counts.
func (s *Sink) SetActive(ctx context.Context, generation uint32, epoch int64) error {
	active, newest, ok, err := s.ActiveGeneration(ctx)
	if err != nil {
		return err
	}
	switch {
	case ok && newest == epoch && active == generation:
		return nil
	case ok && newest >= epoch:
		return fmt.Errorf("%w: generation %d by epoch %d, where generation %d by epoch %d is asked for", ErrSuperseded, active, newest, generation, epoch)
	}
	set := "INSERT INTO " + schema{s.config}.Name("activations") + " (source, epoch, generation) SELECT {source:String}, {epoch:Int64}, {generation:UInt32}"
	if err := s.exec(s.durable(ctx), set, clickhouse.Named("source", s.config.Source), clickhouse.Named("epoch", fmt.Sprint(epoch)),
		clickhouse.Named("generation", fmt.Sprint(generation))); err != nil {
		return explain(err)
	}
	active, newest, _, err = s.ActiveGeneration(ctx)
	if err == nil && (active != generation || newest != epoch) {
		err = fmt.Errorf("%w: generation %d by epoch %d", ErrSuperseded, active, newest)
	}
	return err
}

// Drop removes all rows of a generation of Source, which nobody may write any more. It takes its time with much history:
// only ctx bounds it. The error wraps ErrActive for the generation that views show.
func (s *Sink) Drop(ctx context.Context, generation uint32) error {
	active, _, ok, err := s.ActiveGeneration(ctx)
	if err != nil {
		return err
	}
	if ok && active == generation {
		return fmt.Errorf("generation %d: %w", generation, ErrActive)
	}
	sc := schema{s.config}
	// Roll-ups come last, and the refresh that may run now is waited for, so that it can't bring rows back.
	tables := []string{"cells", "rankings", "dead_letters", "refused"}
	for _, p := range sc.Periods() {
		tables = append(tables, p.Table)
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 2, "alter_sync": 2}))
	for i, table := range tables {
		if i >= 4 {
			if err := s.conn.Exec(ctx, "SYSTEM WAIT VIEW "+sc.Name(sc.Periods()[i-4].Refresh)); err != nil {
				return fmt.Errorf("dropping generation %d: %w", generation, explain(err))
			}
		}
		// A mutation leaves parts alone that hold none of these rows: the order key begins with source and generation.
		where := fmt.Sprintf("source = %s AND generation = %d", quote(s.config.Source), generation)
		if err := s.conn.Exec(ctx, "ALTER TABLE "+sc.Name(table)+" "+sc.OnCluster()+" DELETE WHERE "+where); err != nil {
			return fmt.Errorf("dropping generation %d from %s: %w", generation, table, explain(err))
		}
	}
	return nil
}

// Refresh brings roll-ups up to date, and returns when they are. It takes its time with much history: only ctx bounds it.
func (s *Sink) Refresh(ctx context.Context) error {
	sc := schema{s.config}
	for _, p := range sc.Periods() {
		for _, verb := range []string{"SYSTEM WAIT VIEW ", "SYSTEM REFRESH VIEW ", "SYSTEM WAIT VIEW "} { // one that runs now may have begun too early
			if err := s.conn.Exec(ctx, verb+sc.Name(p.Refresh)); err != nil {
				return fmt.Errorf("roll-ups by %s: %w", p.Column, explain(err))
			}
		}
	}
	return nil
}

// durable and consistent have a cluster's servers agree on what is active.
func (s *Sink) durable(ctx context.Context) context.Context {
	if s.config.Cluster == "" {
		return ctx
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_quorum": "auto", "insert_quorum_parallel": 0}))
}

func (s *Sink) consistent(ctx context.Context) context.Context {
	if s.config.Cluster == "" {
		return ctx
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"select_sequential_consistency": 1}))
}
