package microbatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
)

// PublisherConfig holds a Publisher's settings, with the names of Kafka's own. Start from
// DefaultPublisherConfig.
type PublisherConfig struct {
	Connection

	Compression     string        // compression.type: lz4, zstd, snappy, gzip or none
	MaxMessageBytes int           // max.message.bytes of the topics, as large as they all allow; also max.request.size
	Linger          time.Duration // linger.ms: how long messages wait for more before they are sent
	DeliveryTimeout time.Duration // delivery.timeout.ms: how long one call may take, with all retries

	// Tracer, such as OpenTelemetry's for watermill-kafka, wraps the producer: one span for a message.
	Tracer wkafka.SaramaTracer
}

// DefaultPublisherConfig returns the defaults.
func DefaultPublisherConfig(c Connection) PublisherConfig {
	return PublisherConfig{
		Connection:      c,
		Compression:     "lz4",
		MaxMessageBytes: 1<<20 + 12, // Kafka's own
		Linger:          2 * time.Millisecond,
		DeliveryTimeout: 30 * time.Second,
	}
}

// Validate reports all that is wrong, at once.
func (c PublisherConfig) Validate() error {
	_, err := c.producer(nil)
	return err
}

const (
	messageBytesMin = 1 << 10
	messageBytesMax = 64 << 20 // brokers take requests of up to 100 MiB
	tracingBytes    = 512      // for the headers that a tracer adds

	// metadataTimeout is how long sarama asks for a partition's leader. For ten seconds it counts failures, and after three
	// it fails all messages for ten seconds more, though the brokers may be back: so each takes longer.
	metadataTimeout = 12 * time.Second
)

// batchBytes is how large a batch may be before compression, as sarama estimates it. The broker checks the
// batch that it gets: what can't be compressed becomes a little larger by trying.
func (c PublisherConfig) batchBytes() int {
	return c.MaxMessageBytes - c.MaxMessageBytes/256 - 128
}

// limit is how large a message may be, with key and headers.
func (c PublisherConfig) limit() int {
	if c.Tracer != nil {
		return c.batchBytes() - tracingBytes
	}
	return c.batchBytes()
}

// attempt is how long one attempt may take, so that there is time for others.
func (c PublisherConfig) attempt() time.Duration {
	return min(c.withDefaults().RequestTimeout, c.DeliveryTimeout/3)
}

// producer returns sarama's settings. When closing is closed, nothing waits to be tried again.
func (c PublisherConfig) producer(closing <-chan struct{}) (*sarama.Config, error) {
	s, err := c.sarama()
	errs := []error{err}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	codec, known := compression(c.Compression)
	wrong(!known, "compression.type: %q is not lz4, zstd, snappy, gzip or none", c.Compression)
	wrong(c.MaxMessageBytes < messageBytesMin || c.MaxMessageBytes > messageBytesMax, "max.message.bytes: %d is not from %d to %d", c.MaxMessageBytes, messageBytesMin, messageBytesMax)
	wrong(c.Linger < 0, "linger.ms: %v is below 0", c.Linger)
	wrong(c.DeliveryTimeout <= c.Linger || c.DeliveryTimeout < 100*time.Millisecond, "delivery.timeout.ms: %v is not above linger.ms, %v, or below 100 ms", c.DeliveryTimeout, c.Linger)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	s.Net.MaxOpenRequests = 1 // what sarama wants for idempotence
	s.Net.DialTimeout = min(s.Net.DialTimeout, c.attempt())
	s.Net.ReadTimeout = c.attempt()
	s.Net.WriteTimeout = c.attempt()
	s.Metadata.Timeout = metadataTimeout
	s.Metadata.Retry.Max = 1000 // the timeout ends it
	s.Metadata.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		if closed(closing) {
			return time.Hour // beyond the timeout: not again
		}
		return c.retryBackoff(retries + 1)
	}

	s.Producer.Idempotent = true
	s.Producer.RequiredAcks = sarama.WaitForAll
	s.Producer.Timeout = (c.attempt() * 3 / 4).Truncate(time.Millisecond) // the broker's answer comes before we give up on it
	s.Producer.Compression = codec
	s.Producer.MaxMessageBytes = c.batchBytes()
	s.Producer.Partitioner = sarama.NewManualPartitioner // deliver has chosen
	s.Producer.Flush.Frequency = c.Linger
	if c.Linger > 0 {
		s.Producer.Flush.Bytes = c.batchBytes()
	}
	s.Producer.Retry.Max = c.retries()
	s.Producer.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		if closed(closing) {
			return 0
		}
		return c.retryBackoff(retries)
	}
	s.Producer.Transaction.Retry.Max = 1 // of getting a producer ID; see connect
	s.Producer.Return.Successes = true
	s.Producer.Return.Errors = true
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

func compression(name string) (sarama.CompressionCodec, bool) {
	codec, known := map[string]sarama.CompressionCodec{
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD, "snappy": sarama.CompressionSnappy,
		"gzip": sarama.CompressionGZIP, "none": sarama.CompressionNone,
	}[name]
	return codec, known
}

// retryBackoff is how long to wait before the nth retry: retry.backoff.ms to retry.backoff.max.ms of Kafka's
// producer, or less where there isn't much time. (sarama waits also after each message that fails before a first try, as
// the 0th: thousands would take minutes to fail.)
func (c PublisherConfig) retryBackoff(n int) time.Duration {
	if n == 0 {
		return 0
	}
	wait, most := min(100*time.Millisecond, c.DeliveryTimeout/20), min(time.Second, c.DeliveryTimeout/10)
	for ; n > 1 && wait < most; n-- {
		wait *= 2
	}
	wait = min(wait, most)
	return wait*4/5 + rand.N(wait*2/5+1)
}

// retries is how many retries fill the delivery timeout, if attempts fail at once. If they fail slowly,
// the call ends before, and what is in flight goes on for up to so many.
func (c PublisherConfig) retries() int {
	n := 1
	for waited := time.Duration(0); waited < c.DeliveryTimeout; n++ {
		waited += c.retryBackoff(n)
	}
	return n
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
