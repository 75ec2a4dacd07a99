package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

func (a *app) activateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "activate GENERATION", Short: "Have readers see a generation", Args: exactArgs(1), GroupID: "mend",
		Long: `Makes a generation the one that readers of Redis see. A generation is a run over the source, with topics, groups and keys of its own. To count anew
with other settings, or from the beginning:

  1. Run it beside the old one:     millrank run --config new.yaml    (generation: 2)
  2. Wait until it has caught up:   millrank status --config new.yaml
     and compare:                   millrank top --config new.yaml --generation 2
  3. Switch:                        millrank activate 2 --config new.yaml
  4. Stop the old one, and drop it: millrank drop 1 --config new.yaml

On one Redis server all keys switch at the same moment; in a cluster, one after the other, in a few seconds. Going back is activating the old one again,
as long as it hasn't been dropped.`,
		RunE: func(c *cobra.Command, args []string) error {
			s, generation, err := a.loadFor(args[0])
			if err != nil {
				return err
			}
			active, err := pipeline.Activate(c.Context(), s, generation)
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(active)
			}
			_, err = fmt.Fprintf(a.out, "Readers see generation %d (activation %d).\n", active.Generation, active.Epoch)
			return err
		},
	}
	a.jsonFlag(c)
	return c
}

func (a *app) dropCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "drop GENERATION", Short: "Delete a generation's topics, groups and keys", Args: exactArgs(1), GroupID: "mend",
		Long: `Deletes what a generation has: its topics of updates and rankings, its consumer groups, and its keys in Redis. Dead letters stay. It refuses the generation that
readers see, and one that still runs. It can be called again.`,
		Example: `  millrank drop 1`,
		RunE: func(c *cobra.Command, args []string) error {
			s, generation, err := a.loadFor(args[0])
			if err != nil {
				return err
			}
			dropped, err := pipeline.Drop(c.Context(), s, generation)
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(dropped)
			}
			_, err = fmt.Fprintf(a.out, "Generation %d is gone: topics %s; groups %s; its keys in Redis.\n", generation, join(dropped.Topics), join(dropped.Groups))
			return err
		},
	}
	a.jsonFlag(c)
	return c
}

// loadFor reads the settings, and the number of the generation that a command is about.
func (a *app) loadFor(text string) (s settings.Settings, generation uint32, err error) {
	if generation, err = generationOf(text); err != nil {
		return s, 0, err
	}
	s, err = a.load()
	return s, generation, err
}

// generationOf reads a generation's number.
func generationOf(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, usage(fmt.Errorf("%q is no generation: give its number, 1 or more", text))
	}
	return uint32(n), nil
}

// noArgs is cobra.NoArgs with the exit code of a wrong command line.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%q is one word too much\nUsage: %s", args[0], c.UseLine()))
	}
	return nil
}

// needsCommand is what a command does that only has others below it.
func needsCommand(c *cobra.Command, args []string) error {
	var names []string
	for _, below := range c.Commands() {
		names = append(names, below.Name())
	}
	what := "which one?"
	if len(args) > 0 {
		what = fmt.Sprintf("there is no %q.", args[0])
	}
	return usage(fmt.Errorf("%s: %s There is %s; see '%s --help'", c.CommandPath(), what, join(names), c.CommandPath()))
}

// exactArgs is cobra.ExactArgs with the exit code of a wrong command line.
func exactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(c, args); err != nil {
			return usage(fmt.Errorf("%w\nUsage: %s", err, c.UseLine()))
		}
		return nil
	}
}
