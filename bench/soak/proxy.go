package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy is a TCP proxy that stands before a server. It cuts what goes through it when it is told to, and finds the server anew for each connection, since a
// server that was restarted can be elsewhere.
type proxy struct {
	listener net.Listener
	target   func() (string, error)

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended sync.WaitGroup
}

// startProxy starts a proxy on a free port. The caller closes it.
func startProxy(target func() (string, error)) (*proxy, error) {
	//nolint:noctx // returns at once
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a proxy: %w", err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.ended.Go(p.run)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) run() {
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

func (p *proxy) pass(client net.Conn) {
	defer p.drop(client)
	address, err := p.target()
	if err != nil {
		return // it is down: the connection ends, as if it was refused
	}
	//nolint:noctx // on this machine it is refused at once, if at all
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer p.drop(server)
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // both ends notice
		p.drop(client)
	})
	_, _ = io.Copy(server, client)
	p.drop(server)
	back.Wait()
}

func (p *proxy) drop(c net.Conn) {
	_ = c.Close() // it can be closed already
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// cut ends all connections, and returns how many there were. New ones are taken.
func (p *proxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // who copies sees it
	}
	n := len(p.conns) / 2
	clear(p.conns)
	return n
}

func (p *proxy) close() error {
	err := p.listener.Close()
	p.cut()
	p.ended.Wait()
	return err
}
