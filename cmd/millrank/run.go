package main

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

func (a *app) runCommand() *cobra.Command {
	var chosen []string
	c := &cobra.Command{
		Use: "run", Short: "Count events and keep leaderboards, until it is told to stop", Args: noArgs, GroupID: "run",
		Long: `Runs the engine: it reads the source topic as a member of a consumer group, counts, ranks, writes leaderboards to Redis, and the history to ClickHouse.

Start as many processes as you like: they share the partitions. It creates the internal topics that are missing, but not the source's. It can be
killed at any moment: the next owner of a partition goes on exactly. SIGTERM and Ctrl-C flush, commit and leave the groups within shutdown_timeout;
a second Ctrl-C ends it at once.

While Kafka can't be reached at the start, it tries again and again. http.address answers /livez, /readyz, /status and /metrics;
metrics and traces are exported by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT says where to.`,
		Example: `  millrank run
  millrank run --config shop.yaml --handlers intake       # a process for each stage
  millrank run --set generation=2 --set time.pane=10s      # beside generation 1; see 'millrank activate'`,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(chosen) > 0 {
				a.set = append(a.set, "handlers="+join(chosen))
			}
			s, err := a.load()
			if err != nil {
				return err
			}
			logger := newLogger(a.err, s.Log)
			logger.Info("millrank starts", "version", thisBuild().Version, "name", s.Name, "generation", s.Generation, "handlers", s.Runs(), "source", s.SourceName())
			for _, unknown := range settings.Unknown(os.Environ()) {
				logger.Warn("an environment variable is no setting", "name", unknown)
			}
			for _, w := range s.Warnings() {
				logger.Warn(w)
			}
			costs := settings.Cost(s, settings.DefaultTraffic())
			logger.Info("what a restart reads again, at most; 'millrank validate' reckons for your traffic",
				"event_time", costs.ReplaySpan.String(), "events_per_second", costs.Traffic.EventsPerSecond, "records", costs.ReplayRecords, "seconds", costs.ReplaySeconds)
			err = pipeline.Run(c.Context(), s, pipeline.Options{Logger: logger, Version: thisBuild().Version})
			return ended(err)
		},
	}
	c.Flags().StringSliceVar(&chosen, "handlers", nil, "only these: intake, rank, leaderboard, late, history")
	return c
}

// ended gives a run's error its exit code.
func ended(err error) error {
	if errors.Is(err, pipeline.ErrDeadline) {
		return coded{err, exitDeadline}
	}
	return err
}

// newLogger returns a logger by the settings.
func newLogger(to io.Writer, l settings.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // it was validated
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" || l.Format == "auto" && !terminal(to) {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
