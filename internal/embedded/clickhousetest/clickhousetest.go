// Package clickhousetest gives tests the embedded ClickHouse, which is the real engine. make deps installs it.
package clickhousetest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/chdb"
)

// Require skips the test, loudly, if the engine isn't installed; in CI, where everything must be there, it fails it.
func Require(tb testing.TB) {
	tb.Helper()
	_, err := chdb.Find()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatal(err)
	default:
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: %s: %v\n\n", tb.Name(), err)
		tb.Skip(err)
	}
}

// StartTest starts a server for one test, and closes it with the test. A process can have one server at a time: a
// package uses this in tests that are not parallel, or a Shared one. Where the machine can't start one, it does what Require does.
func StartTest(tb testing.TB, options embedded.ClickHouseOptions) *embedded.ClickHouse {
	tb.Helper()
	Require(tb)
	c, err := embedded.StartClickHouse(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Shared is a server for all tests of a package. The first test that asks for it starts it, and it ends with the
// last test:
//
//	var clickhouse = clickhousetest.NewShared(embedded.ClickHouseOptions{})
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhouse.Main(m)) }
type Shared struct {
	options embedded.ClickHouseOptions
	once    sync.Once
	server  *embedded.ClickHouse
	err     error
}

// NewShared returns a server that is not started yet.
func NewShared(options embedded.ClickHouseOptions) *Shared { return &Shared{options: options} }

// Server returns the running server, which the test must leave running. Tests that run side by side take a database
// each (CREATE DATABASE ... ENGINE = Atomic). Where the machine can't start one, it does what Require does.
func (s *Shared) Server(tb testing.TB) *embedded.ClickHouse {
	tb.Helper()
	Require(tb)
	s.once.Do(func() { s.server, s.err = embedded.StartClickHouse(s.options) })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// Main returns m with the end of the server after its tests. Its Run must be called, and the process ended with what
// it returns.
func (s *Shared) Main(m interface{ Run() int }) interface{ Run() int } {
	return sharedMain{tests: m, shared: s}
}

type sharedMain struct {
	tests  interface{ Run() int }
	shared *Shared
}

// Run runs the tests.
func (m sharedMain) Run() int {
	code := m.tests.Run()
	m.shared.once.Do(func() {}) // nobody starts it from here on
	if m.shared.server == nil {
		return code
	}
	if err := m.shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
