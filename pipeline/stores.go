package pipeline

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/meter"
)

// scope is the name of the instrumentation.
const scope = "github.com/millrank/millrank/pipeline"

// stores notes what is written to Redis and ClickHouse: how long a write took, with all its round trips, and, where it is traced, a span.
type stores struct {
	tracer trace.Tracer
	took   metric.Float64Histogram
}

func newStores(t handlers.Telemetry) (*stores, error) {
	tracers := t.Tracers
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	m := meter.New(metersOf(t).Meter(scope))
	took := m.Seconds("db.client.operation.duration", "How long a write to Redis or ClickHouse took", .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
	return &stores{tracer: tracers.Tracer(scope), took: took}, m.Err()
}

// do writes, and notes how that went.
func (s *stores) do(ctx context.Context, system, operation string, write func(context.Context) error) error {
	attributes := []attribute.KeyValue{attribute.String("db.system.name", system), attribute.String("db.operation.name", operation)}
	span := trace.SpanFromContext(ctx)
	if span.IsRecording() { // what isn't traced until here begins no trace here
		ctx, span = s.tracer.Start(ctx, operation+" "+system, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
		defer span.End()
	}
	began := time.Now()
	err := write(ctx)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		attributes = append(attributes, meter.ErrorType(err))
	}
	s.took.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attributes...))
	return err
}

// lists returns a writer of lists whose writes are noted. Calls without lists only ask how the store is; they aren't.
func (s *stores) lists(system string, to handlers.ListWriter) handlers.ListWriter {
	return notedLists{s, system, to}
}

type notedLists struct {
	stores *stores
	system string
	handlers.ListWriter
}

// Write writes lists.
func (n notedLists) Write(ctx context.Context, asOf, watermark int64, lists []event.Ranking) (behind bool, err error) {
	if len(lists) == 0 {
		return n.ListWriter.Write(ctx, asOf, watermark, lists)
	}
	err = n.stores.do(ctx, n.system, "write_lists", func(ctx context.Context) (err error) {
		behind, err = n.ListWriter.Write(ctx, asOf, watermark, lists)
		return err
	})
	return behind, err
}
