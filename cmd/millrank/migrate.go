package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrank/millrank/pipeline"
)

func (a *app) migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "migrate", Short: "Bring ClickHouse's schema up to date", Args: noArgs, GroupID: "start",
		Long: `Creates the database, tables and views of the history in ClickHouse, or brings them up to date: what is missing is applied, in order. It can be called again,
and by several at the same time.

'millrank run' does the same by itself, unless clickhouse.migrate is false: then its user needs no right to create tables.`,
		Example: `  millrank migrate
  millrank migrate --set clickhouse.username=admin --set clickhouse.password_file=/run/secrets/admin`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			applied, err := pipeline.Migrate(c.Context(), s, newLogger(a.err, s.Log))
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(map[string]any{"applied": applied})
			}
			if len(applied) == 0 {
				_, err = fmt.Fprintf(a.out, "The schema of %s is up to date.\n", s.ClickHouse.Database)
				return err
			}
			_, err = fmt.Fprintf(a.out, "Applied to %s: %s.\n", s.ClickHouse.Database, join(applied))
			return err
		},
	}
	a.jsonFlag(c)
	return c
}
