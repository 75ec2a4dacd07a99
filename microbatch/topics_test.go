package microbatch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millrank/millrank/microbatch"
)

func reach(cluster *kfake.Cluster) microbatch.Connection {
	return microbatch.Connection{BootstrapServers: cluster.ListenAddrs(), RequestTimeout: 5 * time.Second}
}

// wanted is a topic of which everything matters.
func wanted() microbatch.Topic {
	return microbatch.Topic{
		Name: "wanted", Partitions: 6, ReplicationFactor: 3, Retention: 48 * time.Hour, RetentionMin: 24 * time.Hour, CleanupPolicy: "delete",
		TimestampType: microbatch.CreateTime, TimestampAfterMax: 10 * time.Minute, MaxMessageBytes: 2 << 20,
		Settings: map[string]string{"min.insync.replicas": "2"},
	}
}

func TestEnsureTopicsCreates(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.NumBrokers(3))
	plain := microbatch.Topic{Name: "plain", Partitions: 1, RetentionMin: microbatch.Unlimited}
	updates := microbatch.Topic{Name: "updates", Existing: true}
	for range 2 { // the second time, all are there
		warnings, err := microbatch.EnsureTopics(t.Context(), reach(cluster), wanted(), plain, updates)
		if err != nil || len(warnings) != 0 {
			t.Errorf("%v, %v", warnings, err)
		}
	}
	for name, want := range map[string]map[string]string{
		"wanted": {"retention.ms": "172800000", "cleanup.policy": "delete", "message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "600000", "max.message.bytes": "2097152", "min.insync.replicas": "2"},
		"plain":  {"retention.ms": "-1"},
	} {
		info := cluster.TopicInfo(name)
		got := map[string]string{}
		for k, v := range info.Configs {
			got[k] = *v
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		described, err := microbatch.Describe(t.Context(), reach(cluster), name)
		if err != nil {
			t.Fatal(err)
		}
		if described.ID != info.TopicID || described.ID == [16]byte{} || described.Name != name || described.ReplicationFactor != info.NumReplicas || described.Partitions != len(cluster.PartitionInfos(name)) {
			t.Errorf("%s: described as %+v, is %+v", name, described, info)
		}
		for setting, value := range want {
			if described.Configs[setting] != value {
				t.Errorf("%s: %s is described as %q, not %q", name, setting, described.Configs[setting], value)
			}
		}
	}
	if n := len(cluster.PartitionInfos("wanted")); n != 6 {
		t.Errorf("%d partitions", n)
	}
	if _, err := microbatch.Describe(t.Context(), reach(cluster), "nowhere"); !errors.Is(err, microbatch.ErrNoTopic) {
		t.Errorf("a missing topic: %v", err)
	}
}

func TestEnsureTopicsCompares(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.NumBrokers(3))
	c := reach(cluster)
	for name, settings := range map[string]map[string]string{
		"wanted": {"retention.ms": "3600000", "retention.bytes": "1000", "cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime", "max.message.bytes": "1000", "min.insync.replicas": "1"},
		"other":  {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "9223372036854775807", "retention.ms": "90000000", "min.insync.replicas": "2", "unclean.leader.election.enable": "true"},
	} {
		if err := cluster.CreateTopic(name, 8, settings); err != nil {
			t.Fatal(err)
		}
	}
	other := wanted()
	other.Name, other.Partitions, other.ReplicationFactor, other.RetentionMin, other.MaxMessageBytes = "other", 9, 4, microbatch.Unlimited, 0
	other.Retention = 0
	old := microbatch.Topic{Name: "updates", Existing: true, TimestampAfterMax: time.Minute}
	gone := microbatch.Topic{Name: "gone", Existing: true, Partitions: 2}
	warnings, err := microbatch.EnsureTopics(t.Context(), c, wanted(), gone, other, old)
	at := c.BootstrapServers[0]
	if different, ok := errors.AsType[*microbatch.TopicsError](err); !ok || len(different.Differences) != 9 {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.ReplaceAll(strings.TrimSpace(`
topic wanted: the number of partitions is 8, but must be 6. To mend it: another name for the topic, or the number that it has in the settings: partitions can't be taken away
topic wanted: retention.ms is 3600000, but must be 86400000 or more. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config retention.ms=86400000
topic wanted: cleanup.policy is compact,delete, but must be delete. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config cleanup.policy=delete
topic wanted: max.message.bytes is 1000, but must be 2097152 or more. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config max.message.bytes=2097152
topic wanted: message.timestamp.type is LogAppendTime, but must be CreateTime. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config message.timestamp.type=CreateTime
topic gone: it is missing, but must be there. To mend it: kafka-topics.sh --bootstrap-server HOST --create --topic gone --partitions 2
topic other: the number of partitions is 8, but must be 9. To mend it: kafka-topics.sh --bootstrap-server HOST --alter --topic other --partitions 9 while it is empty; else another name, or the number that it has in the settings: records would be in the wrong partition
topic other: replication.factor is 3, but must be 4 or more. To mend it: kafka-reassign-partitions.sh --bootstrap-server HOST --execute --reassignment-json-file FILE, where FILE lists 4 brokers for each partition
topic other: retention.ms is 90000000, but must be -1. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name other --add-config retention.ms=-1
`), "HOST", at), "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	if diff := cmp.Diff(strings.Split(strings.ReplaceAll(strings.TrimSpace(`
topic wanted: retention.bytes is 1000: records that are needed, for 24h0m0s, can be deleted before retention.ms has passed, by their size. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config retention.bytes=-1
topic wanted: min.insync.replicas is 1: a record that was acknowledged is lost with one broker, if that was the only one in sync. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name wanted --add-config min.insync.replicas=2
topic other: message.timestamp.after.max.ms is 9223372036854775807: a producer whose clock is more than 10m0s ahead is believed, and with it its event times. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name other --add-config message.timestamp.after.max.ms=600000
topic other: unclean.leader.election.enable is true: records that were acknowledged can be lost, and their offsets given to others. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name other --add-config unclean.leader.election.enable=false
topic updates: message.timestamp.after.max.ms is not known to the broker: a producer whose clock is more than 1m0s ahead is believed, and with it its event times. To mend it: kafka-configs.sh --bootstrap-server HOST --alter --entity-type topics --entity-name updates --add-config message.timestamp.type=LogAppendTime
`), "HOST", at), "\n"), got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// A number of partitions that is for creation only: a topic that is there keeps its own.
func TestEnsureTopicsPartitionsIfNew(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.NumBrokers(3))
	topic := wanted()
	topic.PartitionsIfNew = true
	for range 2 {
		if _, err := microbatch.EnsureTopics(t.Context(), reach(cluster), topic); err != nil {
			t.Fatal(err)
		}
		topic.Partitions++
	}
	if info, err := microbatch.Describe(t.Context(), reach(cluster), topic.Name); err != nil || info.Partitions != wanted().Partitions {
		t.Errorf("%d partitions, want %d; %v", info.Partitions, wanted().Partitions, err)
	}
}

// Processes that start together create what is missing together.
func TestEnsureTopicsTogether(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.NumBrokers(3))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			second := wanted()
			second.Name = "second"
			if _, err := microbatch.EnsureTopics(t.Context(), reach(cluster), wanted(), second); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestEnsureTopicsRefused(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.NumBrokers(1))
	c := reach(cluster)
	if _, err := microbatch.EnsureTopics(t.Context(), c, wanted()); err == nil || !strings.Contains(err.Error(), "topic wanted: creating it: replication.factor 3: ") || !strings.Contains(err.Error(), "kafka-topics.sh") {
		t.Errorf("three replicas on one broker: %v", err)
	}
	single := wanted()
	single.ReplicationFactor = 1

	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed})
	if _, err := microbatch.EnsureTopics(t.Context(), c, single); err == nil || !strings.Contains(err.Error(), "or have it created: kafka-topics.sh --bootstrap-server") {
		t.Errorf("not allowed: %v", err)
	}
	// A broker before 3.6 doesn't know one of the settings.
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.InvalidConfig})
	warnings, err := microbatch.EnsureTopics(t.Context(), c, single)
	if err != nil || len(warnings) != 1 || warnings[0].Setting != "message.timestamp.after.max.ms" {
		t.Errorf("of an older broker: %v, %v", warnings, err)
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed})
	warnings, err = microbatch.EnsureTopics(t.Context(), c, single)
	if err != nil || len(warnings) != 6 || !strings.Contains(warnings[0].String(), "retention.ms is not told by the broker") {
		t.Errorf("settings that aren't told: %v, %v", warnings, err)
	}

	for _, wrong := range []struct {
		topic microbatch.Topic
		want  []string
	}{
		{microbatch.Topic{}, []string{`topic "": it has no name`, "partitions: 0 is not above 0"}},
		{
			microbatch.Topic{Name: "a", Partitions: -1, ReplicationFactor: -1, Retention: time.Hour, RetentionMin: 2 * time.Hour, CleanupPolicy: "compact", TimestampType: "Now", TimestampAfterMax: -1, MaxMessageBytes: -1},
			[]string{"partitions: -1", "replication.factor: -1", "retention.ms: 3600000 is less than the 7200000", `cleanup.policy: "compact"`, `message.timestamp.type: "Now"`, "message.timestamp.after.max.ms: -1ns", "max.message.bytes: -1"},
		},
		{microbatch.Topic{Name: "a", Partitions: 1, Retention: -2, RetentionMin: -2}, []string{"retention.ms: -2ns is below 0", "the least retention.ms: -2ns"}},
		{microbatch.Topic{Name: "updates", Partitions: 1}, []string{`topic "updates": given twice`}},
	} {
		_, err := microbatch.EnsureTopics(t.Context(), c, microbatch.Topic{Name: "updates", Existing: true}, wrong.topic)
		for _, want := range wrong.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("nothing about %s in: %v", want, err)
			}
		}
	}
	if _, err := microbatch.EnsureTopics(t.Context(), microbatch.Connection{}, single); err == nil || !strings.Contains(err.Error(), "bootstrap.servers") {
		t.Error(err)
	}
	if _, err := microbatch.EnsureTopics(t.Context(), c); err != nil {
		t.Errorf("no topics: %v", err)
	}
}

func TestDescribeUnreachable(t *testing.T) {
	cluster := fakeKafka(t, 1, kfake.MaxVersions(kversion.V2_4_0()))
	c := reach(cluster)
	info, err := microbatch.Describe(t.Context(), c, "updates")
	if err != nil || info.ID != [16]byte{} || info.Partitions != 1 {
		t.Errorf("of Kafka 2.4: %+v, %v", info, err)
	}
	cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, nil, true // no answer
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c.RequestTimeout = 200 * time.Millisecond
	if _, err := microbatch.Describe(ctx, c, "updates"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a broker that doesn't answer: %v", err)
	}
	cluster.Close()
	if _, err := microbatch.Describe(t.Context(), c, "updates"); err == nil || !strings.Contains(err.Error(), "Kafka at "+c.BootstrapServers[0]) {
		t.Errorf("a broker that is down: %v", err)
	}
}
