package embedded

import (
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// RedisOptions says which Redis to start. The zero value listens on a free port of the loopback interface, without a password.
type RedisOptions struct {
	// Address is where it listens, as host:port; "" means a free port of the loopback interface.
	Address string
	// Password is what clients must give; "" means none.
	Password string
	// Clock makes its time pass as the machine's does, so that keys expire. Without it, time stands still but for
	// Server().FastForward.
	Clock bool
}

// Redis is a running server: miniredis, which has no replication, no limit on memory and no cluster of
// several nodes, and keeps nothing. It is safe for concurrent use.
type Redis struct {
	server *miniredis.Miniredis
	ended  chan struct{} // closed by Close
	clock  chan struct{} // closed when the clock has stopped
}

// StartRedis starts a server, which accepts connections when it returns. The caller closes it.
func StartRedis(options RedisOptions) (*Redis, error) {
	address := options.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	r := &Redis{server: miniredis.NewMiniRedis(), ended: make(chan struct{}), clock: make(chan struct{})}
	if options.Password != "" {
		r.server.RequireAuth(options.Password)
	}
	if err := r.server.StartAddr(address); err != nil {
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	if options.Clock {
		go r.tick()
	} else {
		close(r.clock)
	}
	return r, nil
}

// tick lets the server's time pass, of which it knows only what it is told.
func (r *Redis) tick() {
	defer close(r.clock)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-r.ended:
			return
		case now := <-ticker.C:
			r.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// Addr returns where it listens, as host:port.
func (r *Redis) Addr() string { return r.server.Addr() }

// Server returns the server itself, to let its time pass, to look inside and to make it fail (FastForward, Keys, SetError).
// It is not to be closed.
func (r *Redis) Server() *miniredis.Miniredis { return r.server }

// Close ends the server, and with it all connections and data. It must be called once.
func (r *Redis) Close() {
	close(r.ended)
	<-r.clock
	r.server.Close()
}
