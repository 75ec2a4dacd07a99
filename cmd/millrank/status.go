package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/pipeline"
)

// statusOptions are what 'millrank status' is asked.
type statusOptions struct {
	from      string
	processes []string
	watch     bool
	every     time.Duration
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use: "status", Short: "Say how far it is, and which partition holds time back", Args: noArgs, GroupID: "look",
		Long: `Says in a sentence whether all is well, and if not, what is wrong and what to do. Below that, for each partition of the source: how many records are
still to be counted, its watermark and how far that is behind the others', whether it is idle, how many records a restart would read again, and who owns it; and
the same for the internal topics, the consumer groups, and what became of records.

Which partition holds time back: windows become final when the least watermark of all partitions that are not idle has passed their end. One that nothing was ever
heard from holds all back. This command sees what the ranking sees: the newest flush of each partition in the topic of updates.

All of that is in Kafka, so it works from anywhere. Only what became of records (counted, duplicate, late, future, malformed) is asked of the processes, at
their HTTP server: by default at the hosts of the groups' members, at the port of http.address, by https where http.tls.certificate_file is given, which is
then shown as a client's certificate, too. Those that don't answer are named, and no error.

The exit code is 0 whatever is found, and 1 if it can't be found out. Programs look at verdict.ok of --json.`,
		Example: `  millrank status
  millrank status --watch
  millrank status --from clickhouse
  millrank status --json | jq .verdict
  millrank status --process http://10.0.0.7:8080 --process http://10.0.0.8:8080`,
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "kafka", "kafka, or clickhouse: what the history has")
	f.BoolVarP(&o.watch, "watch", "w", false, "look again and again, until q is pressed; without a terminal, once")
	f.DurationVar(&o.every, "every", 2*time.Second, "with --watch: how often")
	f.StringArrayVar(&o.processes, "process", nil, "URL of a process to ask, such as http://10.0.0.7:8080 (repeat it)")
	a.jsonFlag(c)
	return c
}

func (a *app) status(ctx context.Context, o statusOptions) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	switch o.from {
	case "kafka":
	case "clickhouse":
		return a.statusHistory(ctx, s)
	default:
		return usage(fmt.Errorf("--from %q is not kafka or clickhouse", o.from))
	}
	reader, err := progress.NewReader(s)
	if err != nil {
		return usage(err)
	}
	defer reader.Close()
	reader.Processes = o.processes
	read := func() (progress.State, error) {
		once, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		st, err := reader.Read(once)
		if err != nil {
			return st, err
		}
		if active, err := pipeline.ActiveGeneration(once, s); err == nil {
			st.Active = active.Generation
		}
		return st, nil
	}
	if o.watch && !a.json && terminal(a.out) {
		return a.live(ctx, o.every, nil, func(width int) (string, error) {
			st, err := read()
			if err != nil {
				return "", err
			}
			return a.statusText(&st, width), nil
		})
	}
	st, err := read()
	if err != nil {
		return fmt.Errorf("how far it is can't be read: %w", err)
	}
	if a.json {
		return a.writeJSON(st)
	}
	_, err = fmt.Fprint(a.out, a.statusText(&st, 0))
	return err
}
