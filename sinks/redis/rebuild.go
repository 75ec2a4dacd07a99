package redis

import (
	"context"
	"fmt"
)

// Lose notes in Redis that it lacks something of so many partitions of the rankings topic, so that their writers, in whatever processes, write all of it
// once more: a rebuild that nobody has to be told of.
func (s *Sink) Lose(ctx context.Context, partitions int) error {
	_, err := s.eachGuard(ctx, partitions, lose)
	return err
}

// Lacking returns of how many of so many partitions Redis lacks something that is still to be written.
func (s *Sink) Lacking(ctx context.Context, partitions int) (int, error) {
	return s.eachGuard(ctx, partitions, look)
}

// eachGuard asks the sentinels of all partitions, and returns of how many something is lost.
func (s *Sink) eachGuard(ctx context.Context, partitions int, action string) (lost int, err error) {
	for partition := range partitions {
		g := guard{sink: s, partition: partition, through: -1}
		lacks, err := g.askAll(ctx, action, -1)
		if err != nil {
			return lost, fmt.Errorf("partition %d: %w", partition, err)
		}
		if lacks {
			lost++
		}
	}
	return lost, nil
}
