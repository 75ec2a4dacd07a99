package microbatch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/microbatch"
)

func TestPublishRefused(t *testing.T) {
	cluster := fakeKafka(t, 2)
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.DeliveryTimeout = time.Second })
	large := to(0, "large")
	large.Payload = make([]byte, 1<<20)
	reserved := to(0, "reserved")
	reserved.Metadata.Set(wkafka.UUIDHeaderKey, "x")
	letters := to(0, "letters")
	letters.Metadata.Set(microbatch.MetadataPartition, "one")
	for _, c := range []struct {
		topic string
		msg   *message.Message
		want  string
		is    error
	}{
		{"updates", large, "max.request.size", microbatch.ErrMessageTooLarge},
		{"updates", reserved, "reserved for the UUID", nil},
		{"updates", letters, `metadata kafka.partition: "one" is not a partition`, nil},
		{"updates", to(-1, "negative"), `"-1" is not a partition`, nil},
		{"updates", to(2, "beyond"), "topic updates: metadata kafka.partition: 2, but it has 2 partitions", nil},
		{"nowhere", to(0, "lost"), "see whether the topic exists", microbatch.ErrDeliveryTimeout},
	} {
		err := p.Publish(c.topic, to(0, "good"), c.msg)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, not %s", c.msg.UUID, err, c.want)
		}
	}
	if err := p.Publish("updates"); err != nil {
		t.Errorf("no messages: %v", err)
	}
	for partition, values := range texts(t, cluster) {
		if len(values) > 0 {
			t.Errorf("partition %d has %v, of calls that were refused", partition, values)
		}
	}
}

func TestPublisherConfig(t *testing.T) {
	_, err := microbatch.NewPublisher(microbatch.PublisherConfig{Compression: "lzma", MaxMessageBytes: 1, Linger: -1, DeliveryTimeout: 1}, nil)
	for _, name := range []string{"bootstrap.servers", "compression.type", "max.message.bytes", "linger.ms", "delivery.timeout.ms"} {
		if err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("nothing about %s in: %v", name, err)
		}
	}
	for _, name := range []string{"lz4", "zstd", "snappy", "gzip", "none"} {
		cluster := fakeKafka(t, 1)
		p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.Compression = name })
		text := strings.Repeat(name, 1000)
		if err := p.Publish("updates", to(0, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := texts(t, cluster)[0]; len(got) != 1 || got[0] != text {
			t.Errorf("%s doesn't come back", name)
		}
	}
}

// Incompressible messages up to the limit, and batches of them, pass a topic with that limit.
func TestPublishAtTheLimit(t *testing.T) {
	for _, codec := range []string{"lz4", "zstd", "snappy", "gzip", "none"} {
		cluster := fakeKafka(t, 1, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "100000"}))
		p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.MaxMessageBytes, c.Compression = 100000, codec })
		var msgs []*message.Message
		for size := 99_000; size > 10; size /= 2 {
			msgs = append(msgs, message.NewMessage("", noise(size)))
		}
		for len(msgs) < 3000 {
			msgs = append(msgs, message.NewMessage("", noise(20)))
		}
		if err := p.Publish("updates", msgs...); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
	}
}
