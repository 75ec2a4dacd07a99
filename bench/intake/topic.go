package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topicName is the topic that is written and read.
const topicName = "events"

// written is what the topic holds.
type written struct {
	Records    int64         `json:"records"`
	Duplicates int64         `json:"duplicates"`
	Bytes      int64         `json:"bytes"` // of the values
	Took       time.Duration `json:"took_ns"`
}

// String says it in words.
func (w written) String() string {
	return fmt.Sprintf("%d records (%d of them duplicates), %.0f bytes each, in %.1f s (%.0f records/s)",
		w.Records, w.Duplicates, float64(w.Bytes)/float64(w.Records), w.Took.Seconds(), float64(w.Records)/w.Took.Seconds())
}

// writeTopic creates the topic and writes the records, keyed by item.
func writeTopic(ctx context.Context, brokers []string, c config) (written, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.DefaultProduceTopic(topicName),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(20*time.Millisecond),
		kgo.ProducerBatchMaxBytes(512<<10),
		kgo.MaxBufferedRecords(100_000),
	)
	if err != nil {
		return written{}, fmt.Errorf("writing: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, int32(c.partitions), 1, nil, topicName); err != nil {
		return written{}, fmt.Errorf("topic: %w", err)
	}

	// The first failure ends it; nothing is measured on a topic with holes.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	produced := func(_ *kgo.Record, err error) {
		if err != nil {
			cancel(fmt.Errorf("writing: %w", err))
		}
	}
	source := newEvents(c)
	w := written{Records: c.records}
	begin := time.Now()
	for range c.records {
		r := source.next()
		w.Bytes += int64(len(r.value))
		client.Produce(ctx, &kgo.Record{Key: r.key, Value: r.value, Timestamp: time.UnixMilli(r.milli)}, produced)
		if ctx.Err() != nil {
			break
		}
	}
	if err := errors.Join(client.Flush(ctx), context.Cause(ctx)); err != nil {
		return written{}, err
	}
	w.Took = time.Since(begin)
	w.Duplicates = source.again
	return w, holds(ctx, admin, c.records)
}

// holds checks that the topic has all records.
func holds(ctx context.Context, admin *kadm.Client, want int64) error {
	ends, err := admin.ListEndOffsets(ctx, topicName)
	if err != nil {
		return fmt.Errorf("topic: %w", err)
	}
	var got int64
	ends.Each(func(o kadm.ListedOffset) { got += o.Offset })
	if got != want {
		return fmt.Errorf("the topic holds %d records, not %d", got, want)
	}
	return nil
}
