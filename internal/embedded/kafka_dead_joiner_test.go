package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/internal/embedded"
)

// joining asks to join a group, and has itself be given a member ID first.
func joining(ctx context.Context, client *kgo.Client, group, member string, session time.Duration) (*kmsg.JoinGroupResponse, error) {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.MemberID, request.ProtocolType = group, member, "consumer"
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = int32(session.Milliseconds()), 10_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	request.Protocols = append(request.Protocols, protocol)
	response, err := request.RequestWith(ctx, client)
	if err == nil && response.ErrorCode == kerr.MemberIDRequired.Code {
		return joining(ctx, client, group, response.MemberID, session)
	}
	if err == nil {
		err = kerr.ErrorForCode(response.ErrorCode)
	}
	return response, err
}

// TestDifferenceDeadJoiner: a member whose connection is cut while it waits to join is thrown out by a real broker when its session
// times out. The embedded Kafka keeps it, and what it is assigned is nobody's.
func TestDifferenceDeadJoiner(t *testing.T) {
	const long, short = time.Minute, time.Second // sessions: of the member that lives, and sends no heartbeats; and of the dead one
	stays := func(t *testing.T, brokers []string) bool {
		t.Helper()
		ctx := t.Context()
		client := connect(t, brokers)
		admin := kadm.NewClient(client)
		group := topic(t, admin, 1, nil)
		members := func() (string, int) {
			groups, err := admin.DescribeGroups(ctx, group)
			if err != nil {
				t.Fatal(err)
			}
			return groups[group].State, len(groups[group].Members)
		}
		sync := func(j *kmsg.JoinGroupResponse) {
			request := kmsg.NewPtrSyncGroupRequest()
			request.Group, request.Generation, request.MemberID = group, j.Generation, j.MemberID
			request.ProtocolType, request.Protocol = new("consumer"), j.Protocol
			response, err := request.RequestWith(ctx, client)
			if err == nil {
				err = kerr.ErrorForCode(response.ErrorCode)
			}
			if err != nil && !errors.Is(err, kerr.RebalanceInProgress) { // the dead one may have been thrown out by now
				t.Fatal(err)
			}
		}
		one, err := joining(ctx, client, group, "", long)
		if err != nil {
			t.Fatal(err)
		}
		sync(one)
		other, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = joining(ctx, other, group, "", short)
		}()
		await(t, func() bool { _, n := members(); return n == 2 })
		other.Close()
		<-gone
		for range 100 { // until the broker has seen that, too
			members()
		}
		again, err := joining(ctx, client, group, one.MemberID, long)
		if err != nil {
			t.Fatal(err)
		}
		sync(again)
		ticker := time.NewTicker(short / 5)
		defer ticker.Stop()
		for range 20 { // four times the dead one's session timeout
			<-ticker.C
			if _, n := members(); n == 1 {
				return false
			}
		}
		return true
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		brokers, ever := start(t, embedded.KafkaOptions{}).Brokers(), false
		for try := 0; try < 5 && !ever; try++ { // where the broker still answers it, it is thrown out
			ever = stays(t, brokers)
		}
		if !ever {
			t.Error("a dead member is thrown out, as by a real broker: this test can go, and burials in test/world")
		}
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		if stays(t, apache.Broker(t).Brokers()) {
			t.Error("a dead member stays, as with the embedded Kafka: this test can go")
		}
	})
}

// await waits until something holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("it took more than 30 s")
		}
	}
}
