package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrank/millrank/pipeline/settings"
)

// RebuildRedis has the processes that run, wherever they are, write all leaderboards of a generation to Redis once more, and waits until they have, at most so long.
// It tells progress how many of all partitions are left. It returns how many there are.
func RebuildRedis(ctx context.Context, s settings.Settings, wait time.Duration, progress func(left, all int)) (int, error) {
	if len(s.Redis.Addresses) == 0 {
		return 0, errors.New("redis.addresses: there is no Redis in the settings")
	}
	active, err := ActiveGeneration(ctx, s)
	if err != nil {
		return 0, err
	}
	client, sink, err := openRedisOf(s, &active)
	if err != nil {
		return 0, err
	}
	defer closeQuietly(client)
	all := s.Topics.Rankings.Partitions
	if err := sink.Lose(ctx, all); err != nil {
		return 0, fmt.Errorf("Redis: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("it isn't done after %v; is 'millrank run' running, with its leaderboard handler? It goes on when it is", wait))
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for before := -1; ; {
		left, err := sink.Lacking(ctx, all)
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err != nil:
			return 0, fmt.Errorf("Redis: %w", err)
		case left == 0:
			return all, nil
		case left != before:
			progress(left, all)
			before = left
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
