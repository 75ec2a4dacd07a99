package handlers

import (
	"context"
	"sync"

	"github.com/millrank/millrank/microbatch"
)

// claims holds what a handler keeps of each claim, until the claim is over. It is safe for concurrent use.
type claims[S any] struct {
	mu   sync.Mutex
	held map[*microbatch.Claim]S
}

// of returns what is kept of a claim, made for its first message. A claim that can't be resumed ends the subscription.
func (c *claims[S]) of(claim *microbatch.Claim, begin func(*microbatch.Claim) (S, error)) (S, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.held[claim]; ok {
		return s, nil
	}
	var none S
	if claim.Context().Err() != nil {
		return none, context.Cause(claim.Context())
	}
	s, err := begin(claim)
	if err != nil {
		claim.Refuse(err)
		return none, err
	}
	if c.held == nil {
		c.held = map[*microbatch.Claim]S{}
	}
	c.held[claim] = s
	context.AfterFunc(claim.Context(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, claim)
	})
	return s, nil
}

// all returns what is kept of all claims, in no order.
func (c *claims[S]) all() []S {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]S, 0, len(c.held))
	for _, s := range c.held {
		all = append(all, s)
	}
	return all
}
