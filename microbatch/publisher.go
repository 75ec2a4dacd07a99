package microbatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata that says where in Kafka a message goes. They are not sent as headers.
const (
	// MetadataKey holds the bytes of the Kafka key. Without it, the key is null; with "", it is empty.
	MetadataKey = "kafka.key"
	// MetadataPartition holds the partition, in decimal. Without it, the partition is what Kafka's own
	// producers derive from the key, or, without a key, any.
	MetadataPartition = "kafka.partition"
)

// What a Publisher's errors are, besides sarama's, which they wrap.
var (
	// ErrPublisherClosed is the error of publishing when the Publisher is closed, or is being closed.
	ErrPublisherClosed = errors.New("the publisher is closed")
	// ErrMessageTooLarge is the error of a message that is above the limit, here or at the broker. Sending it again is of no use.
	ErrMessageTooLarge = errors.New("above max.message.bytes")
	// ErrDeliveryTimeout is the error of a call that could not be brought to an end in time.
	ErrDeliveryTimeout = errors.New("delivery.timeout.ms has passed")
)

const (
	closingGrace = time.Second // how long Close waits for what is in flight
	callsMax     = 256         // how many calls may be on their way at a time, with those that have ended but left messages in flight
)

// Publisher is a Watermill Publisher that sends all messages of a call together, to all
// partitions at once, and waits until all in-sync replicas have them.
//
// Within a partition, messages keep the order in which calls were made and in which they stand in a call.
// The producer is idempotent: its own retries write nothing twice. Messages that a failed call has left
// behind are written before those of later calls, or never. A Publisher is safe for concurrent use.
type Publisher struct {
	config   PublisherConfig
	logger   watermill.LoggerAdapter
	client   sarama.Client
	producer sarama.SyncProducer
	byKey    sarama.Partitioner // for messages with a key only: that has no state

	slots chan struct{} // one for each call of the producer that runs: what calls leave behind has a limit

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup // calls of the producer; when closed, no more are added

	close    sync.Once
	closing  chan struct{}
	finished chan struct{}
	err      error // of finish; to be read once finished is closed
}

// NewPublisher connects to Kafka and returns a Publisher. It tries each bootstrap server once.
func NewPublisher(config PublisherConfig, logger watermill.LoggerAdapter) (*Publisher, error) {
	closing := make(chan struct{})
	s, err := config.producer(closing)
	if err != nil {
		return nil, err
	}
	if logger == nil {
		logger = watermill.NopLogger{}
	}
	client, producer, err := connect(config.BootstrapServers, s)
	if err != nil {
		return nil, err
	}
	if config.Tracer != nil {
		producer = config.Tracer.WrapSyncProducer(s, producer)
	}
	return &Publisher{
		config: config, logger: logger, client: client, producer: producer,
		byKey: sarama.NewMurmur2Partitioner(""), slots: make(chan struct{}, callsMax),
		closing: closing, finished: make(chan struct{}),
	}, nil
}

// connect makes the producer. While no metadata is known, sarama asks only one of the servers it is given for
// a producer ID, so they are given to it one by one.
func connect(servers []string, s *sarama.Config) (sarama.Client, sarama.SyncProducer, error) {
	var errs []error
	for _, i := range rand.Perm(len(servers)) {
		client, err := sarama.NewClient(servers[i:i+1], s)
		if err == nil {
			var producer sarama.SyncProducer
			if producer, err = sarama.NewSyncProducerFromClient(client); err == nil {
				return client, producer, client.RefreshBrokers(servers)
			}
			_ = client.Close() // the other error says more
		}
		errs = append(errs, fmt.Errorf("Kafka at %s: %w", servers[i], err))
		if errors.Is(err, sarama.ErrClusterAuthorizationFailed) {
			errs = append(errs, errors.New("before Kafka 3.0, an idempotent producer needs the right of IdempotentWrite on the cluster"))
		}
	}
	return nil, nil, errors.Join(errs...)
}

// MessageBytesMax is how large a message may be, with its key and headers.
func (p *Publisher) MessageBytesMax() int { return p.config.limit() }

// Publish is PublishContext without a context: the delivery timeout and Close end it.
func (p *Publisher) Publish(topic string, msgs ...*message.Message) error {
	return p.PublishContext(context.Background(), topic, msgs...)
}

// PublishContext sends the messages to a topic, all together, and returns nil when all are written. A message's Payload is the
// value of the record (null if nil), its UUID and its Metadata are headers as of watermill-kafka's DefaultMarshaler, sorted by
// name, but for MetadataKey and MetadataPartition.
//
// An error says for which partitions messages failed, and why. Then any of the messages may have been written, also later
// ones of a partition without earlier ones, and some may still be, though never after those of a later call to the
// same partition: their payloads must not be written to any more. Nothing is sent if a message can't be, such as
// one above the limit. When ctx is done, or the delivery timeout has passed, or Close is called, it returns at once.
func (p *Publisher) PublishContext(ctx context.Context, topic string, msgs ...*message.Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.DeliveryTimeout, ErrDeliveryTimeout)
	defer cancel()
	d := &delivery{topic: topic, ended: func() error { return context.Cause(ctx) }}
	if err := d.add(msgs, p.config.limit()); err != nil {
		return err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("topic %s: %d messages, of which none is written: %d calls before it are still running: %w", topic, len(msgs), callsMax, context.Cause(ctx))
	case <-p.closing:
		return fmt.Errorf("topic %s: %w", topic, ErrPublisherClosed)
	}
	if !p.begin() {
		return fmt.Errorf("topic %s: %w", topic, ErrPublisherClosed)
	}
	done := make(chan error, 1)
	go func() {
		defer p.sends.Done()
		done <- p.deliver(d)
		<-p.slots
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return d.abandoned(context.Cause(ctx))
	case <-p.closing:
		return d.abandoned(ErrPublisherClosed)
	}
}

func (p *Publisher) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sends.Add(1)
	return true
}

// Close ends the calls that are running and closes the connections. What is in flight gets a second to arrive; what a broker
// has received by then, it may write later. Close may be called more than once, by several; each waits until all is closed, or
// returns an error if that takes long.
func (p *Publisher) Close() error {
	p.close.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		close(p.closing)
		go p.finish()
	})
	late := time.NewTimer(closingGrace + 2*p.config.attempt())
	defer late.Stop()
	select {
	case <-p.finished:
		return p.err
	case <-late.C:
		return errors.New("closing the publisher: a broker doesn't answer; it goes on in the background")
	}
}

// finish closes sarama's producer, which must not happen while SendMessages runs: that would send on a channel
// that is closed.
func (p *Publisher) finish() {
	defer close(p.finished)
	sent := make(chan struct{})
	go func() {
		p.sends.Wait()
		close(sent)
	}()
	grace := time.NewTimer(closingGrace)
	defer grace.Stop()
	select {
	case <-sent:
	case <-grace.C:
		p.logger.Info("Closing the publisher with messages in flight, which may or may not be written", nil)
		p.err = p.client.Close() // now every attempt fails at once, and no new ones are made
		<-sent
	}
	p.err = errors.Join(p.err, p.producer.Close())
	if !p.client.Closed() {
		p.err = errors.Join(p.err, p.client.Close())
	}
}
