package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/handlers"
)

// subscribe reads a link's messages by a handler, each in a goroutine of its own as Watermill's router does, and acknowledges
// them, or refuses where the handler fails. The channel that it returns is closed when the subscription has ended.
func subscribe(ctx context.Context, t *testing.T, link *handlers.Link, topic string, handle func(*message.Message) error) <-chan struct{} {
	t.Helper()
	messages, err := link.Subscribe(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var inHand sync.WaitGroup
		defer inHand.Wait()
		for m := range messages {
			m.SetContext(context.WithValue(m.Context(), routersKey{}, topic)) // the router does that
			inHand.Go(func() {
				defer func() {
					if recover() != nil { // the router does that, too
						m.Nack()
					}
				}()
				if handle(m) != nil {
					m.Nack()
					return
				}
				m.Ack()
			})
		}
	}()
	return done
}

type routersKey struct{}

func newMessage(i int) *message.Message { return message.NewMessage(strconv.Itoa(i), nil) }

func closeLink(t *testing.T, link *handlers.Link) {
	t.Helper()
	closed := make(chan error, 1)
	go func() { closed <- link.Close() }()
	if err := within(t, "the link is closed", closed); err != nil {
		t.Error(err)
	}
}

// TestLinkOrder: each publisher's messages come in its order, and each Publish returns when its last message is acknowledged.
func TestLinkOrder(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := handlers.NewLink()
	const publishers, each = 8, 200
	var mu sync.Mutex
	got := map[int][]int{}
	done := subscribe(t.Context(), t, link, "topic", func(m *message.Message) error {
		mu.Lock()
		defer mu.Unlock()
		var p, i int
		if _, err := fmt.Sscanf(m.UUID, "%d/%d", &p, &i); err != nil {
			t.Error(err)
		}
		got[p] = append(got[p], i)
		return nil
	})
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := 0; i < each; i += 2 {
				two := []*message.Message{
					message.NewMessage(fmt.Sprintf("%d/%d", p, i), nil),
					message.NewMessage(fmt.Sprintf("%d/%d", p, i+1), nil),
				}
				if err := link.Publish("topic", two...); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if n := len(got[p]); n != i+2 {
					t.Errorf("publisher %d: Publish returned when %d messages were handled, want %d", p, n, i+2)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for p := range publishers {
		if !slices.IsSorted(got[p]) || len(got[p]) != each {
			t.Errorf("publisher %d: %d messages, in the order %v", p, len(got[p]), got[p])
		}
	}
	closeLink(t, link)
	within(t, "the subscription has ended", done)
}

// TestLinkSubscribersShare: two subscribers of a topic share its messages, and topics are apart.
func TestLinkSubscribersShare(t *testing.T) {
	link := handlers.NewLink()
	var mu sync.Mutex
	got := map[string]int{}
	release := make(chan struct{})
	for _, s := range []string{"a", "b"} {
		subscribe(t.Context(), t, link, "topic", func(*message.Message) error {
			mu.Lock()
			got[s]++
			mu.Unlock()
			<-release
			return nil
		})
	}
	subscribe(t.Context(), t, link, "other", func(*message.Message) error { got["other"]++; return nil })
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if err := link.Publish("topic", newMessage(i)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all messages have been taken, before one is acknowledged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got["a"]+got["b"] == 10
	})
	close(release)
	all.Wait()
	if got["other"] > 0 {
		t.Errorf("%d messages came to the other topic", got["other"])
	}
	closeLink(t, link)
}

// TestLinkRefused: a refusal goes back to the publisher, and what it would have published next is not.
func TestLinkRefused(t *testing.T) {
	link := handlers.NewLink()
	var got []string
	subscribe(t.Context(), t, link, "topic", func(m *message.Message) error {
		got = append(got, m.UUID)
		if m.UUID == "2" {
			return errDown
		}
		return nil
	})
	err := link.Publish("topic", newMessage(1), newMessage(2), newMessage(3))
	if !errors.Is(err, handlers.ErrRefused) {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("messages %v came", got)
	}
	if err := link.Publish("topic", newMessage(4)); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	closeLink(t, link)
}

// TestLinkContextEnds: a publisher whose message's context ends waits neither for a subscriber, nor for its answer.
func TestLinkContextEnds(t *testing.T) {
	link := handlers.NewLink()
	errWhy := errors.New("why")
	published := make(chan error)
	publish := func() context.CancelCauseFunc {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { published <- link.Publish("topic", message.NewMessageWithContext(ctx, "m", nil)) }()
		return cancel
	}
	publish()(errWhy)
	if err := within(t, "it gives up waiting for a subscriber", published); !errors.Is(err, errWhy) {
		t.Errorf("without a subscriber: %v", err)
	}
	taken, release := make(chan *message.Message), make(chan struct{})
	subscribe(t.Context(), t, link, "topic", func(m *message.Message) error { taken <- m; <-release; return nil })
	cancel := publish()
	m := within(t, "the message is taken", taken)
	cancel(errWhy)
	if err := within(t, "it gives up waiting for an answer", published); !errors.Is(err, errWhy) {
		t.Errorf("without an answer: %v", err)
	}
	if m.Context().Value(routersKey{}) != "topic" || !errors.Is(context.Cause(m.Context()), errWhy) {
		t.Error("the message that came is not in the context in which it was published")
	}
	close(release)
	closeLink(t, link)
}

// TestLinkClose: publishers that wait for a subscriber are told, later ones too, and subscribers end, also later ones. Closing again is fine.
func TestLinkClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := handlers.NewLink()
	published := make(chan error)
	for i := range 3 {
		go func() { published <- link.Publish("nobody", newMessage(i)) }()
	}
	done := subscribe(t.Context(), t, link, "topic", func(*message.Message) error { return nil })
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() { closeLink(t, link) })
	}
	for range 3 {
		if err := within(t, "a publisher is told", published); err == nil {
			t.Error("a message that nobody took was published")
		}
	}
	within(t, "the subscription has ended", done)
	closing.Wait()
	if err := link.Publish("topic", newMessage(9)); err == nil {
		t.Error("a closed link takes messages")
	}
	within(t, "a late subscription has ended", subscribe(t.Context(), t, link, "topic", func(*message.Message) error { return nil }))
}

// TestLinkCloseInFlight: a message that is being handled when the link is closed can still be acknowledged.
func TestLinkCloseInFlight(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := handlers.NewLink()
	taken, release := make(chan struct{}), make(chan struct{})
	done := subscribe(t.Context(), t, link, "topic", func(*message.Message) error { close(taken); <-release; return nil })
	published := make(chan error)
	go func() { published <- link.Publish("topic", newMessage(1)) }()
	within(t, "the message is taken", taken)
	closeLink(t, link)
	select {
	case err := <-published:
		t.Errorf("Publish returned %v before the message was acknowledged", err)
	default:
	}
	close(release)
	if err := within(t, "Publish returns", published); err != nil {
		t.Error(err)
	}
	within(t, "the subscription has ended", done)
}

// TestLinkHeld: while it is held, a link goes on when its subscriber's context ends, and when it is told to close.
func TestLinkHeld(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := handlers.NewLink()
	ctx, cancel := context.WithCancel(t.Context())
	first, second := link.Hold(), link.Hold()
	done := subscribe(ctx, t, link, "topic", func(*message.Message) error { return nil })
	cancel()
	closed := make(chan struct{})
	go func() { _ = link.Close(); close(closed) }()
	for i := range 100 {
		if i == 50 {
			first()
			first() // once is all it counts
		}
		if err := link.Publish("topic", newMessage(i)); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	select {
	case <-closed:
		t.Error("it was closed while it was held")
	case <-done:
		t.Error("the subscription ended while it was held")
	default:
	}
	second()
	within(t, "the link is closed", closed)
	within(t, "the subscription has ended", done)
}

// TestLinkHeldAnew: one holder comes as another one leaves, when the link has been told to close.
func TestLinkHeldAnew(t *testing.T) {
	for range 200 {
		link := handlers.NewLink()
		release := link.Hold()
		subscribe(t.Context(), t, link, "topic", func(*message.Message) error { return nil })
		closed := make(chan struct{})
		go func() { _ = link.Close(); close(closed) }()
		for i := range 5 {
			before := release
			// The next one is there before this one leaves, or comes just after: then it may be too late.
			if i%2 == 0 {
				release = link.Hold()
				before()
			} else {
				before()
				release = link.Hold()
			}
		}
		m, stop := context.WithTimeout(t.Context(), patience)
		if err := link.Publish("topic", message.NewMessageWithContext(m, "m", nil)); errors.Is(err, context.DeadlineExceeded) {
			t.Error("a message is neither taken nor refused")
		}
		stop()
		release()
		within(t, "the link is closed", closed)
	}
}

// TestLinkRaces: publishers, subscribers, holders and closers at once. Every Publish that says so has been handled, exactly once.
func TestLinkRaces(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	rng := newRand(t, rand.Uint64())
	for range 100 {
		link := handlers.NewLink()
		var mu sync.Mutex
		handled := map[string]int{}
		handle := func(m *message.Message) error {
			mu.Lock()
			defer mu.Unlock()
			handled[m.UUID]++
			return nil
		}
		var published sync.Map
		var all sync.WaitGroup
		seeds := [3]uint64{rng.Uint64(), rng.Uint64(), rng.Uint64()}
		for p, seed := range seeds {
			all.Go(func() {
				dice := rand.New(rand.NewPCG(seed, 1))
				for i := range dice.IntN(50) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(dice.IntN(2000))*time.Microsecond)
					id := fmt.Sprintf("%d/%d", p, i)
					if link.Publish("topic", message.NewMessageWithContext(ctx, id, nil)) == nil {
						published.Store(id, true)
					}
					cancel()
				}
			})
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				done := subscribe(ctx, t, link, "topic", handle)
				if seed%2 == 0 {
					cancel()
				}
				<-done
				cancel()
			})
			all.Go(func() {
				release := link.Hold()
				release()
				_ = link.Close()
			})
		}
		all.Wait()
		published.Range(func(id, _ any) bool {
			if handled[id.(string)] != 1 {
				t.Errorf("message %v was handled %d times", id, handled[id.(string)])
			}
			return true
		})
	}
}
