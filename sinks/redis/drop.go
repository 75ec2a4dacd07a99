package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// Drop deletes all that a generation has in Redis: its lists, their metas, and what its writers have noted. The error is ErrActive for the
// generation that is public. Its processes must have ended, or they write it anew.
func (s *Sink) Drop(ctx context.Context, generation uint32) error {
	if err := s.drop(ctx, generation); err != nil {
		return fmt.Errorf("generation %d was not dropped: %w", generation, err)
	}
	return nil
}

func (s *Sink) drop(ctx context.Context, generation uint32) error {
	at, err := s.readPointer(ctx)
	if err != nil {
		return err
	}
	if at.generation == generation || s.want().generation == generation {
		return ErrActive
	}
	cluster, err := s.clustered(ctx)
	if err != nil {
		return err
	}
	lists, err := s.scan(ctx)
	if err != nil {
		return err
	}
	if cluster && at.epoch > 0 { // what an activation that broke off has left public
		if err := s.show(ctx, at, lists); err != nil {
			return err
		}
	}
	calls := make([]*call, len(lists))
	for i, list := range lists {
		key := Shadow(list, generation)
		calls[i] = &call{script: dropScript, keys: []string{key, Meta(key)}, args: []any{strconv.FormatUint(uint64(generation), 10)}}
		if !cluster {
			calls[i].keys = append(calls[i].keys, s.pointerKey())
		}
	}
	if err := s.run(ctx, calls); err != nil {
		return err
	}
	if slices.ContainsFunc(calls, func(c *call) bool { return c.answer == answerSuperseded }) {
		return ErrActive
	}
	return s.dropSentinels(ctx, generation)
}

// dropSentinels deletes what writers have noted.
func (s *Sink) dropSentinels(ctx context.Context, generation uint32) error {
	var sentinels []string
	pattern := fmt.Sprintf("%s{*}:millrank:g%d:written:*", glob(s.config.Prefix), generation)
	if err := s.each(ctx, pattern, func(key string) { sentinels = append(sentinels, key) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	pipe := s.config.Client.Pipeline()
	for _, key := range sentinels {
		pipe.Unlink(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Explain(fmt.Errorf("deleting the writers' notes: %w", err))
	}
	return nil
}
