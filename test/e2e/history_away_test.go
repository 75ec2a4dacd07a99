//go:build e2e

package e2e_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// proxy is a TCP proxy that can be shut, or let only requests through.
type proxy struct {
	listener net.Listener
	mark     string // requests that hold it lose their answers, where that is one-way

	mu    sync.Mutex
	to    string
	state proxyState
	lost  int // connections that have lost answers
	conns map[net.Conn]bool
}

type proxyState int

const (
	proxyOpen   proxyState = iota
	proxyShut              // connections are refused, and those that there are cut
	proxyOneWay            // writes arrive, but no answer comes back
)

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &proxy{listener: l, mark: "INSERT", to: to, conns: map[net.Conn]bool{}}
	go g.run()
	t.Cleanup(func() {
		_ = l.Close()
		g.set(proxyShut)
	})
	return g
}

func (g *proxy) addr() string { return g.listener.Addr().String() }

func (g *proxy) run() {
	for {
		c, err := g.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go g.pass(c)
		}
	}
}

// writer is a function that writes.
type writer func([]byte) (int, error)

// Write calls it.
func (w writer) Write(b []byte) (int, error) { return w(b) }

// set changes the state. Shut, it cuts all connections.
func (g *proxy) set(s proxyState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state = s; s != proxyShut {
		return
	}
	for c := range g.conns {
		_ = c.Close()
	}
	clear(g.conns)
}

func (g *proxy) is() proxyState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// moveTo cuts all connections, and has those to come go to another server.
func (g *proxy) moveTo(to string) {
	g.set(proxyShut)
	g.mu.Lock()
	g.to = to
	g.mu.Unlock()
	g.set(proxyOpen)
}

func (g *proxy) target() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.to
}

func (g *proxy) noteLost() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost++
}

// answersLost returns on how many connections answers were lost.
func (g *proxy) answersLost() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost
}

func (g *proxy) pass(c net.Conn) {
	defer c.Close()
	if g.is() == proxyShut {
		return
	}
	server, err := net.Dial("tcp", g.target())
	if err != nil {
		return
	}
	defer server.Close()
	var lost atomic.Bool // the answers
	g.mu.Lock()
	g.conns[c], g.conns[server] = true, true
	g.mu.Unlock()
	go func() {
		_, _ = io.Copy(writer(func(b []byte) (int, error) {
			if lost.Load() {
				return len(b), nil
			}
			return c.Write(b)
		}), server)
		_ = c.Close()
	}()
	_, _ = io.Copy(writer(func(b []byte) (int, error) {
		if g.is() == proxyOneWay && bytes.Contains(b, []byte(g.mark)) && !lost.Swap(true) {
			g.noteLost()
		}
		return server.Write(b)
	}), c)
}

// TestHistoryAway: ClickHouse is away, then its answers are lost, and each time the process is killed meanwhile, when Redis has been written and ClickHouse not, or
// when it has and nobody knows. Redis doesn't notice, and in the end the history has everything, once.
func TestHistoryAway(t *testing.T) {
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	g := newProxy(t, server.Addr())
	const name, partitions = "wikipedia-edits", 4
	facts, err := sim.Facts(name)
	if err != nil {
		t.Fatal(err)
	}
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.DataSettings(), partitions, 3), "away", world.DataBoards(name), 2, world.MiniRedis(t)).withHistory(server)
	through := []string{"--set", "clickhouse.addresses=" + g.addr(), "--set", "clickhouse.timeout=2s"}
	logs := w.Arrive(9, facts)
	count := func() (n uint64) {
		_ = w.conn.QueryRow(t.Context(), "SELECT count() FROM millrank.cells").Scan(&n) // there may be no table yet
		return n
	}
	p := w.start(through...)
	w.ProducePart(logs, 0, 4)
	w.Eventually("the history has cells", func() bool { return count() > 0 })

	g.set(proxyShut)
	w.ProducePart(logs, 1, 4)
	w.AwaitDone()
	p.Signal(syscall.SIGKILL)

	g.set(proxyOpen)
	p = w.start(through...)
	before := count()
	w.Eventually("the history goes on", func() bool { return count() > before })
	g.set(proxyOneWay)
	before = count()
	w.ProducePart(logs, 2, 4)
	w.Eventually("cells arrive, and nobody knows", func() bool { return count() > before })
	p.Signal(syscall.SIGKILL)

	g.set(proxyShut)
	w.start(through...)
	w.ProducePart(logs, 3, 4)
	w.Close()
	want := w.Answers(name)
	w.CheckLists(want) // Redis, without ClickHouse
	g.set(proxyOpen)
	w.checkHistory(want)
}
