package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline/settings"
)

// validation is what 'millrank validate --json' writes.
type validation struct {
	File     string            `json:"file"`
	Valid    bool              `json:"valid"`
	Problems settings.Problems `json:"problems"`
	Warnings []string          `json:"warnings"`
	Costs    *settings.Costs   `json:"costs,omitempty"` // of valid settings
	Assumed  bool              `json:"assumed"`         // the rate was not given
}

func (a *app) validateCommand() *cobra.Command {
	traffic := settings.DefaultTraffic()
	var example, schema bool
	c := &cobra.Command{
		Use: "validate", Short: "Check the settings, and say what they cost; or write an example", Args: noArgs, GroupID: "start",
		Long: `Checks the settings: the file (--config), the environment (MILLRANK_...) and --set, as all commands read them. It reaches no server.

If something is wrong, it says all of it at once, with file, line, setting and what is allowed, and ends with 2. If nothing is, it says what the settings
cost with your traffic: how long a restart takes, memory of the processes and of Redis, and how long topics must keep records. The figures are upper bounds
for planning; give your own rate, since 10,000 events a second are assumed else.

To begin, write an example, and beside it the schema by which editors complete names and mark mistakes.`,
		Example: `  millrank validate --example > millrank.yaml
  millrank validate --schema > millrank.schema.json
  millrank validate --events-per-second 200000 --partitions 32 --items 5000000
  millrank validate --set limits.rank_items=2000000      # what would that cost?`,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case example && schema:
				return usage(errors.New("--example and --schema: only one of them can be written at a time"))
			case example:
				_, err := fmt.Fprint(a.out, settings.Example())
				return err
			case schema:
				text, err := settings.Schema()
				if err != nil {
					return err
				}
				_, err = a.out.Write(text)
				return err
			}
			if traffic.EventsPerSecond <= 0 || traffic.Partitions < 1 || traffic.Items < 1 || traffic.Regions < 1 {
				return usage(errors.New("--events-per-second, --partitions, --items and --regions must be above 0"))
			}
			return a.validate(traffic, !c.Flags().Changed("events-per-second"))
		},
	}
	f := c.Flags()
	f.BoolVar(&example, "example", false, "write a file with all settings, explained")
	f.BoolVar(&schema, "schema", false, "write the JSON Schema of the file, for editors")
	f.Float64Var(&traffic.EventsPerSecond, "events-per-second", traffic.EventsPerSecond, "reckon with so many events")
	f.IntVar(&traffic.Partitions, "partitions", traffic.Partitions, "partitions of the source topic")
	f.IntVar(&traffic.Items, "items", traffic.Items, "different items; one that comes from two regions counts twice")
	f.IntVar(&traffic.Regions, "regions", traffic.Regions, "different regions (values of each dimension)")
	a.jsonFlag(c)
	return c
}

func (a *app) validate(traffic settings.Traffic, assumed bool) error {
	s, err := a.load()
	v := validation{File: a.config, Valid: err == nil, Problems: settings.Problems{}, Warnings: []string{}, Assumed: assumed}
	problems, ok := errors.AsType[settings.Problems](err)
	if err != nil && !ok {
		return err
	}
	for _, name := range settings.Unknown(os.Environ()) {
		v.Warnings = append(v.Warnings, "environment: "+name+" is no setting")
	}
	if err == nil {
		costs := settings.Cost(s, traffic)
		v.Costs, v.Warnings = &costs, append(v.Warnings, s.Warnings()...)
	} else {
		v.Problems = problems
	}
	if a.json {
		if failed := a.writeJSON(v); failed != nil {
			return failed
		}
		if v.Valid {
			return nil
		}
		return usage(fmt.Errorf("%s: %s", a.config, counted(len(problems))))
	}
	for _, w := range v.Warnings {
		fmt.Fprintln(a.err, "warning:", w)
	}
	if !v.Valid {
		return usage(fmt.Errorf("%s in the settings:\n  %s", counted(len(problems)), strings.ReplaceAll(problems.Error(), "\n", "\n  ")))
	}
	return a.showCosts(v, s)
}

func counted(problems int) string {
	if problems == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", problems)
}
