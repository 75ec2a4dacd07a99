package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
)

// child is another program that this one has started. It ends with this one.
type child struct {
	*process.Measured
	command *exec.Cmd
	begun   time.Time
}

// startChild starts a program; what it writes to standard error, and output too where nobody takes it, is added to a file.
func startChild(command *exec.Cmd, log string) (*child, error) {
	//nolint:gosec // the command line says which folder
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("its log: %w", err)
	}
	command.Stderr = file
	if command.Stdout == nil {
		command.Stdout = file
	}
	m, err := process.Measure(command)
	if err = errors.Join(err, file.Close()); err != nil { // the process has its own
		return nil, err
	}
	return &child{m, command, time.Now()}, nil
}

func (c *child) pid() int { return c.command.Process.Pid }

// signal sends a signal; one that has ended doesn't mind.
func (c *child) signal(s syscall.Signal) { _ = c.command.Process.Signal(s) }

func (c *child) ended() bool {
	select {
	case <-c.Done:
		return true
	default:
		return false
	}
}

// exit returns what it has ended with, once it has.
func (c *child) exit() string { return c.command.ProcessState.String() }
