package embedded_test

import (
	"errors"
	"net"
	"sync"
)

// dialer is how a client that will be lost reaches its brokers.
type dialer struct {
	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

func newDialer() *dialer { return &dialer{} }

// Dial connects, before the cut.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, errors.New("cut off")
	}
	conn, err := net.Dial(network, address)
	if err == nil {
		d.conns = append(d.conns, conn)
	}
	return conn, err
}

// cut closes all connections, and lets none be made any more.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for _, conn := range d.conns {
		_ = conn.Close()
	}
}
