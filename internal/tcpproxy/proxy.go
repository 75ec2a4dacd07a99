// Package tcpproxy is a TCP proxy that stands before a server in tests and soaks: it breaks what goes through it when it is told to.
package tcpproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy passes on all connections at first.
type Proxy struct {
	listener net.Listener
	target   func() (string, error)
	ended    sync.WaitGroup

	mu    sync.Mutex
	shut  bool
	mark  []byte // where answers are lost: of requests that hold it
	lost  int    // connections that have lost answers
	cuts  int
	conns map[net.Conn]struct{} // both ends
}

// Start starts a proxy on a free port. It asks for the server's address at each connection, since a server that was restarted can be elsewhere;
// where there is none, the connection ends. The caller closes it.
func Start(target func() (string, error)) (*Proxy, error) {
	//nolint:noctx // returns at once
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.ended.Go(p.run)
	return p, nil
}

// Addr returns where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Open has it pass on everything again, on new connections and on those that haven't lost an answer.
func (p *Proxy) Open() { p.become(false, nil) }

// Cut ends all connections. New ones are taken.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// Shut ends all connections, and those to come at once, until Open.
func (p *Proxy) Shut() { p.become(true, nil) }

// LoseAnswers lets all requests through; but with one that holds the mark in what is read of it at once, a connection loses that answer, and all after it.
func (p *Proxy) LoseAnswers(mark string) { p.become(false, []byte(mark)) }

// AnswersLost returns how many connections have lost answers.
func (p *Proxy) AnswersLost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Close ends it, with all connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Shut()
	p.ended.Wait()
	return err
}

func (p *Proxy) become(shut bool, mark []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut, p.mark = shut, mark
	if shut {
		p.cut()
	}
}

// cut ends all connections; the caller holds the lock.
func (p *Proxy) cut() {
	p.cuts++
	for c := range p.conns {
		_ = c.Close() // who copies sees it
	}
	clear(p.conns)
}

func (p *Proxy) run() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.ended.Go(func() { p.pass(c) })
		}
	}
}

// writer is a function that writes.
type writer func([]byte) (int, error)

// Write calls it.
func (w writer) Write(b []byte) (int, error) { return w(b) }

func (p *Proxy) pass(client net.Conn) {
	defer p.drop(client)
	server := p.connect(client)
	if server == nil {
		return // the connection ends, as if it was refused
	}
	defer p.drop(server)
	var lost atomic.Bool // the answers
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(writer(func(b []byte) (int, error) { // both ends notice
			if lost.Load() {
				return len(b), nil
			}
			return client.Write(b)
		}), server)
		p.drop(client)
	})
	_, _ = io.Copy(writer(func(b []byte) (int, error) {
		if !lost.Load() && p.loses(b) {
			lost.Store(true) // before the server can answer
		}
		return server.Write(b)
	}), client)
	p.drop(server)
	back.Wait()
}

// connect connects a client with the server; nil means that this can't or mustn't be.
func (p *Proxy) connect(client net.Conn) net.Conn {
	p.mu.Lock()
	shut, cuts := p.shut, p.cuts
	p.mu.Unlock()
	if shut {
		return nil
	}
	address, err := p.target()
	if err != nil {
		return nil // it is down
	}
	//nolint:noctx // on this machine it is refused at once, if at all
	server, err := net.Dial("tcp", address)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts != cuts { // meanwhile; that holds for this connection, too, which can be to where the server was before
		_ = server.Close()
		return nil
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	return server
}

// loses reports whether a connection loses its answers with this request, and counts it.
func (p *Proxy) loses(request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mark == nil || !bytes.Contains(request, p.mark) {
		return false
	}
	p.lost++
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close() // it can be closed already
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}
