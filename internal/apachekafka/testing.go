package apachekafka

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Require skips the test, loudly, if this machine can't start Apache Kafka; in CI, where
// everything must be there, it fails it.
func Require(tb testing.TB) {
	tb.Helper()
	err := Available()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatal(err)
	default:
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: %s: %v\n\n", tb.Name(), err)
		tb.Skip(err)
	}
}

// StartTest starts a broker for one test, and closes it with the test. Where the test
// fails, it logs the end of the broker's log. Where the machine can't start one, it does
// what Require does.
func StartTest(tb testing.TB, options Options) *Broker {
	tb.Helper()
	Require(tb)
	b, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(b.LogTail())
		}
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

// Shared is a broker for all tests of a package. The first test that asks for it starts
// it, and it ends with the last test:
//
//	var kafka = apachekafka.NewShared(apachekafka.Options{})
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(kafka.Main(m)) }
type Shared struct {
	options Options
	once    sync.Once
	broker  *Broker
	err     error
}

// NewShared returns a broker that is not started yet.
func NewShared(options Options) *Shared { return &Shared{options: options} }

// Broker returns the running broker, which the test must leave running. Where the machine
// can't start one, it does what Require does.
func (s *Shared) Broker(tb testing.TB) *Broker {
	tb.Helper()
	Require(tb)
	// It outlives the test that happens to be the first.
	s.once.Do(func() { s.broker, s.err = Start(context.WithoutCancel(tb.Context()), s.options) })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.broker
}

// Main returns m with the end of the broker after its tests. Its Run must be called, and
// the process ended with what it returns.
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
	if m.shared.broker == nil {
		return code
	}
	if err := m.shared.broker.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
