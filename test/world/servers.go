package world

import (
	"testing"

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
