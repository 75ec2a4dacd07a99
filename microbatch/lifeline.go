package microbatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// lifeline is how a subscription's clients reach brokers, so that all their connections can be cut. That is the only
// way to end what sarama has under way: where brokers don't answer, closing it takes a dozen
// request timeouts, one after the other.
type lifeline struct {
	ctx    context.Context //nolint:containedctx // done when it is cut
	cancel context.CancelCauseFunc
	dialer net.Dialer

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

var errCut = errors.New("the subscription has ended")

func newLifeline(connect time.Duration) *lifeline {
	l := &lifeline{dialer: net.Dialer{Timeout: connect}, conns: map[net.Conn]struct{}{}}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// serve has a client connect by it.
func (l *lifeline) serve(s *sarama.Config) {
	s.Net.Proxy.Enable, s.Net.Proxy.Dialer = true, l
}

// Dial connects, until the cut.
func (l *lifeline) Dial(network, address string) (net.Conn, error) {
	return l.DialContext(l.ctx, network, address)
}

// DialContext connects, until the cut, or until ctx is done.
func (l *lifeline) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := context.AfterFunc(l.ctx, cancel)
	defer done()
	conn, err := l.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return nil, errors.Join(fmt.Errorf("dial %s: %w", address, errCut), conn.Close())
	}
	l.conns[conn] = struct{}{}
	return tied{conn, l}, nil
}

// cut closes all connections, and lets no more be made.
func (l *lifeline) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel(errCut)
	for conn := range l.conns {
		_ = conn.Close()
	}
	clear(l.conns)
}

// tied is a connection that forgets itself when it is closed.
type tied struct {
	net.Conn
	of *lifeline
}

// Close closes it.
func (t tied) Close() error {
	t.of.mu.Lock()
	delete(t.of.conns, t.Conn)
	t.of.mu.Unlock()
	return t.Conn.Close()
}
