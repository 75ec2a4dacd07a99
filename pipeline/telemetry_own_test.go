package pipeline_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/telemetry/otlptest"
	"github.com/millrank/millrank/pipeline"
)

// TestOwnProviders: in somebody's own router, metrics and traces go to their providers; after Close nothing is observed any more.
func TestOwnProviders(t *testing.T) {
	e := newEngine(t)
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	meters, tracers := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer func() { _ = tracers.Shutdown(t.Context()) }()
	p, err := pipeline.New(t.Context(), e.settings, pipeline.Options{Telemetry: handlers.Telemetry{Meters: meters, Tracers: tracers}})
	if err != nil {
		t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	p.AddTo(router)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	e.send("tea", "")
	eventually(t, "tea is liked", func() bool { return e.score("tea") == 1 })
	eventually(t, "the write to Redis is traced", func() bool {
		for _, s := range spans.GetSpans() {
			if s.Name == "write_lists redis" {
				return true
			}
		}
		return false
	})
	names := func() string {
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				list = append(list, m.Name)
			}
		}
		return strings.Join(list, " ")
	}
	observed := []string{"millrank.ready", "millrank.intake.records", "millrank.rank.items", "millrank.partition.lag", "millrank.redis.lists"}
	for _, name := range append(observed, "millrank.freshness", "db.client.operation.duration") {
		if !strings.Contains(names(), name) {
			t.Errorf("there is no %s among %s", name, names())
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range observed {
		if strings.Contains(names(), name) {
			t.Errorf("%s is observed after Close", name)
		}
	}
}

// TestRestartIsNotFresh: what a restart reads again is as old as it is, but was visible before: it doesn't count for freshness.
func TestRestartIsNotFresh(t *testing.T) {
	sent := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sent.HTTP)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
	o := observed{newEngine(t, "limits.rank_items=1000"), sent}
	o.run()
	for range 5 {
		o.send("tea", "")
	}
	eventually(t, "tea has its likes", func() bool { return o.score("tea") == 5 })
	eventually(t, "it is noted how fresh they were", func() bool { return o.value("millrank.freshness", "millrank.freshness.from=record") > 0 })
	if err := o.end(); err != nil {
		t.Fatal(err)
	}
	sent.Forget()
	o.run()
	eventually(t, "it is ready, and has replayed", func() bool {
		return o.value("millrank.ready") == 1 && o.value("millrank.intake.records", "millrank.decision=replayed") == 5
	})
	o.redis.Server().FlushAll()
	eventually(t, "Redis is filled in again", func() bool { return o.score("tea") == 5 })
	eventually(t, "and that is noted", func() bool { return o.value("millrank.store.refills") > 0 })
	if n := o.value("millrank.freshness"); n > 0 {
		t.Errorf("%v values of freshness, though nothing new came", n)
	}
	o.send("tea", "")
	eventually(t, "tea has another one", func() bool { return o.score("tea") == 6 })
	eventually(t, "it is noted how fresh that was", func() bool { return o.value("millrank.freshness", "millrank.freshness.from=receipt") > 0 })
	if err := o.end(); err != nil {
		t.Error(err)
	}
}

// TestMetricsWhileStopping: whoever fetches metrics while the process stops is answered, or refused, but not kept waiting; also when a collector doesn't answer.
func TestMetricsWhileStopping(t *testing.T) {
	hung := make(chan struct{})
	collector := serveUntil(t, hung)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
	e := newEngine(t)
	e.run()
	eventually(t, "it is ready", func() bool { code, _ := e.health(); return code == http.StatusOK })
	e.send("tea", "")
	type answer struct {
		code int
		took time.Duration
	}
	answers := make(chan answer)
	stopped := make(chan struct{})
	go func() {
		defer close(answers)
		for {
			began := time.Now()
			code, _ := e.get("/metrics")
			answers <- answer{code, time.Since(began)}
			select {
			case <-stopped:
				return
			default:
			}
		}
	}()
	first := <-answers
	ended := make(chan error, 1)
	go func() { ended <- e.end() }()
	began, n := time.Now(), 0
	for a := range answers {
		if n++; a.took > 5*time.Second || a.code != http.StatusOK && a.code != 0 {
			t.Errorf("/metrics: status %d after %v", a.code, a.took)
		}
		if a.code == 0 {
			close(stopped)
			break
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	close(hung)
	if first.code != http.StatusOK || n == 0 {
		t.Errorf("status %d before, and %d fetches while stopping", first.code, n)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	for range answers { // the goroutine ends
	}
}

// serveUntil serves HTTP without an answer until a channel is closed.
func serveUntil(t *testing.T, until <-chan struct{}) string {
	t.Helper()
	address := freeAddress(t)
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-until })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ListenAndServe()
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return fmt.Sprintf("http://%s", address)
}
