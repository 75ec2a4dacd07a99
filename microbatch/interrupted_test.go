package microbatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/millrank/millrank/microbatch"
)

// TestSubscribeInterrupted: who is told to stop before it has begun says so; that is no failure.
func TestSubscribeInterrupted(t *testing.T) {
	k := fake(t, 1, 1)
	s, err := microbatch.NewSubscriber(k.settings("sticky"), logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Subscribe(ctx, k.topic); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe says %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
