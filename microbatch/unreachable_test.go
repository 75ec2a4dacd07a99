package microbatch_test

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

// TestUnreachable: nobody listening can pass, and so can a server that hangs up; wrong settings and a wrong password can't.
func TestUnreachable(t *testing.T) {
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Users: []embedded.KafkaUser{{Mechanism: embedded.Plain, Name: "me", Password: "right"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	gone, err := embedded.StartKafka(embedded.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, c := range map[string]struct {
		connection microbatch.Connection
		want       bool
	}{
		"nobody listens":   {microbatch.Connection{BootstrapServers: gone.Brokers(), ConnectTimeout: time.Second}, true},
		"it wants a login": {microbatch.Connection{BootstrapServers: kafka.Brokers(), RequestTimeout: time.Second}, true}, // it hangs up, without a word
		"no such file":     {microbatch.Connection{BootstrapServers: kafka.Brokers(), SecurityProtocol: "SSL", CAFile: "/no/such/file"}, false},
	} {
		_, err := microbatch.Describe(t.Context(), c.connection, "events")
		if err == nil || microbatch.Unreachable(err) != c.want {
			t.Errorf("%s: %v; Unreachable is %v, want %v", name, err, !c.want, c.want)
		}
	}
	refused := sarama.Wrap(sarama.ErrOutOfBrokers, sarama.ErrSASLAuthenticationFailed) // as Apache Kafka has it said; kfake hangs up
	if microbatch.Unreachable(refused) {
		t.Errorf("%v: that doesn't pass by itself", refused)
	}
}

// TestUnreachableYet: a broker that has just started gives out no producer IDs yet, and says so in several ways. That passes.
func TestUnreachableYet(t *testing.T) {
	for _, why := range []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator} {
		t.Run(why.Message, func(t *testing.T) {
			kafka, err := embedded.StartKafka(embedded.KafkaOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer kafka.Close()
			kafka.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: why, Count: -1})
			if _, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: kafka.Brokers()}), nil); err == nil || !microbatch.Unreachable(err) {
				t.Errorf("%v: that passes by itself", err)
			}
		})
	}
}
