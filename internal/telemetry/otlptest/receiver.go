// Package otlptest receives OTLP, for tests: over HTTP and over gRPC, as a collector does.
package otlptest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Receiver keeps what it is sent. It is safe for concurrent use.
type Receiver struct {
	HTTP string // where OTLP over HTTP is received: http://host:port
	GRPC string // where OTLP over gRPC is

	mu       sync.Mutex
	metrics  map[string]*metrics.Metric // the newest of each name
	spans    []*trace.Span
	resource *resource.Resource
}

// Start starts one, which ends with the test.
func Start(t *testing.T) *Receiver {
	t.Helper()
	r := &Receiver{metrics: map[string]*metrics.Metric{}}
	forHTTP, forGRPC := listen(t), listen(t)
	r.HTTP, r.GRPC = "http://"+forHTTP.Addr().String(), "http://"+forGRPC.Addr().String()
	web := &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	calls := grpc.NewServer()
	collectormetrics.RegisterMetricsServiceServer(calls, metricsService{of: r})
	collectortrace.RegisterTraceServiceServer(calls, traceService{of: r})
	var serving sync.WaitGroup
	serving.Go(func() { _ = web.Serve(forHTTP) })
	serving.Go(func() { _ = calls.Serve(forGRPC) })
	t.Cleanup(func() {
		_ = web.Close()
		calls.Stop()
		serving.Wait()
	})
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ServeHTTP takes /v1/metrics and /v1/traces.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil && request.URL.Path == "/v1/metrics" {
		var m collectormetrics.ExportMetricsServiceRequest
		if err = proto.Unmarshal(body, &m); err == nil {
			r.takeMetrics(&m)
		}
	}
	if err == nil && request.URL.Path == "/v1/traces" {
		var s collectortrace.ExportTraceServiceRequest
		if err = proto.Unmarshal(body, &s); err == nil {
			r.takeSpans(&s)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

type metricsService struct {
	collectormetrics.UnimplementedMetricsServiceServer
	of *Receiver
}

// Export takes metrics.
func (s metricsService) Export(_ context.Context, m *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	s.of.takeMetrics(m)
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

type traceService struct {
	collectortrace.UnimplementedTraceServiceServer
	of *Receiver
}

// Export takes spans.
func (s traceService) Export(_ context.Context, m *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	s.of.takeSpans(m)
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

func (r *Receiver) takeMetrics(m *collectormetrics.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range m.GetResourceMetrics() {
		r.resource = of.GetResource()
		for _, scope := range of.GetScopeMetrics() {
			for _, one := range scope.GetMetrics() {
				r.metrics[one.GetName()] = one
			}
		}
	}
}

func (r *Receiver) takeSpans(m *collectortrace.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range m.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
}

// Metrics returns the newest of each metric, by name.
func (r *Receiver) Metrics() map[string]*metrics.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]*metrics.Metric{}
	maps.Copy(all, r.metrics)
	return all
}

// Spans returns all spans that have come.
func (r *Receiver) Spans() []*trace.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// Resource returns an attribute of who has sent metrics last.
func (r *Receiver) Resource(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.resource.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// Forget forgets what has come.
func (r *Receiver) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.metrics)
	r.spans, r.resource = nil, nil
}
