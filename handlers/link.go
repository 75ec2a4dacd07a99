package handlers

import (
	"context"
	"errors"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Link is a Watermill Pub/Sub between two handlers of one process: Publish returns when
// the subscriber has acknowledged, so that an ack of the first handler covers both. The message
// itself is passed on, with its context. It keeps nothing: what is published waits for its
// subscriber. A Link is safe for concurrent use.
//
// A router that closes tells all its subscribers at once. A link goes on while it is held, so that what
// the first handler does last still reaches the second.
//
// (Watermill's gochannel, told to block until it is acknowledged, sends a refused message
// again and again by itself; here the refusal goes back to the publisher, whose own retries apply.)
type Link struct {
	mu      sync.Mutex
	topics  map[string]chan *message.Message
	holders int
	free    chan struct{} // closed while there are no holders
	closing bool
	ended   bool           // closed is closed: told to close, and nobody held it
	users   sync.WaitGroup // subscriptions; there are no new ones once it has ended

	closed chan struct{}
}

// ErrRefused says that the next handler has refused a message.
var ErrRefused = errors.New("the next handler has refused the message")

var errLinkClosed = errors.New("the link is closed")

// NewLink returns a link that nobody holds.
func NewLink() *Link {
	l := &Link{topics: map[string]chan *message.Message{}, free: make(chan struct{}), closed: make(chan struct{})}
	close(l.free)
	return l
}

// Hold keeps the link going when it is told to close, until release is called.
func (l *Link) Hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders == 0 {
		l.free = make(chan struct{})
	}
	l.holders++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.holders--; l.holders == 0 {
			close(l.free)
			l.endIfDue()
		}
	})
}

// endIfDue ends the link when it has been told to close and nobody holds it. mu is held.
func (l *Link) endIfDue() {
	if l.closing && l.holders == 0 && !l.ended {
		l.ended = true
		close(l.closed)
	}
}

func (l *Link) unheld() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free
}

func (l *Link) topic(name string) chan *message.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics[name] == nil {
		l.topics[name] = make(chan *message.Message)
	}
	return l.topics[name]
}

// Publish hands each message to a subscriber of the topic, and waits until it is
// acknowledged. The error is ErrRefused for one that was refused, or the cause of its context's end.
func (l *Link) Publish(topic string, messages ...*message.Message) error {
	out := l.topic(topic)
	for _, m := range messages {
		ctx := m.Context() // as it is now: whoever takes the message may give it another one
		select {
		case out <- m:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.closed:
			return errLinkClosed
		}
		select {
		case <-m.Acked():
		case <-m.Nacked():
			return ErrRefused
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Subscribe returns a topic's messages, until ctx is done or the link is closed, and nobody holds it. The
// subscriber may take several before it has acknowledged the first. Subscribers of one topic share its messages.
func (l *Link) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, out := l.topic(topic), make(chan *message.Message)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		close(out)
		return out, nil
	}
	l.users.Go(func() {
		defer close(out)
		done := ctx.Done()
		var end <-chan struct{}
		for {
			select {
			case m := <-in:
				out <- m // whoever subscribes reads until the channel is closed
			case <-done:
				done, end = nil, l.unheld()
			case <-end:
				return
			case <-l.closed:
				return
			}
		}
	})
	return out, nil
}

// Close waits until nobody holds the link, then ends all subscriptions, and refuses what is published from now on.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closing = true
	l.endIfDue()
	l.mu.Unlock()
	<-l.closed
	l.users.Wait()
	return nil
}

// source is the Subscriber of a link's first handler: when it ends, so does the link.
type source struct {
	message.Subscriber
	link *Link
}

func (s source) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for m := range in {
			out <- m
		}
		_ = s.link.Close() // never fails
	}()
	return out, nil
}
