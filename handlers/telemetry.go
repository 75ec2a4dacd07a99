package handlers

import (
	"context"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/millrank/millrank/internal/meter"
	"github.com/millrank/millrank/microbatch"
)

// Telemetry says where a handler's metrics and traces go. docs/metrics.md lists them. What is read from a handler's Status is only told after Observe.
type Telemetry struct {
	Meters  metric.MeterProvider // nil: OpenTelemetry's global one
	Tracers trace.TracerProvider // likewise
}

// intakeName is what Intake is called in metrics.
const intakeName = "intake"

// scope is the name of the instrumentation.
const scope = "github.com/millrank/millrank/handlers"

// instruments are what a handler notes batches and flushes with: once for each of them, never for a record.
type instruments struct {
	handler string
	to      string // topic that its flushes go to; "": a store
	tracer  trace.Tracer

	consumed  metric.Int64Counter
	processed metric.Float64Histogram
	sizes     metric.Int64Histogram
	sent      metric.Int64Counter
	flushed   metric.Float64Histogram
	entries   metric.Int64Counter
	fresh     metric.Float64Histogram
	errors    metric.Int64Counter
	letters   metric.Int64Counter

	self metric.MeasurementOption // the handler alone
}

// newInstruments makes a handler's.
func (t Telemetry) newInstruments(handler, to string) (*instruments, error) {
	if t.Meters == nil {
		t.Meters = otel.GetMeterProvider()
	}
	if t.Tracers == nil {
		t.Tracers = otel.GetTracerProvider()
	}
	m := meter.New(t.Meters.Meter(scope))
	in := &instruments{
		handler: handler, to: to, tracer: t.Tracers.Tracer(scope), self: metric.WithAttributeSet(attribute.NewSet(handlerKey.String(handler))),
		consumed:  m.Counter("messaging.client.consumed.messages", "{message}", "Kafka records that a handler was given"),
		processed: m.Seconds("messaging.process.duration", "How long a handler took for a batch of records", durations()...),
		sizes:     m.Sizes("millrank.batch.records", "{record}", "How many records batches have", 1, 4, 16, 64, 256, 1024, 4096, 16384),
		sent:      m.Counter("messaging.client.sent.messages", "{message}", "Messages of updates, rankings and dead letters that were sent"),
		flushed:   m.Seconds("millrank.flush.duration", "From giving a flush to a partition of the next topic, or to the store, until it is acknowledged or has failed", durations()...),
		entries:   m.Counter("millrank.flush.entries", "{entry}", "Cells, lists or rows in flushes that have arrived"),
		fresh:     m.Seconds("millrank.freshness", "How old the oldest new records are when they become visible in the store", ages()...),
		errors:    m.Counter("millrank.handler.errors", "{error}", "Batches refused, and flushes that failed"),
		letters:   m.Counter("millrank.intake.dead_letters", "{record}", "Dead letters published"),
	}
	return in, m.Err()
}

// durations are the boundaries that OpenTelemetry's conventions have for operations, in seconds, and some more.
func durations() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30}
}

// ages are boundaries for freshness, in seconds.
func ages() []float64 {
	return []float64{.1, .25, .5, .75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 900, 3600, 21600, 86400}
}

// Attributes; docs/metrics.md says what they hold.
const (
	handlerKey   attribute.Key = "millrank.handler"
	decisionKey  attribute.Key = "millrank.decision"
	operationKey attribute.Key = "millrank.operation"
	fromKey      attribute.Key = "millrank.freshness.from"
	systemKey    attribute.Key = "messaging.system"
	doesKey      attribute.Key = "messaging.operation.name"
	topicKey     attribute.Key = "messaging.destination.name"
	partitionKey attribute.Key = "messaging.destination.partition.id"
	groupKey     attribute.Key = "messaging.consumer.group.name"
)

// partitionID is the attribute of a partition, which the conventions have as text.
func partitionID(partition int) attribute.KeyValue {
	return partitionKey.String(strconv.Itoa(partition))
}

// process has a message handled, and notes how that went. Heartbeats, which come when a partition is silent, are only noted where they fail.
func (in *instruments) process(msg *message.Message, topic string, partition int, group string, records int, handle func(ctx context.Context) error) error {
	if records == 0 {
		err := handle(msg.Context())
		in.failed(msg.Context(), "process", err)
		return err
	}
	began := time.Now()
	ctx := propagation.TraceContext{}.Extract(msg.Context(), propagation.MapCarrier(msg.Metadata)) // of a tracer that wraps the Subscriber
	var span trace.Span
	if in.handler == intakeName { // what the others do is traced by what comes in (trace.go)
		ctx, span = in.tracer.Start(ctx, "process "+topic, trace.WithSpanKind(trace.SpanKindConsumer))
		defer span.End()
		if span.IsRecording() {
			span.SetAttributes(handlerKey.String(in.handler), systemKey.String("kafka"), doesKey.String("process"), topicKey.String(topic), partitionID(partition),
				groupKey.String(group), attribute.Int("messaging.batch.message_count", records))
		}
	}
	err := handle(ctx)
	attributes := []attribute.KeyValue{handlerKey.String(in.handler), systemKey.String("kafka"), doesKey.String("process"), topicKey.String(topic), groupKey.String(group)}
	in.consumed.Add(ctx, int64(records), metric.WithAttributes(attributes...))
	in.sizes.Record(ctx, int64(records), in.self)
	if err != nil {
		attributes = append(attributes, meter.ErrorType(err))
		in.failed(ctx, "process", err)
		if span != nil {
			span.SetStatus(codes.Error, err.Error())
		}
	}
	in.processed.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attributes...))
	return err
}

// processClaimed is process for a message of a microbatch.Subscriber.
func (in *instruments) processClaimed(msg *message.Message, claim *microbatch.Claim, handle func(ctx context.Context) error) error {
	records := 0
	if head, err := microbatch.Open(msg.Payload); err == nil {
		records = head.Count
	}
	return in.process(msg, claim.Topic, int(claim.Partition), claim.Group, records, handle)
}

func (in *instruments) failed(ctx context.Context, operation string, err error) {
	if err != nil {
		in.errors.Add(ctx, 1, metric.WithAttributes(handlerKey.String(in.handler), operationKey.String(operation)))
	}
}

// publish publishes messages, and counts them.
func (in *instruments) publish(ctx context.Context, to message.Publisher, topic string, messages []*message.Message) error {
	err := to.Publish(topic, messages...)
	attributes := []attribute.KeyValue{handlerKey.String(in.handler), systemKey.String("kafka"), doesKey.String("send"), topicKey.String(topic)}
	if err != nil {
		attributes = append(attributes, meter.ErrorType(err))
	}
	in.sent.Add(ctx, int64(len(messages)), metric.WithAttributes(attributes...))
	return err //nolint:wrapcheck // whoever publishes says what
}
