package microbatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
)

// look finds where each of these partitions begins, and whether all that the group has committed, for any partition, can
// be resumed. The error is a RefusedError where it can't.
func (g *group) look(partitions []int32) (map[int32]Start, error) {
	facts, err := describe(g.client, g.topic)
	if err != nil {
		return nil, err
	}
	if err := g.differs(facts); err != nil {
		return nil, err
	}
	commits, err := g.commits(facts.partitions)
	if err != nil {
		return nil, err
	}
	// A partition that was added has no commit, but the others' commits tell.
	for partition := range int32(facts.partitions) {
		c := commits[partition]
		if _, err := g.config.Identity.check(g.config.GroupID, g.topic, partition, facts, c, 0, c.offset); err != nil {
			return nil, err
		}
	}
	starts := map[int32]Start{}
	for _, partition := range partitions {
		logStart, err := g.client.GetOffset(g.topic, partition, sarama.OffsetOldest)
		if err != nil {
			return nil, fmt.Errorf("log start of %s partition %d: %w", g.topic, partition, err)
		}
		logEnd, err := g.client.GetOffset(g.topic, partition, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("log end of %s partition %d: %w", g.topic, partition, err)
		}
		c := commits[partition]
		state, err := g.config.Identity.check(g.config.GroupID, g.topic, partition, facts, c, logStart, logEnd)
		if err != nil {
			return nil, err
		}
		start := Start{Offset: c.offset, State: state, Resumed: c.offset >= 0, LogEnd: logEnd}
		if !start.Resumed {
			start.Offset = logStart
		}
		starts[partition] = start
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts = facts
	return starts, nil
}

// lookTries is how often what isn't ready is looked at, when a subscription begins.
const lookTries = 7

// lookFirst finds out whether the group can be resumed, before it is joined. A topic that was
// just created, and partitions whose leaders move, get a while.
func (g *group) lookFirst() error {
	for failed := 0; ; failed++ {
		partitions, err := g.client.Partitions(g.topic)
		if err != nil {
			return fmt.Errorf("topic %s: %w", g.topic, err)
		}
		_, err = g.look(partitions) // only whether: until they are assigned, others go on with them
		if !notReady(err) || failed == lookTries-1 || !g.pause(backoff(g.config, failed)) {
			return err
		}
	}
}

// notReady reports whether an error passes by itself.
func notReady(err error) bool {
	return slices.ContainsFunc([]error{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable,
		sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable,
		sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress,
	}, func(passing error) bool { return errors.Is(err, passing) })
}

// watch looks now and then whether the topic is still the same. sarama finds out when partitions were added, but
// goes on with a topic that was made anew as if it were the old one, if it is long enough; and when somebody starts again
// it is too late: Kafka deletes what was committed with the topic.
func (g *group) watch(ctx context.Context) {
	ticker := time.NewTicker(g.client.Config().Metadata.RefreshFrequency)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			facts, err := describe(g.client, g.topic)
			if err != nil {
				g.logger.Info("can't look whether the topic is the same", watermill.LogFields{"error": err.Error()})
			} else if err := g.differs(facts); err != nil {
				g.stop(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// differs returns what has become of the topic since it was first looked at, if it matters.
func (g *group) differs(facts topicFacts) error {
	g.mu.Lock()
	before := g.facts
	g.mu.Unlock()
	switch {
	case before.partitions == 0: // this is the first time
	case before.id != facts.id:
		return &RefusedError{g.config.GroupID, g.topic, -1, ErrTopic, fmt.Sprintf("topic ID %x", facts.id), fmt.Sprintf("%x", before.id), newGeneration}
	case before.partitions != facts.partitions:
		return &RefusedError{g.config.GroupID, g.topic, -1, ErrPartitions, fmt.Sprint(facts.partitions), fmt.Sprint(before.partitions), newGeneration}
	}
	return nil
}

// describe returns what is known of a topic.
func describe(client sarama.Client, topic string) (topicFacts, error) {
	admin, err := sarama.NewClusterAdminFromClient(client) // closing it would close the client
	if err != nil {
		return topicFacts{}, err
	}
	list, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return topicFacts{}, fmt.Errorf("topic %s: %w", topic, err)
	}
	if len(list) != 1 {
		return topicFacts{}, fmt.Errorf("topic %s: the broker described %d topics", topic, len(list))
	}
	if list[0].Err != sarama.ErrNoError {
		return topicFacts{}, fmt.Errorf("topic %s: %w", topic, list[0].Err)
	}
	return topicFacts{id: list[0].Uuid, partitions: len(list[0].Partitions)}, nil
}

// commits reads what the group has committed for each partition, with metadata, which sarama's
// consumer group doesn't tell.
func (g *group) commits(partitions int) (map[int32]committed, error) {
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	var last error
	for range 3 {
		coordinator, err := g.client.Coordinator(g.config.GroupID)
		if err != nil {
			return nil, fmt.Errorf("coordinator of group %s: %w", g.config.GroupID, err)
		}
		response, err := coordinator.FetchOffset(sarama.NewOffsetFetchRequest(g.client.Config().Version, g.config.GroupID, map[string][]int32{g.topic: all}))
		if err != nil {
			_ = coordinator.Close() // so that the client connects anew
			last = err
		} else if commits, err := commitsOf(response, g.topic, all); err == nil {
			return commits, nil
		} else {
			last = err
		}
		_ = g.client.RefreshCoordinator(g.config.GroupID) // it may have moved
	}
	return nil, fmt.Errorf("commits of group %s: %w", g.config.GroupID, last)
}

func commitsOf(response *sarama.OffsetFetchResponse, topic string, partitions []int32) (map[int32]committed, error) {
	commits := map[int32]committed{}
	if response.Err == sarama.ErrGroupIDNotFound { // nobody has joined it yet
		for _, partition := range partitions {
			commits[partition] = committed{offset: -1}
		}
		return commits, nil
	}
	if response.Err != sarama.ErrNoError {
		return nil, response.Err
	}
	for _, partition := range partitions {
		block := response.GetBlock(topic, partition)
		if block == nil {
			return nil, errors.New("the broker's answer leaves out a partition")
		}
		if block.Err != sarama.ErrNoError {
			return nil, block.Err
		}
		commits[partition] = committed{block.Offset, block.Metadata}
	}
	return commits, nil
}
