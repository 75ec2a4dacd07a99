package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline"
)

func (a *app) rebuildCommand() *cobra.Command {
	parent := &cobra.Command{Use: "rebuild", Short: "Fill a store in anew", GroupID: "mend", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	var wait time.Duration
	c := &cobra.Command{
		Use: "redis", Short: "Write all leaderboards to Redis once more", Args: noArgs,
		Long: `Has the running processes write all leaderboards to Redis once more: windows that can still change, and the final ones that the rankings topic holds.

They do so by themselves when Redis was emptied, restarted without its data, or replaced by an older copy. This is for when somebody has changed or deleted
keys. It does no harm at any time; readers see right lists meanwhile. It waits until it is done.`,
		Example: `  millrank rebuild redis`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			began := time.Now()
			done, err := pipeline.RebuildRedis(c.Context(), s, wait, func(left, all int) {
				fmt.Fprintf(a.err, "%d of %d partitions are written\n", all-left, all)
			})
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(map[string]any{"partitions": done, "seconds": time.Since(began).Seconds()})
			}
			_, err = fmt.Fprintf(a.out, "Redis has all leaderboards of %d partitions, after %v.\n", done, time.Since(began).Round(10*time.Millisecond))
			return err
		},
	}
	c.Flags().DurationVar(&wait, "timeout", 10*time.Minute, "how long to wait until it is done")
	a.jsonFlag(c)
	parent.AddCommand(c)
	return parent
}
