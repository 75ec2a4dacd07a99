package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Produce makes the topic, and writes all events and the records that end the partitions. It says how far it is, now and then.
func Produce(ctx context.Context, brokers []string, topic string, s Settings, far func(events int64)) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(20*time.Millisecond),
		kgo.MaxBufferedRecords(200_000), kgo.ProducerBatchMaxBytes(512<<10))
	if err != nil {
		return fmt.Errorf("writing %s: %w", topic, err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(s.Partitions), 1, nil, topic); err != nil {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			cancel(err)
		}
	}
	const often = 1 << 16
	g := NewGenerator(s)
	for e := (Event{}); g.Next(&e) && ctx.Err() == nil; {
		client.Produce(ctx, &kgo.Record{
			Key: g.AppendKey(make([]byte, 0, 24), &e), Value: g.AppendJSON(make([]byte, 0, 128), &e), Timestamp: time.UnixMilli(e.Milli),
		}, promise)
		if g.made%often == 0 {
			far(g.made)
		}
	}
	if err := errors.Join(client.Flush(ctx), context.Cause(ctx)); err != nil {
		return fmt.Errorf("writing %s: %w", topic, err)
	}
	return s.produceEnds(ctx, brokers, topic)
}

// produceEnds writes the record that ends each partition.
func (s Settings) produceEnds(ctx context.Context, brokers []string, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return fmt.Errorf("ending the partitions of %s: %w", topic, err)
	}
	defer client.Close()
	records := make([]*kgo.Record, s.Partitions)
	for p := range records {
		value := fmt.Appendf(nil, `{"event_id":"flush-%014d","item_id":%q,"region":%q,"ts":%d,"count":1}`, p, FlushRegion, FlushRegion, s.FlushTime())
		records[p] = &kgo.Record{Partition: int32(p), Key: []byte(FlushRegion), Value: value, Timestamp: time.UnixMilli(s.FlushTime())}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("ending the partitions of %s: %w", topic, err)
	}
	return nil
}
