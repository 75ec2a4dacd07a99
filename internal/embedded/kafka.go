// Package embedded has servers that run inside the process, for tests, benchmarks and the
// demo: nothing to install, nothing on disk, ports of their own choosing. What they are
// known to do like the real ones, and what they don't, is in this package's tests.
package embedded

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaOptions says which Kafka to start. The zero value is one broker on a free port of
// the loopback interface, without topics, authentication or encryption.
type KafkaOptions struct {
	// Brokers is how many brokers the cluster has; 0 means 1, or one for each of Ports.
	Brokers int
	// Ports is where the brokers listen, 0 standing for any free port; nil means free
	// ports for all. Where both are given, there is one port for each of Brokers.
	Ports []int
	// Topics are created at the start: partitions by name.
	Topics map[string]int32
	// AutoCreateTopics lets clients create a topic by asking for its metadata, with
	// AutoCreatePartitions partitions (0 means 10). Off unless it is set, so that a
	// mistyped topic fails.
	AutoCreateTopics     bool
	AutoCreatePartitions int
	// Users are who may log in; where there are any, everyone has to.
	Users []KafkaUser
	// TLS encrypts all connections, with a server's certificate such as
	// Certificate.Server returns; nil means plain text.
	TLS *tls.Config
	// SessionTimeoutMin is the shortest session that a group's member may ask for; 0
	// means 100 ms, where a real broker's default is 6 s, so that tests can lose a member.
	SessionTimeoutMin time.Duration
	// BrokerConfigs are further settings by their names in Kafka, as far as kfake has them.
	BrokerConfigs map[string]string
	// Log is where the brokers say what they do; nil means nowhere.
	Log io.Writer
}

// The mechanisms of a KafkaUser.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// KafkaUser is someone who may log in, and then do anything.
type KafkaUser struct {
	// Mechanism is Plain, ScramSHA256 or ScramSHA512.
	Mechanism string
	Name      string
	Password  string
}

// Kafka is a running cluster. It is safe for concurrent use.
type Kafka struct {
	cluster *kfake.Cluster
	brokers []string
}

// StartKafka starts a cluster, which accepts connections when it returns. The caller
// closes it.
func StartKafka(options KafkaOptions) (*Kafka, error) {
	opts, err := options.kfake()
	if err != nil {
		return nil, err
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("embedded Kafka: %w", err)
	}
	limitOffsetMetadata(cluster)
	return &Kafka{cluster: cluster, brokers: cluster.ListenAddrs()}, nil
}

// limitOffsetMetadata refuses commits with more metadata than Kafka takes (its setting
// offset.metadata.max.bytes), of which kfake takes any. A real broker refuses only the
// partitions that have too much; here the others of the same request fail with them.
func limitOffsetMetadata(cluster *kfake.Cluster) {
	const bytesMax = 4096
	tooLarge := func(request kmsg.Request) bool {
		commit, ok := request.(*kmsg.OffsetCommitRequest)
		return ok && slices.ContainsFunc(commit.Topics, func(t kmsg.OffsetCommitRequestTopic) bool {
			return slices.ContainsFunc(t.Partitions, func(p kmsg.OffsetCommitRequestTopicPartition) bool {
				return p.Metadata != nil && len(*p.Metadata) > bytesMax
			})
		})
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.OffsetMetadataTooLarge, Count: -1, When: tooLarge})
}

// kfake puts the options into kfake's form.
func (o KafkaOptions) kfake() ([]kfake.Opt, error) {
	ports := o.Ports
	switch {
	case len(ports) == 0:
		ports = make([]int, max(1, o.Brokers))
	case o.Brokers != 0 && o.Brokers != len(ports):
		return nil, fmt.Errorf("embedded Kafka: Brokers is %d and Ports has %d: give one port for each broker, or one of the two only", o.Brokers, len(ports))
	}
	sessionMin := o.SessionTimeoutMin
	if sessionMin == 0 {
		sessionMin = 100 * time.Millisecond
	}
	opts := []kfake.Opt{kfake.Ports(ports...), kfake.GroupMinSessionTimeout(sessionMin)}
	for topic, partitions := range o.Topics {
		opts = append(opts, kfake.SeedTopics(partitions, topic))
	}
	if o.AutoCreateTopics {
		opts = append(opts, kfake.AllowAutoTopicCreation())
	}
	if o.AutoCreatePartitions > 0 {
		opts = append(opts, kfake.DefaultNumPartitions(o.AutoCreatePartitions))
	}
	if len(o.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, user := range o.Users {
		if user.Name == "" || user.Password == "" {
			return nil, errors.New("embedded Kafka: a user needs a name and a password")
		}
		opts = append(opts, kfake.Superuser(user.Mechanism, user.Name, user.Password))
	}
	if o.TLS != nil {
		opts = append(opts, kfake.TLS(o.TLS))
	}
	if len(o.BrokerConfigs) > 0 {
		opts = append(opts, kfake.BrokerConfigs(o.BrokerConfigs))
	}
	if o.Log != nil {
		opts = append(opts, kfake.WithLogger(kfake.BasicLogger(o.Log, kfake.LogLevelInfo)))
	}
	return opts, nil
}

// Brokers returns the brokers' addresses at the start, as host:port, in the order of their
// node IDs, which count from 0. The slice is the caller's.
func (k *Kafka) Brokers() []string { return slices.Clone(k.brokers) }

// Cluster returns the cluster itself, to inject faults into (Fault, ControlKey), to move
// what it leads (MoveTopicPartition, RehashCoordinators), to look inside (GroupInfo,
// PartitionInfo) and to do what time would (ApplyRetention). It is not to be closed, and
// its methods hang once Close has been called.
func (k *Kafka) Cluster() *kfake.Cluster { return k.cluster }

// Close ends the cluster, and with it all connections and data. It may be called again.
func (k *Kafka) Close() { k.cluster.Close() }
