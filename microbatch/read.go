package microbatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readPatience is how long ReadPartition waits for a record that must come.
const readPatience = 30 * time.Second

// ReadPartition reads a partition from its first record to where its log ends at the time of the call, outside of any group,
// and calls take for each record in turn. A Record's slices are take's to keep. It returns take's error, the cause of ctx's end, or what
// keeps Kafka from being read; for partitions of topics without transactions.
func ReadPartition(ctx context.Context, c Connection, topic string, partition int32, take func(Record) error) error {
	config, err := c.sarama()
	if err != nil {
		return err
	}
	line := newLifeline(config.Net.DialTimeout)
	line.serve(config)
	done := context.AfterFunc(ctx, line.cut) // else a broker that says nothing would be waited for
	defer done()
	err = readPartition(ctx, c, config, line, topic, partition, readPatience, take)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func readPartition(ctx context.Context, c Connection, config *sarama.Config, line *lifeline, topic string, partition int32, wait time.Duration, take func(Record) error) error {
	client, err := sarama.NewClient(c.BootstrapServers, config)
	if err != nil {
		return fmt.Errorf("Kafka at %v: %w", c.BootstrapServers, err)
	}
	defer func() { _ = client.Close() }() // it has only read
	from, err := client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("log start of %s partition %d: %w", topic, partition, err)
	}
	end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return fmt.Errorf("log end of %s partition %d: %w", topic, partition, err)
	}
	if from >= end {
		return nil
	}
	reading := DefaultSubscriberConfig(c, "")
	f, err := newFetcher(reading, line, watermill.NopLogger{}, topic, partition, from)
	if err != nil {
		return err
	}
	var fetching sync.WaitGroup
	fetching.Go(func() { f.run(reading.BatchRecords) })
	defer fetching.Wait()
	defer f.close()
	patience := time.NewTimer(wait)
	defer patience.Stop()
	for {
		select {
		case got := <-f.out:
			for _, r := range got.records {
				if err := take(record(r)); err != nil {
					return err
				}
				if r.Offset+1 >= end {
					return nil
				}
			}
			if got.err != nil {
				return fmt.Errorf("reading %s partition %d: %w", topic, partition, got.err)
			}
			patience.Reset(wait)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return fmt.Errorf("reading %s partition %d: nothing came for %v, before its end at %d: %w", topic, partition, wait, end, sarama.ErrRequestTimedOut) // which can pass
		}
	}
}

// record makes a Record of franz-go's.
func record(from *kgo.Record) Record {
	r := Record{Offset: from.Offset, Time: max(from.Timestamp.UnixMilli(), NoTimestamp), Key: from.Key, Value: from.Value}
	for _, h := range from.Headers {
		r.Headers = append(r.Headers, Header{Name: []byte(h.Key), Value: h.Value})
	}
	return r
}
