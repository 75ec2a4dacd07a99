package telemetry_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/telemetry"
	"github.com/millrank/millrank/internal/telemetry/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a process's telemetry with these variables of the environment.
func start(t *testing.T, env map[string]string) (*telemetry.Process, error) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	return telemetry.Start(t.Context(), telemetry.Config{
		Version: "v1", Getenv: os.Getenv, Logger: slog.New(slog.DiscardHandler), Attributes: []attribute.KeyValue{attribute.String("millrank.name", "likes")},
	})
}

// use counts to 3 and traces a span.
func use(t *testing.T, p *telemetry.Process) {
	t.Helper()
	counter, err := p.Meters().Meter("test").Int64Counter("things")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	_, span := p.Tracers().Tracer("test").Start(t.Context(), "doing")
	span.End()
}

// end ends it; all that was not sent is sent.
func end(t *testing.T, p *telemetry.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestExport: what the environment asks for is exported, and nothing else.
func TestExport(t *testing.T) {
	r := otlptest.Start(t)
	for name, c := range map[string]struct {
		env             map[string]string
		metrics, traces bool
	}{
		"nothing set":          {nil, false, false},
		"an endpoint":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.HTTP}, true, true},
		"by gRPC":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, true},
		"an exporter":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.HTTP, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp"}, true, false},
		"traces only":          {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.HTTP + "/v1/traces"}, false, true},
		"metrics only":         {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": r.HTTP + "/v1/metrics"}, true, false},
		"switched off":         {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.HTTP, "OTEL_SDK_DISABLED": "true"}, false, false},
		"a sampler that drops": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.HTTP, "OTEL_TRACES_SAMPLER": "always_off"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r.Forget()
			p, err := start(t, c.env)
			if err != nil {
				t.Fatal(err)
			}
			use(t, p)
			end(t, p)
			if m := r.Metrics()["things"]; (m != nil) != c.metrics || m != nil && m.GetSum().GetDataPoints()[0].GetAsInt() != 3 {
				t.Errorf("metrics are %v, want them: %v", m, c.metrics)
			}
			if s := r.Spans(); (len(s) == 1) != c.traces {
				t.Errorf("%d spans came, want one: %v", len(s), c.traces)
			}
		})
	}
}

// TestResource: who a process is, is what the environment says, else what the program does.
func TestResource(t *testing.T) {
	r := otlptest.Start(t)
	p, err := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.HTTP, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.version=v2"})
	if err != nil {
		t.Fatal(err)
	}
	use(t, p)
	end(t, p)
	for key, want := range map[string]string{"service.name": "millrank", "service.version": "v2", "millrank.name": "likes", "deployment.environment.name": "test"} {
		if got := r.Resource(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// TestWrongEnvironment: an error says which variable is wrong.
func TestWrongEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"protocol":   {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"}, "OTEL_EXPORTER_OTLP_"},
		"exporter":   {map[string]string{"OTEL_TRACES_EXPORTER": "pigeon"}, "OTEL_TRACES_EXPORTER"},
		"attributes": {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "pigeon"}, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := start(t, c.env)
			if err == nil {
				end(t, p)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %s", err, c.want)
			}
		})
	}
}

// TestNobodyListens: a collector that isn't there holds nothing up for longer than Close is given.
func TestNobodyListens(t *testing.T) {
	p, err := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	use(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := p.Close(ctx); err == nil {
		t.Error("nobody has taken the metrics, but Close says nothing")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestPrometheus: metrics can be fetched, in both formats, until the end and after it.
func TestPrometheus(t *testing.T) {
	p, err := start(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	use(t, p)
	fetch := func(accept string) (int, string) {
		w, request := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		request.Header.Set("Accept", accept)
		p.ServeHTTP(w, request)
		return w.Code, w.Body.String()
	}
	for _, accept := range []string{"text/plain", "application/openmetrics-text; version=1.0.0"} {
		code, body := fetch(accept)
		for _, want := range []string{"things_total 3", "go_goroutine_count", "process_resident_memory_bytes", `target_info{millrank_name="likes",service_name="millrank",service_version="v1"`} {
			if code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: status %d, without %s:\n%s", accept, code, want, body)
			}
		}
	}
	end(t, p)
	if code, body := fetch("text/plain"); code != http.StatusOK || strings.Contains(body, "things_total") {
		t.Errorf("after the end: %d %s", code, body)
	}
}
