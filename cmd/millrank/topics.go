package main

import (
	"encoding/json"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline"
)

// topicLine is a topic, as 'millrank topics' shows it.
type topicLine struct {
	Name       string            `json:"name"`
	Exists     bool              `json:"exists"`
	Partitions int               `json:"partitions,omitempty"`
	Replicas   int               `json:"replication_factor,omitempty"`
	Configs    map[string]string `json:"configs,omitempty"`
}

func (a *app) topicsCommand() *cobra.Command {
	var look bool
	c := &cobra.Command{
		Use: "topics", Short: "Create the topics that are missing, and check all", Args: noArgs, GroupID: "start",
		Long: `Creates the topics that Millrank writes, where they are missing: updates and rankings of this generation, generations, and dead letters. Checks
them and the source topic: partitions, retention, compaction, timestamps, message size. Nothing that exists is changed; what must be is said, with the
command of Kafka's own tools that does it.

'millrank run' does the same. This is for those who let an administrator create topics: see --dry-run.`,
		Example: `  millrank topics --dry-run
  millrank topics`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			if !look {
				warnings, err := pipeline.EnsureTopics(c.Context(), s)
				for _, w := range warnings {
					fmt.Fprintln(a.err, "warning:", w)
				}
				if err != nil {
					return err
				}
			}
			lines := []topicLine{}
			for _, t := range pipeline.Topics(s) {
				info, err := microbatch.Describe(c.Context(), s.Connection(), t.Name)
				switch {
				case err == nil:
					lines = append(lines, topicLine{t.Name, true, info.Partitions, info.ReplicationFactor, info.Configs})
				case isNoTopic(err):
					lines = append(lines, topicLine{Name: t.Name, Partitions: t.Partitions, Replicas: t.ReplicationFactor})
				default:
					return err
				}
			}
			return a.showTopics(lines)
		},
	}
	c.Flags().BoolVar(&look, "dry-run", false, "create nothing, only show which there are")
	a.jsonFlag(c)
	return c
}

func (a *app) showTopics(lines []topicLine) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(lines)
	}
	t := a.table("topic", "", "partitions", "replicas", "retention.ms", "cleanup.policy", "max.message.bytes")
	for _, l := range lines {
		there := "there"
		if !l.Exists {
			there = "missing"
		}
		t.AppendRow(table.Row{l.Name, there, l.Partitions, l.Replicas, l.Configs["retention.ms"], l.Configs["cleanup.policy"], l.Configs["max.message.bytes"]})
	}
	t.Render()
	return nil
}
