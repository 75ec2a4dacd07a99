// Package process lets a benchmark have processes beside its own, so that what they need isn't taken for what it measures: brokers, servers, and
// parts of the benchmark itself. It also says what a process needs.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

// Variables that tell a program, started by itself, which part it plays, and what the part is told.
const (
	partVariable     = "MILLRANK_BENCH_PART"
	argumentVariable = "MILLRANK_BENCH_ARGUMENT"
)

// Part is what a program does when it was started by itself: it gets what Start was given, reads what the other process writes
// to In, writes what that reads from Out, and ends with its input.
type Part func(ctx context.Context, argument string, in io.Reader, out io.Writer) error

// Play plays the part that this process was started for: an embedded server, or one of these by its name. It reports false
// where the process was started by somebody else. To be called first, by main and by the tests' main.
func Play(parts map[string]Part) (played bool, err error) {
	name := os.Getenv(partVariable)
	if name == "" {
		return false, nil
	}
	signal.Ignore(os.Interrupt) // a terminal sends it to all; the other process ends this one
	part, ok := parts[name]
	if !ok {
		part, ok = servers()[name]
	}
	if !ok {
		return true, fmt.Errorf("there is no part %q", name)
	}
	if err := part(context.Background(), os.Getenv(argumentVariable), os.Stdin, os.Stdout); err != nil {
		return true, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}

// Child is this program in another process, playing a part.
type Child struct {
	In  io.WriteCloser
	Out *bufio.Reader

	name    string
	command *exec.Cmd
}

// Command returns the command that starts this program again, to play a part. What it writes to standard error is written to this one's.
func Command(name, argument string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	//nolint:noctx // whoever starts it ends it
	command := exec.Command(program)
	command.Env = append(os.Environ(), partVariable+"="+name, argumentVariable+"="+argument)
	command.Stderr = os.Stderr
	return command, nil
}

// Start starts this program again, to play a part. It ends with its input. The caller stops it.
func Start(name, argument string) (*Child, error) {
	command, err := Command(name, argument)
	if err != nil {
		return nil, err
	}
	c := &Child{name: name, command: command}
	if c.In, err = c.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.Out = bufio.NewReader(out)
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// CPU returns the time that it has spent on CPUs, to a hundredth of a second.
func (c *Child) CPU() (time.Duration, error) { return CPUOf(c.command.Process.Pid) }

// Memory returns how much memory it has, in bytes.
func (c *Child) Memory() (int64, error) {
	now, _, err := Memory(c.command.Process.Pid)
	return now, err
}

// Stop ends its input, and returns when it has ended. What it has written and nobody has read is lost.
func (c *Child) Stop() error {
	err := errors.Join(c.In.Close(), c.command.Wait())
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}
