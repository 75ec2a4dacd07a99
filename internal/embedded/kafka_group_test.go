package embedded_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 12

// strategies are the two kinds of rebalancing: eager ends all claims, cooperative those
// that move.
func strategies() map[string]func() sarama.BalanceStrategy {
	return map[string]func() sarama.BalanceStrategy{
		sarama.StickyBalanceStrategyName:            sarama.NewBalanceStrategySticky,
		sarama.CooperativeStickyBalanceStrategyName: sarama.NewBalanceStrategyCooperativeSticky,
	}
}

// spread writes n records to each partition.
func spread(t *testing.T, client *kgo.Client, topic string, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := range partitions * n {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: fmt.Append(nil, i)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestGroupRebalances: members join and leave while records come in. Each partition has
// one member at any time, and since members commit before they let go of a partition,
// every record is seen once.
func TestGroupRebalances(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(strategies())) {
		strategy := strategies()[name]
		t.Run(name, func(t *testing.T) {
			eachKafka(t, func(t *testing.T, brokers []string) {
				client := connect(t, brokers)
				admin := kadm.NewClient(client)
				topic := topic(t, admin, partitions, nil)
				config := func() *sarama.Config {
					c := saramaConfig()
					c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()} // it has state: one each
					return c
				}
				o := newOwners(t)
				spread(t, client, topic, 100)
				one := join(t, brokers, config(), topic, o)
				o.waitFor("the first member has all partitions", func() bool { return one.owned() == partitions })
				rounds := 4
				for round := range rounds {
					other := join(t, brokers, config(), topic, o)
					o.waitFor("the two members have half each", func() bool { return one.owned() == partitions/2 && other.owned() == partitions/2 })
					spread(t, client, topic, 100)
					if round%2 == 0 {
						one, other = other, one // the one that has led the group leaves
					}
					other.leave()
					o.waitFor("the member that stays has all partitions", func() bool { return one.owned() == partitions })
					spread(t, client, topic, 100)
				}
				total := partitions * 100 * (1 + 2*rounds)
				o.waitFor("all records are seen", func() bool { n, _ := o.distinct(); return n == total })
				eventually(t, "all are committed", func() bool {
					commits := committed(t, admin, topic)
					for p := range int32(partitions) {
						if commits[p] != int64(total/partitions) {
							return false
						}
					}
					return true
				})
				o.mu.Lock()
				_, again := o.distinct()
				t.Logf("%d claims, %d sessions of the member that stayed", o.claims, one.sessions)
				o.mu.Unlock()
				if again != 0 {
					t.Errorf("%d records were seen again", again)
				}
			})
		})
	}
}

// TestGroupMembersAtOnce: several members join at once, and leave at once.
func TestGroupMembersAtOnce(t *testing.T) {
	for name, strategy := range strategies() {
		t.Run(name, func(t *testing.T) {
			eachKafka(t, func(t *testing.T, brokers []string) {
				client := connect(t, brokers)
				topic := topic(t, kadm.NewClient(client), partitions, nil)
				o := newOwners(t)
				total := 0
				for range 2 {
					var members []*member
					for range 4 {
						config := saramaConfig()
						config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
						members = append(members, join(t, brokers, config, topic, o))
					}
					spread(t, client, topic, 50)
					o.waitFor("each has three partitions", func() bool {
						return !slices.ContainsFunc(members, func(m *member) bool { return m.owned() != partitions/4 })
					})
					spread(t, client, topic, 50)
					var leaving sync.WaitGroup
					for _, m := range members[1:] {
						leaving.Go(m.leave)
					}
					leaving.Wait()
					total += 100 * partitions
					o.waitFor("the one that stays sees all", func() bool { n, _ := o.distinct(); return n == total && members[0].owned() == partitions })
					members[0].leave()
				}
				if _, again := o.distinct(); again != 0 {
					t.Errorf("%d records were seen again", again)
				}
			})
		})
	}
}

// TestGroupCooperativeKeepsClaims: what doesn't move goes on undisturbed.
func TestGroupCooperativeKeepsClaims(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		topic := topic(t, kadm.NewClient(connect(t, brokers)), partitions, nil)
		config := func() *sarama.Config {
			c := saramaConfig()
			c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
			return c
		}
		o := newOwners(t)
		one := join(t, brokers, config(), topic, o)
		o.waitFor("the first member has all partitions", func() bool { return one.owned() == partitions })
		other := join(t, brokers, config(), topic, o)
		o.waitFor("the two members have half each", func() bool { return one.owned() == partitions/2 && other.owned() == partitions/2 })
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.claims != partitions+partitions/2 || one.sessions != 1 {
			t.Errorf("%d claims and %d sessions, want %d claims and 1 session", o.claims, one.sessions, partitions+partitions/2)
		}
	})
}

// TestGroupStaticMember: a member with an instance ID that goes, and comes back before its
// session times out, gets its partitions again, and the others are not disturbed.
func TestGroupStaticMember(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		topic := topic(t, kadm.NewClient(connect(t, brokers)), partitions, nil)
		config := func(instance string) *sarama.Config {
			c := saramaConfig()
			c.Consumer.Group.InstanceId = instance
			c.Consumer.Group.Session.Timeout = 20 * time.Second
			c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
			return c
		}
		o := newOwners(t)
		one := join(t, brokers, config("one"), topic, o)
		o.waitFor("the first member has all partitions", func() bool { return one.owned() == partitions })
		other := join(t, brokers, config("other"), topic, o)
		o.waitFor("the two members have half each", func() bool { return one.owned() == partitions/2 && other.owned() == partitions/2 })
		claims := func() []int32 {
			return slices.Sorted(slices.Values(other.currentSession().Claims()[topic]))
		}
		generation, before, sessions := one.currentSession().GenerationID(), claims(), one.sessions
		for range 3 {
			other.leave()
			other = join(t, brokers, config("other"), topic, o)
			o.waitFor("it has half again", func() bool { return other.owned() == partitions/2 })
			if !slices.Equal(claims(), before) {
				t.Errorf("it came back to %v, had %v", claims(), before)
			}
		}
		if got := one.currentSession().GenerationID(); got != generation || one.sessions != sessions {
			t.Errorf("the one that stayed is in generation %d after %d sessions, was in %d after %d", got, one.sessions, generation, sessions)
		}
	})
}

// TestGroupLostMember: a member that dies without a word loses its partitions when its
// session times out, and they go on from its last commit.
func TestGroupLostMember(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		client := connect(t, brokers)
		topic := topic(t, kadm.NewClient(client), partitions, nil)
		o := newOwners(t)
		quick := saramaConfig()
		quick.Consumer.Group.Session.Timeout = time.Second
		lost := newDialer()
		dying := saramaConfig()
		dying.Consumer.Group.Session.Timeout = time.Second
		dying.Net.Proxy.Enable, dying.Net.Proxy.Dialer = true, lost
		dying.Metadata.Retry.Max = 0
		other := join(t, brokers, dying, topic, o)
		one := join(t, brokers, quick, topic, o)
		o.waitFor("the two members have half each", func() bool { return one.owned() == partitions/2 && other.owned() == partitions/2 })
		spread(t, client, topic, 10)
		o.waitFor("all records are seen", func() bool { n, _ := o.distinct(); return n == partitions*10 })
		o.change(func() { other.lost = true })
		lost.cut()
		o.waitFor("the member that is left has all partitions", func() bool { return one.owned() == partitions })
		spread(t, client, topic, 10)
		o.waitFor("all records are seen", func() bool { n, _ := o.distinct(); return n == partitions*20 })
	})
}

// TestGroupSeesNewPartitions: partitions that are added are given to members as soon as
// the leader has refreshed its metadata.
func TestGroupSeesNewPartitions(t *testing.T) {
	eachKafka(t, func(t *testing.T, brokers []string) {
		admin := kadm.NewClient(connect(t, brokers))
		topic := topic(t, admin, 2, nil)
		config := saramaConfig()
		config.Metadata.RefreshFrequency = 100 * time.Millisecond
		o := newOwners(t)
		one := join(t, brokers, config, topic, o)
		o.waitFor("the member has both partitions", func() bool { return one.owned() == 2 })
		if _, err := admin.UpdatePartitions(t.Context(), 4, topic); err != nil {
			t.Fatal(err)
		}
		o.waitFor("the member has all four", func() bool { return one.owned() == 4 })
	})
}
