package microbatch_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millrank/millrank/microbatch"
)

// fakeKafka starts a cluster that can be made to fail, with the topic "updates".
func fakeKafka(t *testing.T, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, "updates")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// publisherOf makes a Publisher that gives up after five seconds; change may change its settings.
func publisherOf(t *testing.T, cluster *kfake.Cluster, change func(*microbatch.PublisherConfig)) *microbatch.Publisher {
	t.Helper()
	config := microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: cluster.ListenAddrs()})
	config.DeliveryTimeout = 5 * time.Second
	if change != nil {
		change(&config)
	}
	p, err := microbatch.NewPublisher(config, logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// to makes a message for a partition of which the value and the UUID are the text.
func to(partition int, text string) *message.Message {
	msg := message.NewMessage(text, []byte(text))
	msg.Metadata.Set(microbatch.MetadataPartition, strconv.Itoa(partition))
	return msg
}

// series makes n messages for a partition: <name>/0, <name>/1, ...
func series(partition int, name string, n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = to(partition, fmt.Sprintf("%s/%d", name, i))
	}
	return msgs
}

// written returns all records of "updates", by partition.
func written(t *testing.T, cluster *kfake.Cluster) [][]*kgo.Record {
	t.Helper()
	infos := cluster.PartitionInfos("updates")
	records, from := make([][]*kgo.Record, len(infos)), map[int32]kgo.Offset{}
	missing := int64(0)
	for _, info := range infos {
		from[info.Partition] = kgo.NewOffset().AtStart()
		missing += info.HighWatermark
	}
	c := client(t, cluster.ListenAddrs(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"updates": from}))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for missing > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records[r.Partition] = append(records[r.Partition], r)
			missing--
		})
	}
	return records
}

// texts returns the values of all records of "updates", by partition.
func texts(t *testing.T, cluster *kfake.Cluster) [][]string {
	t.Helper()
	records := written(t, cluster)
	values := make([][]string, len(records))
	for i := range records {
		for _, r := range records[i] {
			values[i] = append(values[i], string(r.Value))
		}
	}
	return values
}

// textsOf returns the UUIDs of messages.
func textsOf(msgs []*message.Message) []string {
	var all []string
	for _, m := range msgs {
		all = append(all, m.UUID)
	}
	return all
}

func TestPublishedRecords(t *testing.T) {
	cluster := fakeKafka(t, 3)
	p := publisherOf(t, cluster, nil)

	full := message.NewMessage("id-1", []byte("value"))
	full.Metadata = message.Metadata{microbatch.MetadataKey: "key\x00\xff", microbatch.MetadataPartition: "2", "b": "2", "a": "\xfe", "c": ""}
	tombstone := message.NewMessage("id-2", nil)
	tombstone.Metadata = message.Metadata{microbatch.MetadataKey: "", microbatch.MetadataPartition: "2"}
	empty := message.NewMessage("", []byte{})
	empty.Metadata = message.Metadata{microbatch.MetadataPartition: "2"}
	if err := p.Publish("updates", full, tombstone, empty); err != nil {
		t.Fatal(err)
	}
	var got []kgo.Record
	for _, r := range written(t, cluster)[2] {
		got = append(got, kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
	}
	id := func(text string) kgo.RecordHeader {
		return kgo.RecordHeader{Key: wkafka.UUIDHeaderKey, Value: []byte(text)}
	}
	want := []kgo.Record{
		{Key: []byte("key\x00\xff"), Value: []byte("value"), Headers: []kgo.RecordHeader{id("id-1"), {Key: "a", Value: []byte("\xfe")}, {Key: "b", Value: []byte("2")}, {Key: "c", Value: []byte{}}}, Topic: "updates", Partition: 2},
		{Key: []byte{}, Headers: []kgo.RecordHeader{id("id-2")}, Topic: "updates", Partition: 2, Offset: 1},
		{Value: []byte{}, Headers: []kgo.RecordHeader{id("")}, Topic: "updates", Partition: 2, Offset: 2},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(kgo.RecordAttrs{})); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if full.Metadata[microbatch.MetadataPartition] != "2" {
		t.Error("publishing changed the message")
	}
}

// A key goes where Kafka's own producers send it.
func TestPublishedByKey(t *testing.T) {
	cluster := fakeKafka(t, 7)
	p := publisherOf(t, cluster, nil)
	c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	partitions := map[string]int32{}
	for i := range 50 {
		key := fmt.Sprint("key ", i)
		r, err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "updates", Key: []byte(key), Value: []byte("theirs")}).First()
		if err != nil {
			t.Fatal(err)
		}
		partitions[key] = r.Partition
		msg := message.NewMessage("", []byte("ours"))
		msg.Metadata.Set(microbatch.MetadataKey, key)
		if err := p.Publish("updates", msg); err != nil {
			t.Fatal(err)
		}
	}
	for partition, records := range written(t, cluster) {
		for _, r := range records {
			if want := partitions[string(r.Key)]; want != int32(partition) {
				t.Errorf("%q of %s is in partition %d, not %d", r.Key, r.Value, partition, want)
			}
		}
	}
	if err := p.Publish("updates", message.NewMessage("a", nil), message.NewMessage("b", nil)); err != nil {
		t.Fatal(err)
	}
	for _, records := range written(t, cluster) {
		if n := len(records); n >= 2 && string(records[n-1].Headers[0].Value) == "b" {
			if string(records[n-2].Headers[0].Value) != "a" {
				t.Error("two messages without a key are not in one partition")
			}
			return
		}
	}
	t.Error("messages without a key are missing")
}

// A call's messages take few requests, however many they are.
func TestPublishedTogether(t *testing.T) {
	cluster := fakeKafka(t, 4)
	var requests atomic.Int32
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.Linger, c.DeliveryTimeout = 2*time.Second, patience })
	var msgs []*message.Message
	var want [][]string
	for partition := range 4 {
		s := series(partition, fmt.Sprint("p", partition), 500)
		msgs, want = append(msgs, s...), append(want, textsOf(s))
	}
	if err := p.Publish("updates", msgs...); err != nil {
		t.Fatal(err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("2000 messages took %d requests", n)
	}
	if diff := cmp.Diff(want, texts(t, cluster)); diff != "" {
		t.Error(diff)
	}
}

// Many publish at the same time, to all partitions each. Nobody's messages get out of order.
func TestPublishConcurrently(t *testing.T) {
	const publishers, calls, partitions, each = 8, 20, 4, 5
	cluster := fakeKafka(t, partitions, kfake.NumBrokers(3))
	p := publisherOf(t, cluster, func(c *microbatch.PublisherConfig) { c.Linger = 0 })
	var all sync.WaitGroup
	for who := range publishers {
		all.Go(func() {
			for call := range calls {
				var msgs []*message.Message
				for i := range partitions * each {
					msgs = append(msgs, to(i%partitions, fmt.Sprintf("%d/%d", who, call*each+i/partitions)))
				}
				if err := p.Publish("updates", msgs...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for partition, values := range texts(t, cluster) {
		next := make([]int, publishers)
		for _, v := range values {
			who, n, _ := strings.Cut(v, "/")
			w, _ := strconv.Atoi(who)
			if n != strconv.Itoa(next[w]) {
				t.Fatalf("partition %d: %s of publisher %d, after %d", partition, n, w, next[w]-1)
			}
			next[w]++
		}
		if slices.Min(next) != calls*each {
			t.Errorf("partition %d has %v messages of each publisher, not %d", partition, next, calls*each)
		}
	}
}

func TestPublishOldBroker(t *testing.T) {
	for name, versions := range map[string]*kversion.Versions{"2.4": kversion.V2_4_0(), "2.8": kversion.V2_8_0(), "3.9": kversion.V3_9_0()} {
		t.Run(name, func(t *testing.T) {
			cluster := fakeKafka(t, 2, kfake.MaxVersions(versions))
			p := publisherOf(t, cluster, nil)
			msgs := series(1, "m", 10)
			if err := p.Publish("updates", msgs...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{nil, textsOf(msgs)}, texts(t, cluster)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
