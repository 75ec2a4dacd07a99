package microbatch_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// spans is a small tracer provider, which remembers what was begun and ended.
type spans struct {
	noop.TracerProvider

	mu    sync.Mutex
	begun []trace.SpanContext
	ended int
}

// Tracer returns the one.
func (s *spans) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{spans: s} }

type tracer struct {
	noop.Tracer
	spans *spans
}

// Start begins a span.
func (t tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := t.spans
	s.mu.Lock()
	defer s.mu.Unlock()
	var of trace.TraceID
	binary.BigEndian.PutUint64(of[8:], uint64(len(s.begun)+1))
	c := trace.NewSpanContext(trace.SpanContextConfig{TraceID: of, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	s.begun = append(s.begun, c)
	one := &span{Span: trace.SpanFromContext(trace.ContextWithSpanContext(ctx, c)), of: s}
	return trace.ContextWithSpan(ctx, one), one
}

type span struct {
	trace.Span
	of *spans
}

// End counts.
func (s *span) End(...trace.SpanEndOption) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.ended++
}

func traced(t *testing.T) *spans {
	t.Helper()
	provider, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	t.Cleanup(func() {
		otel.SetTracerProvider(provider)
		otel.SetTextMapPropagator(propagator)
	})
	s := &spans{}
	otel.SetTracerProvider(s)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return s
}

// TestTracer: OpenTelemetry's tracer for watermill-kafka makes a span for each message, and handlers
// find it in the message's metadata.
func TestTracer(t *testing.T) {
	for _, strategy := range strategies() {
		s := traced(t)
		k := fake(t, 2, 1)
		for p := range int32(2) {
			k.produce(t, p, 0, 1000)
		}
		config := k.settings(strategy)
		config.Tracer = wkafka.NewOTELSaramaTracer()
		config.BatchRecords = 100
		m := join(t, k, config, committing)
		m.untilAll(t, 2000)
		second := join(t, k, config, committing)
		second.untilOwns(t, 1)
		second.leave(t)
		m.leave(t)
		seen := map[string]bool{}
		for _, d := range append(append(append(m.batches, m.beats...), second.batches...), second.beats...) {
			parent := d.message.Metadata.Get("traceparent")
			switch {
			case d.batch.Leaving: // not from the broker
			case parent == "":
				t.Fatalf("the message at %d is not traced", d.batch.Position)
			case seen[parent]:
				t.Errorf("two messages of %s", parent)
			}
			seen[parent] = true
		}
		if len(s.begun) != s.ended || len(s.begun) < len(seen)-1 || len(s.begun) > len(seen)+20 {
			t.Errorf("%d spans have begun and %d have ended, for %d messages", len(s.begun), s.ended, len(seen))
		}
		for p := range int32(2) {
			if err := same(m.values(p), values(p, 0, 1000)); err != nil {
				t.Errorf("partition %d: %v", p, err)
			}
		}
	}
}

// TestTracerHoldsBack: a tracer takes a message before the handler is free. A heartbeat that it holds back so is not
// handed out when records have come meanwhile: what it says is not true any more.
func TestTracerHoldsBack(t *testing.T) {
	traced(t)
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 10)
	config := k.settings("sticky")
	config.Tracer = wkafka.NewOTELSaramaTracer()
	m := join(t, k, config, func(d delivery) {
		if d.batch.Position == 10 && len(d.values) > 0 {
			<-time.After(300 * time.Millisecond) // a heartbeat is taken meanwhile
			k.produce(t, 0, 20, 10)
			<-time.After(200 * time.Millisecond)
		}
		d.message.Ack()
	})
	m.untilAll(t, 10)
	m.untilQuiet(t, 0, 10, 10)
	k.produce(t, 0, 10, 10)
	m.untilAll(t, 30)
	m.read(func() {
		for _, d := range m.beats {
			if d.batch.Position == 20 {
				t.Error("a heartbeat came before records that were there already")
			}
		}
	})
}
