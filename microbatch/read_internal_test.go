package microbatch

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestReadPartitionCut: where fetches are cut off, it gives up, and says that this can pass.
func TestReadPartitionCut(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "small"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "small", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("cut"), true
	})
	c := Connection{BootstrapServers: cluster.ListenAddrs()}
	config, err := c.sarama()
	if err != nil {
		t.Fatal(err)
	}
	line := newLifeline(config.Net.DialTimeout)
	line.serve(config)
	err = readPartition(t.Context(), c, config, line, "small", 0, 300*time.Millisecond, func(Record) error { return nil })
	if err == nil || !Unreachable(err) {
		t.Errorf("%v, which is not to be tried again", err)
	}
}
