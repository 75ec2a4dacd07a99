package redisserver

import (
	"testing"

	"github.com/millrank/millrank/internal/testserver"
)

// Require skips the test, loudly, if this machine has no Redis server; in CI, where everything must be there, it fails it.
func Require(tb testing.TB) {
	tb.Helper()
	_, err := Find()
	testserver.Require(tb, err)
}

// StartTest starts a server for one test, and closes it with the test. Where the test fails, it logs the end of
// the server's log. Where the machine can't start one, it does what Require does.
func StartTest(tb testing.TB, options Options) *Server {
	tb.Helper()
	Require(tb)
	s, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeTest(tb, s) })
	return s
}

// StartClusterTest does for a cluster what StartTest does for a server.
func StartClusterTest(tb testing.TB, masters int, options Options) *Cluster {
	tb.Helper()
	Require(tb)
	c, err := StartCluster(tb.Context(), masters, options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, s := range c.nodes {
			closeTest(tb, s)
		}
	})
	return c
}

func closeTest(tb testing.TB, s *Server) {
	if tb.Failed() {
		tb.Log(s.LogTail())
	}
	if err := s.Close(); err != nil {
		tb.Error(err)
	}
}
