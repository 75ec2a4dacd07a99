package microbatch_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// TestDamagedFetch: what can't be read as a batch of records isn't skipped: the partition is given up, and its records are read again.
func TestDamagedFetch(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(batch []byte){
		"bytes are changed":      func(b []byte) { b[len(b)-1] ^= 0xff },
		"of an unknown format":   func(b []byte) { b[16] = 9 },
		"shorter than it claims": func(b []byte) { b[57+3]++ }, // one record more
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			k := fake(t, 1, 1)
			k.produce(t, 0, 0, 10)
			raw := k.fetchRaw(t, 0)
			damage(raw)
			var damaged atomic.Int64
			k.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
				k.cluster.KeepControl()
				request := r.(*kmsg.FetchRequest)
				if p := request.Topics[0].Partitions[0]; p.FetchOffset != 0 || p.PartitionMaxBytes == 1 || damaged.Load() >= 3 {
					return nil, nil, false
				}
				damaged.Add(1)
				return fetchResponse(request, raw, 10), nil, true
			})
			f := newFolds(t, seed)
			config := k.settings(strategies()[seed%2])
			config.RetryMin = 1
			m := f.join(t, k, config)
			eventually(t, "all records are folded", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.done[0] == 10
			})
			if damaged.Load() != 3 || m.Err() != nil {
				t.Errorf("%d damaged fetches, want 3; %v", damaged.Load(), m.Err())
			}
		})
	}
}

// fetchRaw returns what a partition's log begins with.
func (k *kafka) fetchRaw(t *testing.T, partition int32) []byte {
	t.Helper()
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MaxBytes = 1000, 1<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = k.topic, k.topicID(t)
	at := kmsg.NewFetchRequestTopicPartition()
	at.Partition, at.PartitionMaxBytes = partition, 1<<20
	topic.Partitions = append(topic.Partitions, at)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(t.Context(), k.client)
	if err != nil {
		t.Fatal(err)
	}
	raw := response.Topics[0].Partitions[0].RecordBatches
	if len(raw) < 61 {
		t.Fatalf("a batch of %d bytes", len(raw))
	}
	return append([]byte(nil), raw...)
}

func (k *kafka) topicID(t *testing.T) [16]byte {
	t.Helper()
	topics, err := k.admin.ListTopics(t.Context(), k.topic)
	if err != nil {
		t.Fatal(err)
	}
	return topics[k.topic].ID
}

// fetchResponse answers a fetch of one partition.
func fetchResponse(r *kmsg.FetchRequest, records []byte, end int64) kmsg.Response {
	response := r.ResponseKind().(*kmsg.FetchResponse)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID = r.Topics[0].Topic, r.Topics[0].TopicID
	partition := kmsg.NewFetchResponseTopicPartition()
	partition.Partition, partition.HighWatermark, partition.LastStableOffset = r.Topics[0].Partitions[0].Partition, end, end
	partition.RecordBatches = records
	topic.Partitions = append(topic.Partitions, partition)
	response.Topics = append(response.Topics, topic)
	return response
}

// TestDecompressionBomb: a batch that becomes too large isn't read; a record that says so stands for it, and what comes after it comes.
func TestDecompressionBomb(t *testing.T) {
	eachKafka(t, 1, func(t *testing.T, k *kafka) {
		k.produce(t, 0, 0, 10)
		producer := k.connect(t, kgo.DefaultProduceTopic(k.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(8<<20), kgo.MaxBufferedRecords(2))
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 900_000)}, &kgo.Record{Value: make([]byte, 900_000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		k.produce(t, 0, 12, 10)
		config := k.settings("sticky")
		config.DecompressedBytes = 1 << 20
		m := join(t, k, config, ack)
		m.until(t, "the last record has come", func() bool { return len(m.batches) > 0 && m.batches[len(m.batches)-1].next() >= 22 })
		m.read(func() {
			var got, said []string
			for _, d := range m.batches {
				got = append(got, d.values...)
				batch, err := microbatch.Open(d.message.Payload)
				if err != nil {
					t.Fatal(err)
				}
				for r := (microbatch.Record{}); batch.Next(&r); {
					for _, h := range r.Headers {
						said = append(said, fmt.Sprintf("%d %s", r.Offset, h.Name))
					}
				}
			}
			want := slices.Concat(values(0, 0, 10), []string{""}, values(0, 12, 10))
			if err := same(got, want); err != nil {
				t.Error(err)
			}
			if err := same(said, []string{"10 " + microbatch.HeaderTooLarge}); err != nil {
				t.Error(err)
			}
		})
	})
}
