// Package telemetry is how a process gives its metrics and traces to others: for Prometheus to fetch, and by OTLP, as OpenTelemetry's
// environment variables say. What there is to give is the business of whoever uses its providers.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Config says who a process is, and where it looks.
type Config struct {
	Version    string
	Attributes []attribute.KeyValue // of the process, besides its service's name and version
	Getenv     func(string) string  // os.Getenv: whether anything is exported. What exporters do then, they read from the process's environment
	Logger     *slog.Logger
}

// Process holds the providers of a process, and what exports from them. It serves Prometheus over HTTP.
type Process struct {
	meters  *sdkmetric.MeterProvider
	traces  *sdktrace.TracerProvider // nil: no traces are exported
	metrics http.Handler
}

// Start makes the providers. Nothing is exported by OTLP unless the environment asks for it. An error says which variable is wrong.
func Start(ctx context.Context, c Config) (*Process, error) {
	attributes := append([]attribute.KeyValue{attribute.String("service.name", "millrank"), attribute.String("service.version", c.Version)}, c.Attributes...)
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if asked(c.Getenv, "METRICS") || asked(c.Getenv, "TRACES") {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Logger.Warn("telemetry", "err", err) })) // exporters have no other way to say what fails
	}
	p := &Process{}
	if err := p.measure(ctx, &c, who); err != nil {
		return nil, err
	}
	if !asked(c.Getenv, "TRACES") {
		return p, nil
	}
	spans, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_...: %w", err), p.Close(ctx))
	}
	p.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(who)) // sampled as OTEL_TRACES_SAMPLER says
	return p, nil
}

// measure makes the provider of meters.
func (p *Process) measure(ctx context.Context, c *Config, who *resource.Resource) error {
	registry := prometheus.NewRegistry()
	fetched, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return fmt.Errorf("metrics for Prometheus: %w", err)
	}
	if err := registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return fmt.Errorf("metrics of the process: %w", err)
	}
	options := []sdkmetric.Option{
		sdkmetric.WithResource(who), sdkmetric.WithReader(fetched),
		sdkmetric.WithCardinalityLimit(0), // what there is has a limit: handlers, topics and partitions. The SDK's would throw partitions together
	}
	if asked(c.Getenv, "METRICS") {
		sent, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_METRICS_EXPORTER, OTEL_EXPORTER_OTLP_...: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sent))
	}
	p.meters = sdkmetric.NewMeterProvider(options...)
	if err := runtime.Start(runtime.WithMeterProvider(p.meters)); err != nil {
		return errors.Join(fmt.Errorf("metrics of the Go runtime: %w", err), p.Close(ctx))
	}
	p.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, // with exemplars
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: fetchesMax, Timeout: fetchTimeout,
	})
	return nil
}

// How many may fetch metrics at a time, and how long that may take.
const (
	fetchesMax   = 4
	fetchTimeout = 10 * time.Second
)

// asked reports whether the environment asks for a signal, METRICS or TRACES, to be exported. The specification's own default, to send to this
// machine, would have every process that nobody has set up complain.
func asked(getenv func(string) string, signal string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	for _, name := range []string{"OTEL_" + signal + "_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"} {
		if getenv(name) != "" {
			return getenv("OTEL_"+signal+"_EXPORTER") != "none"
		}
	}
	return false
}

// Meters returns what metrics are made with.
func (p *Process) Meters() metric.MeterProvider { return p.meters }

// Tracers returns what traces are made with.
func (p *Process) Tracers() trace.TracerProvider {
	if p.traces == nil {
		return tracenoop.NewTracerProvider()
	}
	return p.traces
}

// ServeHTTP answers Prometheus.
func (p *Process) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.metrics.ServeHTTP(w, r) }

// Close sends what was not sent yet, until ctx is done, and ends all that exports.
func (p *Process) Close(ctx context.Context) error {
	var traces error
	var ending sync.WaitGroup
	if p.traces != nil {
		ending.Go(func() { traces = p.traces.Shutdown(ctx) }) // side by side: with its context done, a provider ends nothing
	}
	metrics := p.meters.Shutdown(ctx)
	ending.Wait()
	return errors.Join(metrics, traces)
}
