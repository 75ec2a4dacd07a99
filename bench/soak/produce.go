package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/handlers"
)

// producer writes the stream, each record when it is due. When the broker was away it catches up, as fast as it can.
type producer struct {
	stream *stream
	client *kgo.Client
	begun  time.Time

	made  atomic.Int64 // records
	acked atomic.Int64
	at    atomic.Int64 // event time of the newest record, Unix ms
}

func newProducer(c config, brokers []string) (*producer, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(eventsTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(10*time.Millisecond), kgo.MaxBufferedRecords(200_000),
	)
	if err != nil {
		return nil, fmt.Errorf("the producer: %w", err)
	}
	return &producer{stream: newStream(c.workload()), client: client}, nil
}

// run produces everything, or until the context ends. However that is, all that was made is in the topic when it returns without an error.
func (p *producer) run(ctx context.Context) error {
	p.begun = time.Now()
	apart := float64(time.Second) / float64(p.stream.settings.PerSecond)
	// A record that was given to the client is to arrive, also after the end of ctx.
	arriving, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for more := true; more && context.Cause(arriving) == nil; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			more = false
			continue
		}
		due := int64(float64(time.Since(p.begun)) / apart)
		for more && p.stream.events < due && ctx.Err() == nil && arriving.Err() == nil {
			more = p.produce(arriving, cancel)
		}
	}
	flushing, stop := context.WithTimeout(arriving, 2*time.Minute)
	defer stop()
	if err := errors.Join(p.client.Flush(flushing), context.Cause(arriving)); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	return nil
}

func (p *producer) produce(ctx context.Context, fail context.CancelCauseFunc) bool {
	var r record
	if !p.stream.make(&r) {
		return false
	}
	p.client.Produce(ctx, &kgo.Record{
		Partition: r.partition, Timestamp: time.UnixMilli(r.time),
		Key: workload.AppendItem(nil, r.item), Value: p.stream.appendValue(make([]byte, 0, 128), &r),
	}, func(_ *kgo.Record, err error) {
		if err != nil {
			fail(err)
			return
		}
		p.acked.Add(1)
	})
	p.made.Add(1)
	p.at.Store(r.time)
	return true
}

// end tells every partition that nothing older will come, so that all windows close.
func (p *producer) end(ctx context.Context) error {
	at := p.stream.settings.FlushTime() // later than all windows' closing
	records := make([]*kgo.Record, p.stream.settings.Partitions)
	for i := range records {
		records[i] = &kgo.Record{
			Partition: int32(i), Timestamp: time.UnixMilli(at),
			Headers: []kgo.RecordHeader{{Key: handlers.AdvanceWatermark, Value: fmt.Append(nil, at)}},
		}
	}
	if err := p.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("ending the partitions: %w", err)
	}
	return nil
}
