package world

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/internal/embedded"
)

// Kfake starts an embedded Kafka for one test, with some brokers.
func Kfake(t testing.TB, brokers int) *embedded.Kafka {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

// MiniRedis starts an embedded Redis for one test, and returns its address.
func MiniRedis(t testing.TB) string {
	t.Helper()
	s, err := embedded.StartRedis(embedded.RedisOptions{Clock: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Addr()
}

// RefuseCommit answers a commit as a broker does whose group has gone on without the member: IllegalGeneration, for each partition.
func RefuseCommit(commit *kmsg.OffsetCommitRequest) kmsg.Response {
	answer := kmsg.NewPtrOffsetCommitResponse()
	answer.Version = commit.Version
	for _, topic := range commit.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, kerr.IllegalGeneration.Code
			t.Partitions = append(t.Partitions, p)
		}
		answer.Topics = append(answer.Topics, t)
	}
	return answer
}
