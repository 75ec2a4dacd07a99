package microbatch

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/IBM/sarama"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// delivery is one call's messages on their way.
type delivery struct {
	topic   string
	records []*sarama.ProducerMessage
	ended   func() error // why the call has returned without them, or nil
	handed  atomic.Bool  // they have been handed over to sarama
}

// unset is the partition of a record for which none is given.
const unset int32 = -1

// payload is a record's value. It is asked for when the record joins a batch: the last moment at which it can be
// held back, so that what a call leaves behind when it ends is what was in flight then.
type payload struct {
	bytes []byte
	ended func() error
}

// Encode returns the bytes, or why they are not to be sent any more.
func (p payload) Encode() ([]byte, error) { return p.bytes, p.ended() }

// Length returns the number of bytes.
func (p payload) Length() int { return len(p.bytes) }

// add makes records of messages.
func (d *delivery) add(msgs []*message.Message, bytesMax int) error {
	d.records = make([]*sarama.ProducerMessage, len(msgs))
	for i, msg := range msgs {
		record := &sarama.ProducerMessage{
			Topic:     d.topic,
			Value:     payload{msg.Payload, d.ended},
			Partition: unset,
			Headers:   make([]sarama.RecordHeader, 1, 1+len(msg.Metadata)),
		}
		record.Headers[0] = sarama.RecordHeader{Key: []byte(wkafka.UUIDHeaderKey), Value: []byte(msg.UUID)}
		for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
			switch value := msg.Metadata[name]; name {
			case MetadataKey:
				record.Key = sarama.ByteEncoder(value)
			case MetadataPartition:
				partition, err := strconv.ParseInt(value, 10, 32)
				if err != nil || partition < 0 {
					return fmt.Errorf("topic %s: message %s: metadata %s: %q is not a partition", d.topic, msg.UUID, MetadataPartition, value)
				}
				record.Partition = int32(partition)
			case wkafka.UUIDHeaderKey:
				return fmt.Errorf("topic %s: message %s: metadata %s: reserved for the UUID", d.topic, msg.UUID, name)
			default:
				record.Headers = append(record.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(value)})
			}
		}
		if size := record.ByteSize(2); size > bytesMax {
			return fmt.Errorf("topic %s: message %s: %d bytes with its key and headers, of at most %d: %w; raise it, of the topic and as max.request.size of the publisher, or send smaller messages",
				d.topic, msg.UUID, size, bytesMax, ErrMessageTooLarge)
		}
		d.records[i] = record
	}
	return nil
}

// deliver sends them and waits.
func (p *Publisher) deliver(d *delivery) error {
	partitions, err := p.client.Partitions(d.topic) // asks Kafka only the first time
	if err != nil {
		return fmt.Errorf("topic %s: its partitions: %w", d.topic, err)
	}
	if err := p.assign(d, int32(len(partitions))); err != nil {
		return err
	}
	if err := d.ended(); err != nil {
		return err
	}
	d.handed.Store(true)
	return d.failure(p.producer.SendMessages(d.records))
}

// assign chooses the partitions that are not given. Messages of a call without a key go to one partition, so that they keep
// their order.
func (p *Publisher) assign(d *delivery, partitions int32) error {
	anywhere := rand.Int32N(partitions)
	for _, r := range d.records {
		switch {
		case r.Partition >= partitions:
			return fmt.Errorf("topic %s: metadata %s: %d, but it has %d partitions", d.topic, MetadataPartition, r.Partition, partitions)
		case r.Partition != unset:
		case r.Key == nil:
			r.Partition = anywhere
		default:
			var err error
			if r.Partition, err = p.byKey.Partition(r, partitions); err != nil {
				return fmt.Errorf("topic %s: the key's partition: %w", d.topic, err)
			}
		}
	}
	return nil
}

// abandoned returns the error of a call that ends before its messages.
func (d *delivery) abandoned(why error) error {
	if !d.handed.Load() {
		return fmt.Errorf("topic %s: none of %d messages is written: its partitions are not known: see whether the topic exists and a broker answers: %w", d.topic, len(d.records), why)
	}
	return fmt.Errorf("topic %s: %d messages, of which some may have been written: %w", d.topic, len(d.records), why)
}

// failure says for each partition what became of its messages.
func (d *delivery) failure(err error) error {
	var failed sarama.ProducerErrors
	if !errors.As(err, &failed) {
		if err != nil {
			return fmt.Errorf("topic %s: %w", d.topic, err)
		}
		return nil
	}
	total := map[int32]int{}
	for _, r := range d.records {
		total[r.Partition]++
	}
	byPartition := map[int32][]error{}
	for _, f := range failed {
		byPartition[f.Msg.Partition] = append(byPartition[f.Msg.Partition], f.Err)
	}
	var errs []error
	for _, partition := range slices.Sorted(maps.Keys(byPartition)) {
		of := byPartition[partition]
		errs = append(errs, fmt.Errorf("topic %s, partition %d: %d of %d messages: %w", d.topic, partition, len(of), total[partition], d.reason(of[0])))
	}
	return errors.Join(errs...)
}

// reason adds what a user can do.
func (d *delivery) reason(err error) error {
	switch {
	case errors.Is(err, sarama.ErrMessageSizeTooLarge), errors.Is(err, sarama.ErrMessageSetSizeTooLarge):
		return fmt.Errorf("%w: %w; raise it of the topic, or lower max.request.size of the publisher", ErrMessageTooLarge, err)
	case errors.Is(err, sarama.ErrNotEnoughReplicas), errors.Is(err, sarama.ErrNotEnoughReplicasAfterAppend):
		return fmt.Errorf("%w; fewer replicas are in sync than min.insync.replicas: see to the brokers", err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("%w; the user needs the right of Write on the topic", err)
	}
	return err
}
