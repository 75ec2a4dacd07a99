//go:build !nodemo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{In: a.in, Out: a.out}
	c := &cobra.Command{
		Use: "demo", Short: "See it work on real data, with nothing installed", Args: noArgs, GroupID: "start",
		Long: `Runs all of Millrank in this process, with an embedded Kafka, Redis and ClickHouse, on two real data sets: the edits of Wikipedia on 12 September 2015,
and a year of sales of a UK web shop, with cancellations. They are sent out of order, some of them twice, with late, future and broken records
in between. Leaderboards are shown as they change. At the end every list is compared with the known answers, and the result is said.

Then everything stays up for looking around, until Ctrl-C. MILLRANK_DEMO_EXIT=1, or --exit, ends it after the comparison: with exit code 0, or 3 if a list
differs.

ClickHouse's engine is fetched by npm (160 MB), once, into the user's cache folder. Where that can't be, or it isn't Linux on amd64, the demo runs without history.`,
		Example: `  millrank demo
  MILLRANK_DEMO_EXIT=1 millrank demo --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Lasts <= 0 {
				return usage(fmt.Errorf("--lasts %v: give a duration above 0, such as 30s", o.Lasts))
			}
			ctx, quit := context.WithCancel(c.Context())
			defer quit()
			o.Quit, o.Program = quit, os.Args[0]
			o.Exit = o.Exit || os.Getenv("MILLRANK_DEMO_EXIT") == "1"
			o.Terminal = terminal(a.out) && terminal(a.in) && !a.json
			if a.json {
				o.Out = io.Discard
			}
			// What goes wrong would tear a picture apart, so it is shown at the end.
			o.Logger = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError}))
			if o.Terminal {
				o.Logger = slog.New(slog.DiscardHandler)
			}
			results, err := demo.Run(ctx, o)
			if a.json && results != nil {
				err = errors.Join(err, json.NewEncoder(a.out).Encode(results))
			}
			if errors.Is(err, demo.ErrDiffers) {
				return coded{err, exitDiffers}
			}
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Exit, "exit", false, "end after the comparison, and send as fast as it can")
	f.DurationVar(&o.Lasts, "lasts", 30*time.Second, "how long sending takes")
	f.IntVar(&o.Redis, "redis-port", 0, "port of the embedded Redis; 0: any free one")
	f.IntVar(&o.ClickHouse, "clickhouse-port", 0, "port of the embedded ClickHouse; 0: any free one")
	f.BoolVar(&o.NoHistory, "no-history", false, "without ClickHouse")
	f.IntVar(&o.Kafka, "kafka-port", 0, "port of the embedded Kafka; 0: any free one")
	a.jsonFlag(c)
	return c
}
