package microbatch

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/IBM/sarama"
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
	config.Consumer.Return.Errors = true
	config.ChannelBufferSize = 1                        // records can be large, and take slow
	config.Consumer.MaxWaitTime = 20 * time.Millisecond // closing waits for the fetch beyond the end
	line := newLifeline(config.Net.DialTimeout)
	line.serve(config)
	done := context.AfterFunc(ctx, line.cut) // else a broker that says nothing would be waited for
	defer done()
	err = readPartition(ctx, c, config, topic, partition, take)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func readPartition(ctx context.Context, c Connection, config *sarama.Config, topic string, partition int32, take func(Record) error) error {
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
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	defer func() { _ = consumer.Close() }()
	records, err := consumer.ConsumePartition(topic, partition, from)
	if err != nil {
		return fmt.Errorf("reading %s partition %d: %w", topic, partition, err)
	}
	defer func() { _ = records.Close() }()
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	for {
		select {
		case m, ok := <-records.Messages():
			if !ok {
				return fmt.Errorf("reading %s partition %d: it was ended", topic, partition)
			}
			if err := take(record(m)); err != nil {
				return err
			}
			if m.Offset+1 >= end {
				return nil
			}
			patience.Reset(readPatience)
		case err, ok := <-records.Errors():
			if !ok {
				return fmt.Errorf("reading %s partition %d: it was ended", topic, partition)
			}
			return fmt.Errorf("reading %s: %w", topic, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return fmt.Errorf("reading %s partition %d: nothing came for %v, before its end at %d", topic, partition, readPatience, end)
		}
	}
}

// record makes a Record of sarama's.
func record(m *sarama.ConsumerMessage) Record {
	r := Record{Offset: m.Offset, Time: timestamp(m.Timestamp), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, Header{Name: h.Key, Value: h.Value})
	}
	return r
}

// timestamp returns a record's timestamp in Unix milliseconds, or NoTimestamp.
//
// sarama adds a record's difference to the timestamp of its batch's first record, and takes the zero
// time, of the year 1, for that where the first record has none (-1).
func timestamp(t time.Time) int64 {
	ms := t.UnixMilli()
	if sinceZero := t.Sub(time.Time{}); ms < 0 && sinceZero < math.MaxInt64 {
		ms = sinceZero.Milliseconds() - 1
	}
	return max(ms, NoTimestamp)
}
