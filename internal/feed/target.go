package feed

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Target is a topic that is fed.
type Target struct {
	client *kgo.Client
	topic  string

	partitions    int
	logAppendTime bool          // the broker sets timestamps
	aheadMax      time.Duration // how far ahead of the broker's clock timestamps can be
	retention     time.Duration // how old records become; 0: any age
}

// ageless stands for no limit: longer than anything, and still a number that can be added to.
const ageless = 100 * 365 * 24 * time.Hour

// lookTimeout is how long a topic is looked up.
const lookTimeout = 30 * time.Second

// Open looks a topic up with a client that connect makes of a producer's options, to which it adds how to reach the brokers. The
// caller closes the target.
func Open(ctx context.Context, topic string, connect func(...kgo.Opt) (*kgo.Client, error)) (*Target, error) {
	var batchBytesMax atomic.Int32
	batchBytesMax.Store(1_000_000)
	client, err := connect(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(func(string) int32 { return batchBytesMax.Load() }),
		kgo.MaxBufferedRecords(50_000),
		kgo.MaxBufferedBytes(256<<20),
		kgo.RecordRetries(20), // about a minute; RecordDeliveryTimeout counts from a record's timestamp, which may be years old
		kgo.UnknownTopicRetries(2),
	)
	if err != nil {
		return nil, err
	}
	t := &Target{client: client, topic: topic, aheadMax: ageless}
	bytesMax, err := t.look(ctx)
	if err != nil {
		client.Close()
		return nil, err
	}
	if bytesMax > 0 {
		batchBytesMax.Store(bytesMax)
	}
	return t, nil
}

// Close ends the connection. What Run has sent, it has waited for.
func (t *Target) Close() { t.client.Close() }

// Partitions returns how many the topic has.
func (t *Target) Partitions() int { return t.partitions }

// look asks for what must be known of the topic, and returns how many bytes a batch may have, or 0. A topic's settings may be
// forbidden to see; then it is as Kafka's defaults are.
func (t *Target) look(ctx context.Context) (batchBytesMax int32, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	admin := kadm.NewClient(t.client)
	topics, err := admin.ListTopics(ctx, t.topic)
	if err == nil {
		err = topics[t.topic].Err
	}
	if err != nil {
		return 0, fmt.Errorf("topic %s: %w; does it exist, and may this user see it?", t.topic, err)
	}
	t.partitions = len(topics[t.topic].Partitions)
	if t.partitions == 0 {
		return 0, fmt.Errorf("topic %s has no partitions", t.topic)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, t.topic)
	if err != nil || len(configs) == 0 || configs[0].Err != nil {
		return 0, ctx.Err()
	}
	for _, c := range configs[0].Configs {
		n, bad := strconv.ParseInt(c.MaybeValue(), 10, 64)
		switch {
		case c.Key == "message.timestamp.type":
			t.logAppendTime = c.MaybeValue() == "LogAppendTime"
		case bad != nil:
		case c.Key == "max.message.bytes":
			batchBytesMax = int32(min(max(n, 1024), 64<<20))
		case c.Key == "message.timestamp.after.max.ms" && n < ageless.Milliseconds():
			t.aheadMax = time.Duration(n) * time.Millisecond
		case c.Key == "retention.ms" && n > 0 && n < ageless.Milliseconds():
			t.retention = time.Duration(n) * time.Millisecond
		}
	}
	if t.logAppendTime {
		t.aheadMax = 0
	}
	return batchBytesMax, nil
}
