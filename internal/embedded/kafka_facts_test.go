package embedded_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce writes n records to partition 0, one a batch, a second apart in event time.
func produce(t *testing.T, client *kgo.Client, topic string, first, n int) {
	t.Helper()
	for i := range n {
		record := &kgo.Record{Topic: topic, Timestamp: time.Unix(int64(first+i), 0), Value: []byte("x")}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTopicIDs: metadata give each topic an ID, and another one if it is created again.
func TestTopicIDs(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		admin := kadm.NewClient(connect(t, brokers))
		name := topic(t, admin, 1, nil)
		id := func() kadm.TopicID {
			topics, err := admin.ListTopics(t.Context(), name)
			if err != nil || topics[name].Err != nil {
				return kadm.TopicID{}
			}
			return topics[name].ID
		}
		first := id()
		if first == (kadm.TopicID{}) {
			t.Fatal("the topic has no ID")
		}
		if _, err := admin.DeleteTopic(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the topic is created again", func() bool {
			_, err := admin.CreateTopic(t.Context(), 1, 1, nil, name)
			return err == nil
		})
		eventually(t, "its ID is another one", func() bool { second := id(); return second != (kadm.TopicID{}) && second != first })

		// sarama shows the same ID.
		client := saramaClient(t, brokers, saramaConfig())
		request := sarama.NewMetadataRequest(client.Config().Version, []string{name})
		broker, err := client.Controller()
		if err != nil {
			t.Fatal(err)
		}
		response, err := broker.GetMetadata(request)
		if err != nil {
			t.Fatal(err)
		}
		if len(response.Topics) != 1 || kadm.TopicID(response.Topics[0].Uuid) != id() {
			t.Errorf("sarama shows %v, want the ID %v", response.Topics, id())
		}
	})
}

// TestListOffsets: the first and last offset, and the first from a time on.
func TestListOffsets(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		client := connect(t, brokers)
		name := topic(t, kadm.NewClient(client), 2, nil)
		produce(t, client, name, 100, 10)
		s := saramaClient(t, brokers, saramaConfig())
		for _, c := range []struct {
			partition int32
			time      int64
			want      int64
		}{
			{0, sarama.OffsetOldest, 0},
			{0, sarama.OffsetNewest, 10},
			{0, 103_000, 3},
			{0, 103_001, 4},
			{0, 1000_000, -1}, // later than all
			{1, sarama.OffsetOldest, 0},
			{1, sarama.OffsetNewest, 0},
		} {
			if got, err := s.GetOffset(name, c.partition, c.time); err != nil || got != c.want {
				t.Errorf("partition %d at %d: %d, want %d (%v)", c.partition, c.time, got, c.want, err)
			}
		}
	})
}

// TestDeleteRecords: deleting records moves the first offset, and fetching below it fails,
// at once and not by starting elsewhere.
func TestDeleteRecords(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		client := connect(t, brokers)
		admin := kadm.NewClient(client)
		name := topic(t, admin, 1, nil)
		produce(t, client, name, 0, 10)
		offsets := kadm.Offsets{}
		offsets.AddOffset(name, 0, 4, -1)
		if _, err := admin.DeleteRecords(t.Context(), offsets); err != nil {
			t.Fatal(err)
		}
		s := saramaClient(t, brokers, saramaConfig())
		if got, err := s.GetOffset(name, 0, sarama.OffsetOldest); err != nil || got != 4 {
			t.Errorf("the first offset is %d, want 4 (%v)", got, err)
		}
		consumer, err := sarama.NewConsumerFromClient(s)
		if err != nil {
			t.Fatal(err)
		}
		defer consumer.Close()
		if _, err := consumer.ConsumePartition(name, 0, 3); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
			t.Errorf("consuming from 3: %v, want %v", err, sarama.ErrOffsetOutOfRange)
		}
		p, err := consumer.ConsumePartition(name, 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if m := <-p.Messages(); m.Offset != 4 {
			t.Errorf("the first message is %d, want 4", m.Offset)
		}
	})
}

// TestCreatePartitions: a topic gets more partitions, never fewer.
func TestCreatePartitions(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		admin := kadm.NewClient(connect(t, brokers))
		name := topic(t, admin, 2, nil)
		set := func(n int) error {
			r, err := admin.UpdatePartitions(t.Context(), n, name)
			if err != nil {
				return err
			}
			return r.Error()
		}
		if err := set(5); err != nil {
			t.Fatal(err)
		}
		s := saramaClient(t, brokers, saramaConfig())
		eventually(t, "there are 5 partitions", func() bool {
			if err := s.RefreshMetadata(name); err != nil {
				t.Fatal(err)
			}
			partitions, err := s.Partitions(name)
			return err == nil && len(partitions) == 5
		})
		if err := set(3); !errors.Is(err, kerr.InvalidPartitions) {
			t.Errorf("fewer partitions: %v, want %v", err, kerr.InvalidPartitions)
		}
	})
}

// TestCommitMetadata: what is committed with an offset comes back, byte for byte, up to
// 4,096 bytes.
func TestCommitMetadata(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		admin := kadm.NewClient(connect(t, brokers))
		name := topic(t, admin, 1, nil)
		for _, c := range []struct{ what, metadata string }{
			{"none", ""},
			{"short", "v1;low=12"},
			{"characters of all kinds", "\x01\x7f\"\\=,; äß€😀"},
			{"4,096 bytes", strings.Repeat("x", 4096)},
		} {
			offsets := kadm.Offsets{}
			offsets.Add(kadm.Offset{Topic: name, Partition: 0, At: 7, LeaderEpoch: -1, Metadata: c.metadata})
			if err := admin.CommitAllOffsets(t.Context(), name, offsets); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			// Read it back by sarama, as a group's member would.
			s := saramaClient(t, brokers, saramaConfig())
			coordinator, err := s.Coordinator(name)
			if err != nil {
				t.Fatal(err)
			}
			response, err := coordinator.FetchOffset(sarama.NewOffsetFetchRequest(s.Config().Version, name, map[string][]int32{name: {0}}))
			if err != nil {
				t.Fatal(err)
			}
			if block := response.GetBlock(name, 0); block == nil || block.Err != sarama.ErrNoError || block.Offset != 7 || block.Metadata != c.metadata {
				t.Errorf("%s: got %+v, want offset 7 with %q", c.what, block, c.metadata)
			}
		}
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: name, Partition: 0, At: 8, LeaderEpoch: -1, Metadata: strings.Repeat("x", 4097)})
		responses, err := admin.CommitOffsets(t.Context(), name, offsets)
		if err != nil {
			t.Fatal(err)
		}
		if err := responses.Error(); !errors.Is(err, kerr.OffsetMetadataTooLarge) {
			t.Errorf("4,097 bytes: %v, want %v", err, kerr.OffsetMetadataTooLarge)
		}
	})
}

// TestStaleCommit: commits of who is no member of the group any more are refused.
func TestStaleCommit(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		admin := kadm.NewClient(connect(t, brokers))
		name := topic(t, admin, 1, nil)
		one := join(t, brokers, saramaConfig(), name, newOwners(t))
		one.waitFor("it owns the partition", func() bool { return one.owned() == 1 })
		session := one.currentSession()
		for _, c := range []struct {
			what       string
			generation int32
			member     string
			want       sarama.KError
		}{
			{"its own", session.GenerationID(), session.MemberID(), sarama.ErrNoError},
			{"another generation", session.GenerationID() - 1, session.MemberID(), sarama.ErrIllegalGeneration},
			{"another member", session.GenerationID(), "nobody", sarama.ErrUnknownMemberId},
			{"none of a group", -1, "", sarama.ErrUnknownMemberId},
		} {
			s := saramaClient(t, brokers, saramaConfig())
			request := sarama.NewOffsetCommitRequest(s.Config(), name)
			request.ConsumerGroupGeneration, request.ConsumerID = c.generation, c.member
			request.AddBlock(name, 0, 1, 0, "")
			coordinator, err := s.Coordinator(name)
			if err != nil {
				t.Fatal(err)
			}
			response, err := coordinator.CommitOffset(request)
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Errors[name][0]; !errors.Is(got, c.want) {
				t.Errorf("%s: %v, want %v", c.what, got, c.want)
			}
		}
	})
}

// TestOffsetDelete: commits of a topic can be deleted once nobody of the group is
// subscribed to it, and are then as if they had never been made.
func TestOffsetDelete(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		client := connect(t, brokers)
		admin := kadm.NewClient(client)
		name := topic(t, admin, 1, nil)
		produce(t, client, name, 0, 3)
		remove := func() error {
			r, err := admin.DeleteOffsets(t.Context(), name, kadm.TopicsSet{name: {0: {}}})
			if err != nil {
				return err
			}
			return r.Error()
		}
		one := join(t, brokers, saramaConfig(), name, newOwners(t))
		one.waitFor("it has all", func() bool { return one.count() == 3 })
		if err := remove(); !errors.Is(err, kerr.GroupSubscribedToTopic) {
			t.Errorf("while it is subscribed: %v, want %v", err, kerr.GroupSubscribedToTopic)
		}
		one.leave()
		if got := committed(t, admin, name)[0]; got != 3 {
			t.Errorf("committed %d, want 3", got)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if got, found := committed(t, admin, name)[0]; found {
			t.Errorf("committed %d, want nothing", got)
		}
	})
}

// committed returns the commits of the group with the topic's name, by partition.
func committed(t *testing.T, admin *kadm.Client, topic string) map[int32]int64 {
	t.Helper()
	offsets, err := admin.FetchOffsets(t.Context(), topic)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		t.Fatal(err)
	}
	found := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic && o.At >= 0 {
			found[o.Partition] = o.At
		}
	})
	return found
}
