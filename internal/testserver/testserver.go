// Package testserver is what the packages have in common that give tests their servers (internal/apachekafka, internal/redisserver,
// internal/embedded/clickhousetest).
package testserver

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Require skips the test, loudly, if there is an error, which says that this machine lacks something; in CI, where everything must be there, it fails it.
func Require(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatal(err)
	default:
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: %s: %v\n\n", tb.Name(), err)
		tb.Skip(err)
	}
}

// Shared is a server for all tests of a package: the first test that asks for it starts it, and it ends with the last test.
type Shared[S interface{ Close() error }] struct {
	available func() error
	start     func(context.Context) (S, error)
	once      sync.Once
	server    S
	started   bool
	err       error
}

// NewShared returns a server that is not started yet.
func NewShared[S interface{ Close() error }](available func() error, start func(context.Context) (S, error)) *Shared[S] {
	return &Shared[S]{available: available, start: start}
}

// Get returns the running server, which the test must leave running. Where the machine can't start one, it does what Require does.
func (s *Shared[S]) Get(tb testing.TB) S {
	tb.Helper()
	Require(tb, s.available())
	s.once.Do(func() {
		s.server, s.err = s.start(context.WithoutCancel(tb.Context())) // it outlives the test that happens to be the first
		s.started = s.err == nil
	})
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// Main returns m with the end of the server after its tests. Its Run must be called, and the process ended with what it returns.
func (s *Shared[S]) Main(m interface{ Run() int }) interface{ Run() int } { return sharedMain[S]{m, s} }

type sharedMain[S interface{ Close() error }] struct {
	tests  interface{ Run() int }
	shared *Shared[S]
}

// Run runs the tests.
func (m sharedMain[S]) Run() int {
	code := m.tests.Run()
	m.shared.once.Do(func() {}) // nobody starts it from here on
	if !m.shared.started {
		return code
	}
	if err := m.shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
