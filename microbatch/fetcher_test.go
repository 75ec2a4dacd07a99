package microbatch_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/microbatch"
)

// TestDamagedFetch: what can't be read as a batch of records isn't skipped: the partition is given up, and its records are read again. Where the end is
// missing of a batch whose checksum is right, the client takes what there is of it, and asks for the rest: nothing is lost then either.
func TestDamagedFetch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(batch []byte)
		times  int64 // that the batch is read
	}{
		"bytes are changed":         {func(b []byte) { b[len(b)-1] ^= 0xff }, 3},
		"of an unknown format":      {func(b []byte) { b[16] = 9 }, 3},
		"no number of records":      {func(b []byte) { b[57] = 0xff; sign(b) }, 3},
		"a record less than stated": {func(b []byte) { b[57+3]++; sign(b) }, 1},
		"the last record is cut off": {func(b []byte) {
			binary.BigEndian.PutUint32(b[8:], binary.BigEndian.Uint32(b[8:])-1)
			sign(b)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			k := fake(t, 1, 1)
			k.produce(t, 0, 0, 10)
			raw := k.fetchRaw(t, 0)
			c.damage(raw)
			var damaged atomic.Int64
			k.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
				k.cluster.KeepControl()
				request := r.(*kmsg.FetchRequest)
				if p := request.Topics[0].Partitions[0]; p.FetchOffset != 0 || p.PartitionMaxBytes == 1 || damaged.Load() >= c.times {
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
			if damaged.Load() != c.times || m.Err() != nil {
				t.Errorf("%d damaged fetches, want %d; %v", damaged.Load(), c.times, m.Err())
			}
		})
	}
}

// sign gives a batch the checksum of what is in it: Castagnoli's, of all from the attributes on.
func sign(batch []byte) {
	end := 12 + binary.BigEndian.Uint32(batch[8:])
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:end], crc32.MakeTable(crc32.Castagnoli)))
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
			if err := same(said, []string{"11 " + microbatch.HeaderTooLarge}); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestDecompressionBombOnce: where nothing comes after a batch that becomes too large, the partition is quiet, and whoever goes on
// behind it doesn't get what stands for it again; whoever begins at it, or in its middle, gets the same as the first one.
func TestDecompressionBombOnce(t *testing.T) {
	eachKafka(t, 1, func(t *testing.T, k *kafka) {
		k.produce(t, 0, 0, 10)
		producer := k.connect(t, kgo.DefaultProduceTopic(k.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerLinger(50*time.Millisecond))
		large := func() *kgo.Record { return &kgo.Record{Value: make([]byte, 900_000)} }
		if err := producer.ProduceSync(t.Context(), large(), large(), large()).FirstErr(); err != nil {
			t.Fatal(err)
		}
		config := k.settings("sticky")
		config.DecompressedBytes = 1 << 20
		m := join(t, k, config, committing)
		m.untilAll(t, 11)
		m.untilQuiet(t, 0, 13, 13)
		m.leave(t)
		_, metadata := k.committed(t, 0)
		for _, from := range []int64{13, 12, 11, 10} {
			if from < 13 {
				k.commit(t, 0, from, metadata)
			}
			k.produce(t, 0, 0, 1) // it comes alone, or after the substitute
			again := join(t, k, config, ack)
			again.until(t, "what is behind it has come", func() bool { n := len(again.batches); return n > 0 && again.batches[n-1].next() > 13 })
			again.read(func() {
				offset := int64(-1)
				for _, d := range again.batches {
					if len(d.offsets) > 0 {
						offset = d.offsets[0]
						break
					}
				}
				if want := max(from, 12); offset != want {
					t.Errorf("from offset %d on the first record is at %d, want %d", from, offset, want)
				}
			})
			again.leave(t)
		}
	})
}

// TestStartGone: where records are deleted just before reading begins, and the topic can't be found at first, so that the client
// asks where the log begins, they aren't left out in silence.
func TestStartGone(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 100)
	config := k.settings("sticky")
	config.BatchRecords = 10
	first := join(t, k, config, func(d delivery) {
		if len(d.values) > 0 && d.batch.Position == 0 {
			_ = d.claim.Commit(10, "")
		}
		d.message.Ack()
	})
	first.untilAll(t, 100)
	first.leave(t)
	host, text, err := net.SplitHostPort(k.brokers[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	var asked, deleted atomic.Bool
	k.cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.cluster.KeepControl()
		request := r.(*kmsg.MetadataRequest)
		if request.Version < 13 || len(request.Topics) == 0 || deleted.Load() { // sarama knows no such version
			return nil, nil, false
		}
		asked.Store(true)
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		broker := kmsg.NewMetadataResponseBroker()
		broker.Host, broker.Port = host, int32(port)
		response.Brokers = append(response.Brokers, broker)
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.ErrorCode = &k.topic, kerr.UnknownTopicOrPartition.Code
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	m := join(t, k, config, ack)
	eventually(t, "the topic isn't found", asked.Load)
	request := kmsg.NewPtrDeleteRecordsRequest() // straight to the broker: the test's client doesn't find the topic either
	topic, partition := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	topic.Topic, partition.Offset = k.topic, 50
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	if _, err := k.client.Broker(0).Request(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	deleted.Store(true)
	stopped(t, m)
	if _, refused := errors.AsType[*microbatch.RefusedError](m.Err()); !refused {
		t.Errorf("%v, want that it is refused", m.Err())
	}
	m.read(func() {
		if n := len(m.values(0)); n > 0 {
			t.Errorf("%d records have come", n)
		}
	})
}
