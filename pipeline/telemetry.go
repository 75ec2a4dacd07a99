package pipeline

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/millrank/millrank/internal/telemetry"
	"github.com/millrank/millrank/pipeline/settings"
)

// telemetryOf starts the process's telemetry, for what options name no providers of.
func telemetryOf(ctx context.Context, s settings.Settings, o *Options) (*telemetry.Process, error) {
	t, err := telemetry.Start(ctx, telemetry.Config{
		Version: o.Version, Getenv: os.Getenv, Logger: o.Logger,
		Attributes: []attribute.KeyValue{attribute.String("millrank.name", s.Name), attribute.Int("millrank.generation", int(s.Generation))},
	})
	if err != nil {
		return nil, err
	}
	if o.Telemetry.Meters == nil {
		o.Telemetry.Meters = t.Meters()
	}
	if o.Telemetry.Tracers == nil {
		o.Telemetry.Tracers = t.Tracers()
	}
	return t, nil
}

// telemetryPatience is how long a process that ends waits for who takes its last metrics and traces.
const telemetryPatience = 5 * time.Second

func endTelemetry(t *telemetry.Process, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), telemetryPatience)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		logger.Warn("the last metrics and traces may not have been taken", "err", err)
	}
}
