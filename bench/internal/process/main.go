package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main function of a benchmark: it plays a part where the process was started for one; else it starts the program, whose ctx ends with an
// interrupt or SIGTERM. Results go to out, and what the program is doing to progress.
func Main(name string, parts map[string]Part, start func(ctx context.Context, args []string, out, progress io.Writer) error) {
	played, err := Play(parts)
	if !played {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = start(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
	}
	Exit(name, err)
}

// Exit ends the program with the exit code for its result, and says what has failed. Where only help was asked for, package flag has said all.
func Exit(name string, err error) {
	switch {
	case err == nil:
		os.Exit(0)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Tests is what TestMain is in a package whose tests start parts: Main's twin. m is the *testing.M.
func Tests(m interface{ Run() int }, parts map[string]Part) {
	if played, err := Play(parts); played {
		Exit("a part of the tests", err)
	}
	os.Exit(m.Run())
}
