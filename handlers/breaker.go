package handlers

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/sony/gobreaker"
)

// breakAfter is how many writes in a row fail before none is tried for a while.
const (
	breakAfter = 5
	breakFor   = 2 * time.Second
)

// breaker is the circuit breaker between a handler and its store, over all partitions: one finds out for all when the store is back.
type breaker struct{ circuit *gobreaker.CircuitBreaker }

func newBreaker(handler string, logger watermill.LoggerAdapter) breaker {
	return breaker{gobreaker.NewCircuitBreaker(gobreaker.Settings{
		Name: handler, Timeout: breakFor,
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, context.Canceled) }, // a claim that ends says nothing of the store
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= breakAfter },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			logger.Info("the circuit breaker of the store of "+handler, watermill.LogFields{"from": from.String(), "to": to.String()})
		},
	})}
}

// do writes, unless the breaker is open. The error is write's, or says that the breaker is open.
func (b breaker) do(write func() error) error {
	_, err := b.circuit.Execute(func() (any, error) { return nil, write() })
	return err //nolint:wrapcheck // the writer says what it was doing
}

// state returns closed (it writes), half-open or open.
func (b breaker) state() string { return b.circuit.State().String() }
