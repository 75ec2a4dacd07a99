// Package meter makes metrics, with OpenTelemetry, of what counts itself.
package meter

import (
	"context"
	"errors"
	"fmt"

	"github.com/sony/gobreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Maker makes instruments, and keeps what goes wrong until Err or Register. It serves one goroutine.
type Maker struct {
	meter metric.Meter
	all   []metric.Observable
	errs  []error
}

// New returns a maker.
func New(meter metric.Meter) *Maker { return &Maker{meter: meter} }

func (m *Maker) note(name string, err error) {
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("metric %s: %w", name, err))
	}
}

// Err returns what went wrong.
func (m *Maker) Err() error { return errors.Join(m.errs...) }

// Counter makes a counter that is added to.
func (m *Maker) Counter(name, unit, about string) metric.Int64Counter {
	c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.note(name, err)
	return c
}

// Seconds makes a histogram of seconds, with these boundaries.
func (m *Maker) Seconds(name, about string, bounds ...float64) metric.Float64Histogram {
	h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about), metric.WithExplicitBucketBoundaries(bounds...))
	m.note(name, err)
	return h
}

// Sizes makes a histogram of sizes, with these boundaries.
func (m *Maker) Sizes(name, unit, about string, bounds ...float64) metric.Int64Histogram {
	h, err := m.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about), metric.WithExplicitBucketBoundaries(bounds...))
	m.note(name, err)
	return h
}

// Observed makes a gauge that is read when somebody looks.
func (m *Maker) Observed(name, unit, about string) metric.Int64ObservableGauge {
	g, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.note(name, err)
	m.all = append(m.all, g)
	return g
}

// ObservedSeconds makes a gauge of seconds that is read when somebody looks.
func (m *Maker) ObservedSeconds(name, about string) metric.Float64ObservableGauge {
	g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(about))
	m.note(name, err)
	m.all = append(m.all, g)
	return g
}

// Total makes a counter that is read when somebody looks.
func (m *Maker) Total(name, unit, about string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.note(name, err)
	m.all = append(m.all, c)
	return c
}

// Register has a function called when somebody looks, which reads all that this maker has made for that.
func (m *Maker) Register(observe func(metric.Observer)) (metric.Registration, error) {
	if err := m.Err(); err != nil {
		return nil, err
	}
	registration, err := m.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		observe(to)
		return nil
	}, m.all...)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return registration, nil
}

// With is an option of one attribute.
func With(key attribute.Key, value string) metric.MeasurementOption {
	return metric.WithAttributes(key.String(value))
}

// ObserveState says of each state whether it is the one.
func ObserveState(to metric.Observer, gauge metric.Int64ObservableGauge, handler, is string, states ...string) {
	for _, state := range states {
		to.ObserveInt64(gauge, Number(state == is), metric.WithAttributes(attribute.String("millrank.handler", handler), attribute.String("millrank.state", state)))
	}
}

// Number is 1 for yes.
func Number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// ErrorType says what kind of error it is: of few, since each is a series.
func ErrorType(err error) attribute.KeyValue {
	kind := "_OTHER"
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		kind = "breaker_open"
	case errors.Is(err, context.DeadlineExceeded):
		kind = "timeout"
	case errors.Is(err, context.Canceled):
		kind = "canceled"
	}
	return attribute.String("error.type", kind)
}
