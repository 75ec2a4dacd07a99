package embedded_test

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/internal/embedded"
)

// What follows is where the embedded Kafka is known to differ from a real one, so that a
// test of other code which passes with it says less than it seems to. These tests fail when
// a difference goes away.

// TestDifferenceStaticLeader: the leader of a group, gone and back under its instance ID,
// is told by a real broker that it isn't the leader (to versions of JoinGroup before 9,
// which sarama speaks), since it has nothing to assign. So with sarama nobody watches for
// new partitions from then on, until the next rebalance. The embedded Kafka names it as
// the leader, and partitions that are added are seen.
func TestDifferenceStaticLeader(t *testing.T) {
	leads := func(t *testing.T, brokers []string) bool {
		t.Helper()
		name := topic(t, kadm.NewClient(connect(t, brokers)), 1, nil)
		client := saramaClient(t, brokers, saramaConfig())
		coordinator, err := client.Coordinator(name)
		if err != nil {
			t.Fatal(err)
		}
		instance := "one"
		join := func() *sarama.JoinGroupResponse {
			request := sarama.NewJoinGroupRequest(client.Config().Version)
			request.GroupId, request.GroupInstanceId, request.ProtocolType = name, &instance, "consumer"
			request.SessionTimeout, request.RebalanceTimeout = 10_000, 10_000
			if err := request.AddGroupProtocolMetadata("range", &sarama.ConsumerGroupMemberMetadata{Topics: []string{name}}); err != nil {
				t.Fatal(err)
			}
			response, err := coordinator.JoinGroup(request)
			if err != nil {
				t.Fatal(err)
			}
			if response.Err != sarama.ErrNoError {
				t.Fatal(response.Err)
			}
			return response
		}
		first := join()
		if first.LeaderId != first.MemberId {
			t.Fatalf("the only member is %s, the leader %s", first.MemberId, first.LeaderId)
		}
		sync := &sarama.SyncGroupRequest{Version: 3, GroupId: name, GroupInstanceId: &instance, MemberId: first.MemberId, GenerationId: first.GenerationId}
		if err := sync.AddGroupAssignmentMember(first.MemberId, &sarama.ConsumerGroupMemberAssignment{Topics: map[string][]int32{name: {0}}}); err != nil {
			t.Fatal(err)
		}
		if response, err := coordinator.SyncGroup(sync); err != nil || response.Err != sarama.ErrNoError {
			t.Fatal(err, response.Err)
		}
		back := join()
		if back.GenerationId != first.GenerationId {
			t.Errorf("it comes back in generation %d, left in %d", back.GenerationId, first.GenerationId)
		}
		return back.LeaderId == back.MemberId
	}
	t.Run("embedded", func(t *testing.T) {
		if !leads(t, start(t, embedded.KafkaOptions{}).Brokers()) {
			t.Error("a static leader that comes back doesn't lead, as with a real broker: this test can go")
		}
	})
	t.Run("apache", func(t *testing.T) {
		if leads(t, apache.Broker(t).Brokers()) {
			t.Error("a static leader that comes back leads, as with the embedded Kafka: this test can go")
		}
	})
}
