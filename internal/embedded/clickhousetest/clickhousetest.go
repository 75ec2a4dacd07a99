// Package clickhousetest gives tests the embedded ClickHouse, which is the real engine. make deps installs it.
package clickhousetest

import (
	"context"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/chdb"
	"github.com/millrank/millrank/internal/testserver"
)

// Require skips the test, loudly, if the engine isn't installed; in CI, where everything must be there, it fails it.
func Require(tb testing.TB) {
	tb.Helper()
	testserver.Require(tb, available())
}

func available() error {
	_, err := chdb.Find()
	return err
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
	*testserver.Shared[*embedded.ClickHouse]
}

// NewShared returns a server that is not started yet.
func NewShared(options embedded.ClickHouseOptions) *Shared {
	return &Shared{testserver.NewShared(available, func(context.Context) (*embedded.ClickHouse, error) { return embedded.StartClickHouse(options) })}
}

// Server returns the running server, which the test must leave running. Tests that run side by side take a database
// each (CREATE DATABASE ... ENGINE = Atomic). Where the machine can't start one, it does what Require does.
func (s *Shared) Server(tb testing.TB) *embedded.ClickHouse {
	tb.Helper()
	return s.Get(tb)
}
