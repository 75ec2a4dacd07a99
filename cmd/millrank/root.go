package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	goredis "github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/pipeline/settings"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1 // it did not work
	exitUsage    = 2 // the command line or the settings are wrong
	exitDiffers  = 3 // the demo's lists differ from the answers
	exitDeadline = 4 // a stop took longer than shutdown_timeout; what was not committed is done again
)

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// usage marks an error as the command line's or the settings'.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return coded{err, exitUsage}
}

// app is what all commands share.
type app struct {
	in  io.Reader
	out io.Writer // results
	err io.Writer // progress, logs, errors

	config string   // --config
	set    []string // --set
	json   bool     // --json
}

// execute runs the command line, and returns the exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, err: errs}
	goredis.SetLogger(silent{}) // what matters comes as errors, and is logged by us
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(errs, "millrank:", kafkaclient.Explain(err))
	if c, ok := errors.AsType[coded](err); ok {
		return c.code
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrank",
		Short: "Exact streaming Top-K: which items are on top, by region and time, out of Kafka into Redis",
		Long: `Millrank counts events from Kafka by event time, each of them once, and keeps leaderboards in Redis: the top items of
each region and of all together. It is exact after any crash.

See it work, with nothing installed:     millrank demo
Write a file of settings, and check it:  millrank validate --example > millrank.yaml; millrank validate
Create the topics, and run:              millrank topics; millrank run
Look at a board:                         millrank top --watch

Exit codes: 0 it worked; 1 it didn't; 2 the command line or the settings are wrong; 3 the demo's lists differ from the answers;
4 a stop took longer than shutdown_timeout (nothing is lost).`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			known := c.SuggestionsFor(args[0])
			if len(known) == 0 {
				known = []string{"--help"}
			}
			return usage(fmt.Errorf("there is no command %q; try 'millrank %s'", args[0], known[0]))
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath()))
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&a.config, "config", "c", "millrank.yaml", "file of settings")
	flags.StringArrayVar(&a.set, "set", nil, "a setting, over file and environment: --set time.pane=10s (repeat it)")
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Begin:"}, &cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "mend", Title: "Mend:"},
	)
	root.AddCommand(a.commands()...)
	return root
}

// commands returns all commands, in the order of help.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.demoCommand(), a.validateCommand(), a.planCommand(), a.topicsCommand(), a.migrateCommand(), a.produceCommand(),
		a.runCommand(),
		a.topCommand(), a.statusCommand(), a.healthCommand(), a.versionCommand(),
		a.deadLettersCommand(), a.rebuildCommand(), a.activateCommand(), a.dropCommand(),
	}
}

// load reads the settings: file, environment, --set.
func (a *app) load() (settings.Settings, error) {
	s, err := settings.Load(settings.From{File: a.config, Environ: os.Environ(), Set: a.set})
	return s, usage(err)
}

// jsonFlag adds --json to a command.
func (a *app) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "write JSON, for programs")
}

// silent is a logger for libraries that would write beside ours.
type silent struct{}

// Printf writes nothing.
func (silent) Printf(context.Context, string, ...any) {}

// terminal reports whether a stream is a terminal that shows colours.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
