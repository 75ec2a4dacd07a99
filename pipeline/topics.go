package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
)

// topicsFound is what must be known of topics to go on.
type topicsFound struct {
	sources  int // partitions of the source
	warnings []microbatch.Warning
}

// EnsureTopics creates the topics that a stream needs and that are missing, and checks all, the source's too. It changes nothing that exists.
// The error is a *microbatch.TopicsError where topics are not what they must be.
func EnsureTopics(ctx context.Context, s settings.Settings) ([]microbatch.Warning, error) {
	found, err := ensureTopics(ctx, s)
	return found.warnings, err
}

func ensureTopics(ctx context.Context, s settings.Settings) (topicsFound, error) {
	connection := s.Connection()
	warnings, err := microbatch.EnsureTopics(ctx, connection, Topics(s)...)
	if err != nil {
		return topicsFound{warnings: warnings}, err
	}
	source, err := microbatch.Describe(ctx, connection, s.Source.Topic)
	if err != nil {
		return topicsFound{warnings: warnings}, fmt.Errorf("source.topic %s: %w", s.Source.Topic, err)
	}
	return topicsFound{sources: source.Partitions, warnings: warnings}, nil
}

// Topics returns what a stream's topics must be like: the source, updates, rankings, generations and, last, dead letters.
func Topics(s settings.Settings) []microbatch.Topic {
	t, replicas := s.Topics, s.Topics.ReplicationFactor
	internalBytes := microbatch.DefaultPublisherConfig(s.Connection()).MaxMessageBytes // what updates and rankings are published with
	letters := microbatch.Topic{
		Name: s.DeadLettersTopic(), Partitions: t.DeadLetters.Partitions, ReplicationFactor: replicas, Retention: t.DeadLetters.Retention.Std(),
		CleanupPolicy: "delete", MaxMessageBytes: int(t.DeadLetters.MaxMessageBytes),
		PartitionsIfNew: true, // other generations may have made it
	}
	return []microbatch.Topic{
		{Name: s.Source.Topic, Existing: true, Retention: max(sourceRetention, s.Replays()), RetentionMin: s.Replays(), CleanupPolicy: "delete", TimestampAfterMax: s.Time.MaxAhead.Std()},
		{
			Name: s.UpdatesTopic(), Partitions: t.Updates.Partitions, ReplicationFactor: replicas, Retention: t.Updates.Retention.Std(),
			RetentionMin: s.UpdatesRetention(), CleanupPolicy: "delete", MaxMessageBytes: internalBytes,
		},
		{
			Name: s.RankingsTopic(), Partitions: t.Rankings.Partitions, ReplicationFactor: replicas, Retention: t.Rankings.Retention.Std(),
			RetentionMin: s.RankingsRetention(), CleanupPolicy: "delete", MaxMessageBytes: internalBytes,
		},
		{Name: s.GenerationsTopic(), Partitions: 1, ReplicationFactor: replicas, Retention: microbatch.Unlimited, RetentionMin: microbatch.Unlimited, CleanupPolicy: "delete"},
		letters,
	}
}

// sourceRetention is what is suggested for a source topic that isn't there: Kafka's own default.
const sourceRetention = 7 * 24 * time.Hour
