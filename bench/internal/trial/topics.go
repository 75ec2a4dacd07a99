package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// disk returns how many bytes the broker stores of the topics whose names begin like this, by the rest of their names after the last dot.
func (b Bench) disk(ctx context.Context, prefix string) (map[string]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Kafka.Addresses...))
	if err != nil {
		return nil, fmt.Errorf("sizes of topics: %w", err)
	}
	defer client.Close()
	folders, err := kadm.NewClient(client).DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("sizes of topics: %w", err)
	}
	sizes := map[string]int64{}
	folders.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if strings.HasPrefix(p.Topic, prefix) {
				sizes[p.Topic[strings.LastIndexByte(p.Topic, '.')+1:]] += p.Size
			}
		})
	})
	return sizes, nil
}

// remove deletes the topics whose names begin like this, so that the broker's disk doesn't fill up.
func (b Bench) remove(prefix string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Kafka.Addresses...))
	if err != nil {
		return fmt.Errorf("deleting topics: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // also when all else is over
	defer cancel()
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("deleting topics: %w", err)
	}
	names := slices.DeleteFunc(topics.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	if _, err := admin.DeleteTopics(ctx, names...); err != nil {
		return fmt.Errorf("deleting topics: %w", err)
	}
	return nil
}
