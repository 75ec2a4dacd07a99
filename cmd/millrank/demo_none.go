//go:build nodemo

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// demoCommand says that there is no demo: this is the small program, without data sets and embedded servers.
func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "See it work on real data (not in this build)", GroupID: "start", Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("this program was built without the demo (tag nodemo); in a clone of the repository: make demo")
		},
	}
}
