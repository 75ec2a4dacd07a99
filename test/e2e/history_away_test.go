//go:build e2e

package e2e_test

import (
	"syscall"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/tcpproxy"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// proxyTo starts a proxy before a server, for one test.
func proxyTo(t *testing.T, address func() string) *tcpproxy.Proxy {
	t.Helper()
	p, err := tcpproxy.Start(func() (string, error) { return address(), nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// historyWrite is in each request that writes to ClickHouse.
const historyWrite = "INSERT"

// TestHistoryAway: ClickHouse is away, then its answers are lost, and each time the process is killed meanwhile, when Redis has been written and ClickHouse not, or
// when it has and nobody knows. Redis doesn't notice, and in the end the history has everything, once.
func TestHistoryAway(t *testing.T) {
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	g := proxyTo(t, server.Addr)
	const name, partitions = "wikipedia-edits", 4
	facts, err := sim.Facts(name)
	if err != nil {
		t.Fatal(err)
	}
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.DataSettings(), partitions, 3), "away", world.DataBoards(name), 2, world.MiniRedis(t)).withHistory(server)
	through := []string{"--set", "clickhouse.addresses=" + g.Addr(), "--set", "clickhouse.timeout=2s"}
	logs := w.Arrive(9, facts)
	p := w.start(through...)
	w.ProducePart(logs, 0, 4)
	w.Eventually("the history has cells", func() bool { return w.cells() > 0 })

	g.Shut()
	w.ProducePart(logs, 1, 4)
	w.AwaitDone()
	p.Signal(syscall.SIGKILL)

	g.Open()
	p = w.start(through...)
	before := w.cells()
	w.Eventually("the history goes on", func() bool { return w.cells() > before })
	g.LoseAnswers(historyWrite)
	before = w.cells()
	w.ProducePart(logs, 2, 4)
	w.Eventually("cells arrive, and nobody knows", func() bool { return w.cells() > before })
	p.Signal(syscall.SIGKILL)

	g.Shut()
	w.start(through...)
	w.ProducePart(logs, 3, 4)
	w.Close()
	want := w.Answers(name)
	w.CheckLists(want) // Redis, without ClickHouse
	g.Open()
	w.checkHistory(want)
}
