package apachekafka

import (
	"context"
	"testing"

	"github.com/millrank/millrank/internal/testserver"
)

// Require skips the test, loudly, if this machine can't start Apache Kafka; in CI, where
// everything must be there, it fails it.
func Require(tb testing.TB) {
	tb.Helper()
	testserver.Require(tb, Available())
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
type Shared struct{ *testserver.Shared[*Broker] }

// NewShared returns a broker that is not started yet.
func NewShared(options Options) *Shared {
	return &Shared{testserver.NewShared(Available, func(ctx context.Context) (*Broker, error) { return Start(ctx, options) })}
}

// Broker returns the running broker, which the test must leave running. Where the machine
// can't start one, it does what Require does.
func (s *Shared) Broker(tb testing.TB) *Broker {
	tb.Helper()
	return s.Get(tb)
}
