package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetsPartitions is how many partitions the topic of commits has.
const offsetsPartitions = 4

// ready returns when the broker does its work: it is registered with its controller, each of its group
// coordinators has loaded, and it has numbers for producers. (The first question about a group creates
// the topic of commits; a client that asks meanwhile gets errors that it may report.)
func (b *Broker) ready(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("no answer within %v", readyTimeout))
	defer cancel()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(b.Brokers()...),
		kgo.RequestRetries(0), // this loop retries, and sees soon when the process ends
		kgo.MetadataMinAge(10*time.Millisecond),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := answers(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("the process has ended")
		case <-ctx.Done():
			return fmt.Errorf("%w; the last try: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// CreateTopic creates a topic, with settings by their names in Kafka or nil, and returns
// when its partitions can be used: the broker says that a topic is created before all its
// parts know it, and who comes too early is told that there is no such topic, or no leader.
func (b *Broker) CreateTopic(ctx context.Context, name string, partitions int32, settings map[string]string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Brokers()...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return fmt.Errorf("topic %s: %w", name, err)
	}
	defer client.Close()
	configs := make(map[string]*string, len(settings))
	for setting, value := range settings {
		configs[setting] = &value
	}
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, partitions, 1, configs, name); err != nil {
		return fmt.Errorf("topic %s: %w", name, err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		ends, err := admin.ListEndOffsets(ctx, name)
		if err == nil {
			err = ends.Error()
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s has no leaders: %w; the last try: %w", name, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func answers(ctx context.Context, client *kgo.Client) error {
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	metadata, err := admin.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	if len(metadata.Brokers) == 0 {
		return errors.New("the broker is not registered yet")
	}
	// The hashes of one-letter names count up: these are on one partition each.
	for i := range offsetsPartitions {
		if _, err := admin.FetchOffsets(ctx, string(rune('a'+i))); err != nil {
			return fmt.Errorf("group coordinator: %w", err)
		}
	}
	producer, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(producer.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("a producer's ID: %w", err)
	}
	return nil
}
