package handlers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
)

// claims holds what a handler keeps of each claim, until the claim is over. It is safe for concurrent use.
type claims[S any] struct {
	mu   sync.Mutex
	held map[*microbatch.Claim]*kept[S]
}

// kept is what is kept of one claim.
type kept[S any] struct {
	begin sync.Once
	begun atomic.Bool
	value S
	err   error
}

// of returns what is kept of a claim, made for its first message. A claim that can't be resumed ends the subscription.
func (c *claims[S]) of(claim *microbatch.Claim, begin func(*microbatch.Claim) (S, error)) (S, error) {
	k, err := c.place(claim)
	if err != nil {
		var none S
		return none, err
	}
	k.begin.Do(func() { // without the lock: others go on meanwhile
		k.err = errNotBegun
		defer func() {
			if k.err == errNotBegun { //nolint:errorlint // begin has panicked: the next claim may do better
				claim.Release(k.err)
			}
		}()
		if k.value, k.err = begin(claim); k.err != nil {
			claim.Refuse(k.err)
			return
		}
		k.begun.Store(true)
	})
	return k.value, k.err
}

// handler is what takes a claim's messages.
type handler interface{ handle(*message.Message) error }

// handleOf has a message handled by what is kept of its claim, made for its first message.
func handleOf[S handler](c *claims[S], msg *message.Message, begin func(*microbatch.Claim) (S, error)) error {
	claim, ok := microbatch.ClaimOf(msg.Context())
	if !ok {
		return errNoClaim
	}
	s, err := c.of(claim, begin)
	if err != nil {
		return err
	}
	return s.handle(msg)
}

var errNoClaim = errors.New("this message is not from a microbatch.Subscriber, whose offsets this handler needs")

var errNotBegun = errors.New("a panic when the partition was to be begun; it is being given back")

func (c *claims[S]) place(claim *microbatch.Claim) (*kept[S], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.held[claim]; k != nil {
		return k, nil
	}
	if claim.Context().Err() != nil {
		return nil, context.Cause(claim.Context())
	}
	if c.held == nil {
		c.held = map[*microbatch.Claim]*kept[S]{}
	}
	k := &kept[S]{}
	c.held[claim] = k
	context.AfterFunc(claim.Context(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, claim)
	})
	return k, nil
}

// all returns what is kept of all claims, in no order.
func (c *claims[S]) all() []S {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]S, 0, len(c.held))
	for _, k := range c.held {
		if k.begun.Load() {
			all = append(all, k.value)
		}
	}
	return all
}
