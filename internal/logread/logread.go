// Package logread reads stretches of a partition's log outside of any group, for commands that look on.
package logread

import (
	"context"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
)

// Range gives the records of a partition with offsets from one, to before another, in turn; those of aborted transactions, too. The log must reach to the
// second: take both from the broker. Where retention has deleted the first ones, it begins with the first that is there. A record is the caller's to keep. An
// error is the last that comes: the end of ctx, or what keeps Kafka from being read.
func Range(ctx context.Context, c microbatch.Connection, topic string, partition int32, from, to int64) iter.Seq2[*kgo.Record, error] {
	return func(yield func(*kgo.Record, error) bool) {
		if from >= to {
			return
		}
		client, err := kafkaclient.New(c,
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.KeepControlRecords()) // so that the last offset is seen, whatever is there
		if err != nil {
			yield(nil, err)
			return
		}
		defer client.Close()
		for {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				yield(nil, fmt.Errorf("reading %s partition %d: %w", topic, partition, err))
				return
			}
			for it := fetches.RecordIter(); !it.Done(); {
				r := it.Next()
				if r.Offset >= to || !r.Attrs.IsControl() && !yield(r, nil) || r.Offset == to-1 {
					return
				}
			}
		}
	}
}
