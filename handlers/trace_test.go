package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/millrank/millrank/handlers"
)

// traces is a tracer provider whose spans a test can look at.
func traces(t *testing.T, sampler sdktrace.Sampler) (*tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sampler))
	t.Cleanup(func() { _ = provider.Shutdown(t.Context()) })
	return spans, provider
}

// named returns the spans of a name.
func named(spans *tracetest.InMemoryExporter, name string) (list tracetest.SpanStubs) {
	for _, s := range spans.GetSpans() {
		if s.Name == name {
			list = append(list, s)
		}
	}
	return list
}

// sinceOf returns what updates for a shard say of their oldest records, one after the other.
func sinceOf(messages []*message.Message, shard string) (list []string) {
	for _, m := range messages {
		if m.Metadata.Get("kafka.partition") == shard {
			list = append(list, m.Metadata.Get(handlers.MetadataSince))
		}
	}
	return list
}

// TestTraceOfFlush: a flush's span links to the spans of all batches that have changed what it holds, and goes along with its message. What failed keeps what it holds
// for the next flush, and a lane that gets nothing has none.
func TestTraceOfFlush(t *testing.T) {
	spans, provider := traces(t, sdktrace.AlwaysSample())
	r := newRig(t, func(c *handlers.IntakeConfig) { c.Telemetry.Tracers = provider })
	item := inShard(1, 3, 1)[0]
	r.updates.do(func(_ int, m []*message.Message) error {
		if toShard(m) == "1" {
			return errDown
		}
		return nil
	})
	first := r.clock.Now().UnixMilli()
	r.send(ofItem(1, item))
	r.clock.add(time.Hour)
	r.send(ofItem(2, item))
	eventually(t, "a flush has failed", func() bool { return len(named(spans, "send updates")) == 1 })
	if s := named(spans, "send updates")[0]; s.Status.Description != errDown.Error() || len(s.Links) != 2 {
		t.Fatalf("the failed flush is %+v with %d links, want 2", s.Status, len(s.Links))
	}
	r.updates.do(nil)
	r.send(ofItem(3, item))
	r.flush()
	sends, batches := named(spans, "send updates"), named(spans, "process test/events")
	sent := sends[len(sends)-1]
	linked := map[trace.SpanID]bool{}
	for _, l := range sent.Links {
		linked[l.SpanContext.SpanID()] = true
	}
	for i, b := range batches[:3] {
		if !linked[b.SpanContext.SpanID()] || b.SpanKind != trace.SpanKindConsumer {
			t.Errorf("batch %d is not linked to the flush that holds it", i)
		}
	}
	if len(linked) != 3 || sent.Parent.SpanID() != batches[0].SpanContext.SpanID() || sent.SpanKind != trace.SpanKindProducer {
		t.Errorf("the flush has %d links and parent %v; want 3, and the first batch", len(linked), sent.Parent.SpanID())
	}
	for _, m := range r.updates.all() {
		parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier(m.Metadata)))
		if want := toShard([]*message.Message{m}) == "1" && m.Metadata.Get(handlers.MetadataSince) != ""; parent.IsValid() != want || want && parent.SpanID() != sent.SpanContext.SpanID() {
			t.Errorf("update %s carries span %v", m.UUID, parent.SpanID())
		}
	}
	if got := sinceOf(r.updates.all(), "1"); got[0] != sinceText(first) {
		t.Errorf("the first flush that arrived is as of %v, want %s: what had failed is in it", got, sinceText(first))
	}
	for _, other := range []string{"0", "2"} {
		if got := strings.Join(sinceOf(r.updates.all(), other), ""); got != "" {
			t.Errorf("shard %s, which has nothing, is told %q", other, got)
		}
	}
}

// TestNotSampled: what isn't sampled costs no spans, and no traceparent; how old it is, is said all the same.
func TestNotSampled(t *testing.T) {
	spans, provider := traces(t, sdktrace.NeverSample())
	r := newRig(t, func(c *handlers.IntakeConfig) { c.Telemetry.Tracers = provider })
	r.send(ofItem(1, inShard(1, 3, 1)[0]))
	r.flush()
	if n := len(spans.GetSpans()); n > 0 {
		t.Errorf("%d spans", n)
	}
	since := ""
	for _, m := range r.updates.all() {
		if m.Metadata.Get("traceparent") != "" {
			t.Errorf("update %s is traced", m.UUID)
		}
		since += m.Metadata.Get(handlers.MetadataSince)
	}
	if since != sinceText(start) {
		t.Errorf("updates say %q, want %s", since, sinceText(start))
	}
}

// TestSinceWhatCounts: a batch of which nothing was counted doesn't make a flush older.
func TestSinceWhatCounts(t *testing.T) {
	r := newRig(t, nil)
	r.send(malformed("{"), punctuation(start-3_600_000))
	r.clock.add(time.Second)
	r.send(ofItem(1, inShard(1, 3, 1)[0]))
	r.clock.add(time.Second)
	r.send(ofItem(1, inShard(1, 3, 1)[0])) // a duplicate, which is counted as such
	r.flush()
	if got := strings.Join(sinceOf(r.updates.all(), "1"), ""); got != sinceText(start+1000) {
		t.Errorf("the flush says %q, want %s: the time of the first that was counted", got, sinceText(start+1000))
	}
}

// TestRemoteParent: a batch's span is the child of the one that the message comes with.
func TestRemoteParent(t *testing.T) {
	spans, provider := traces(t, sdktrace.ParentBased(sdktrace.NeverSample()))
	r := newRig(t, func(c *handlers.IntakeConfig) { c.Telemetry.Tracers = provider })
	m := counted(1)
	m.Metadata.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.send(m, counted(2))
	r.flush()
	if all := named(spans, "process test/events"); len(all) != 1 || all[0].Parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("spans are %+v, want one, of the message's parent", all)
	}
	if len(named(spans, "send updates")) == 0 {
		t.Error("the flush of a batch that is traced has no span")
	}
}

// TestGlobalProviders: without others, OpenTelemetry's global providers are used.
func TestGlobalProviders(t *testing.T) {
	meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
	t.Cleanup(func() {
		otel.SetMeterProvider(meters)
		otel.SetTracerProvider(tracers)
	})
	reader := sdkmetric.NewManualReader()
	spans, provider := traces(t, sdktrace.AlwaysSample())
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	otel.SetTracerProvider(provider)
	r := newRig(t, nil)
	registration, err := r.Observe(otel.Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	r.send(counted(1), malformed("{"), counted(2))
	if n := len(named(spans, "process test/events")); n != 3 {
		t.Errorf("%d spans of batches, want 3", n)
	}
	for name, want := range map[string]int64{"millrank.intake.records": 3, "messaging.client.consumed.messages": 3, "millrank.intake.dead_letters": 1, "millrank.intake.open_panes": 1} {
		if got := collect(t, reader)[name]; got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if _, still := collect(t, reader)["millrank.intake.open_panes"]; still {
		t.Error("it is observed still")
	}
}

// collect returns the sums of all whole numbers.
func collect(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += p.Value
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					sums[m.Name] += p.Value
				}
			}
		}
	}
	return sums
}

// sinceText is what a flush says whose oldest records came at a time, by a clock that has stood still.
func sinceText(ms int64) string { return fmt.Sprintf("%d,%d", ms, ms) }
