package microbatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// ErrNoTopic is the error of a topic that doesn't exist.
var ErrNoTopic = errors.New("the topic doesn't exist")

// TopicInfo is what Kafka says of a topic.
type TopicInfo struct {
	Name              string
	ID                [16]byte // its UUID, which another topic of the same name doesn't have; zero before Kafka 2.8
	Partitions        int
	ReplicationFactor int               // the least of its partitions
	Configs           map[string]string // settings by Kafka's names, also those that are the brokers' defaults
}

// Describe returns what Kafka says of a topic, which the caller owns. The error is ErrNoTopic if it doesn't exist.
func Describe(ctx context.Context, c Connection, topic string) (TopicInfo, error) {
	if err := c.Validate(); err != nil {
		return TopicInfo{}, err
	}
	return withAdmin(ctx, c, []string{topic}, func(a admin) (TopicInfo, error) {
		found, err := a.describe([]string{topic})
		if err != nil {
			return TopicInfo{}, err
		}
		info, exists := found[topic]
		if !exists {
			return TopicInfo{}, fmt.Errorf("topic %s: %w", topic, ErrNoTopic)
		}
		return info, nil
	})
}

// admin asks a cluster about its topics.
type admin struct {
	sarama.ClusterAdmin
	tools   tools
	timeout time.Duration
	done    <-chan struct{}
}

// withAdmin connects, calls do and closes the connection. When ctx is done, it returns at once, while do goes on until the
// request that runs has an answer.
func withAdmin[T any](ctx context.Context, c Connection, topics []string, do func(admin) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		a, err := newAdmin(c, topics, ctx.Done())
		if err != nil {
			r.err = fmt.Errorf("%v: %w", c, err)
		} else {
			r.value, r.err = do(a)
			_ = a.Close() // nothing was left to be written
		}
		results <- r
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return *new(T), fmt.Errorf("%v: %w", c, context.Cause(ctx))
	}
}

func newAdmin(c Connection, topics []string, done <-chan struct{}) (admin, error) {
	s, err := c.sarama()
	if err != nil {
		return admin{}, err
	}
	s.Metadata.Retry.Max = 0 // missing topics are what this is about
	client, err := sarama.NewClient(c.BootstrapServers, s)
	if err != nil {
		return admin{}, err
	}
	// This is how the brokers become known. Topics may be missing; if no broker answers, it is over.
	if err := client.RefreshMetadata(topics...); err != nil && len(client.Brokers()) == 0 {
		return admin{}, errors.Join(err, client.Close())
	}
	a, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return admin{}, errors.Join(fmt.Errorf("the controller: %w", err), client.Close())
	}
	return admin{ClusterAdmin: a, tools: newTools(c), timeout: s.Admin.Timeout, done: done}, nil
}

// describe returns what is known of topics, without those that don't exist.
func (a admin) describe(names []string) (map[string]TopicInfo, error) {
	list, err := a.DescribeTopics(names)
	if err != nil {
		return nil, fmt.Errorf("describing topics: %w", err)
	}
	found := map[string]TopicInfo{}
	var ask []*sarama.ConfigResource
	var errs []error
	for _, t := range list {
		switch {
		case errors.Is(t.Err, sarama.ErrUnknownTopicOrPartition):
		case errors.Is(t.Err, sarama.ErrNoError):
			info := TopicInfo{Name: t.Name, ID: t.Uuid, Partitions: len(t.Partitions), Configs: map[string]string{}}
			for i, p := range t.Partitions {
				if n := len(p.Replicas); i == 0 || n < info.ReplicationFactor {
					info.ReplicationFactor = n
				}
			}
			found[t.Name] = info
			ask = append(ask, &sarama.ConfigResource{Type: sarama.TopicResource, Name: t.Name})
		case errors.Is(t.Err, sarama.ErrTopicAuthorizationFailed):
			errs = append(errs, fmt.Errorf("topic %s: %w; the user needs the right of Describe on it", t.Name, t.Err))
		default:
			errs = append(errs, fmt.Errorf("topic %s: %w", t.Name, t.Err))
		}
	}
	settings, err := a.DescribeConfigs(ask, sarama.DescribeConfigsOptions{})
	if err != nil {
		errs = append(errs, fmt.Errorf("describing topics' settings: %w", err))
	}
	for _, s := range settings {
		info, asked := found[s.Name]
		switch {
		case !asked:
		case errors.Is(s.ErrorCode, sarama.ErrNoError):
			for _, entry := range s.Configs {
				info.Configs[entry.Name] = entry.Value
			}
		case errors.Is(s.ErrorCode, sarama.ErrUnknownTopicOrPartition): // just created or deleted
			delete(found, s.Name)
		case errors.Is(s.ErrorCode, sarama.ErrTopicAuthorizationFailed): // compare warns of settings that are not told
		default:
			errs = append(errs, fmt.Errorf("topic %s: its settings: %w: %s", s.Name, s.ErrorCode, s.ErrorMsg))
		}
	}
	return found, errors.Join(errs...)
}

// await describes topics until those are known that were just created: brokers hear of them after a while.
func (a admin) await(names, created []string) (map[string]TopicInfo, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	late := time.NewTimer(a.timeout)
	defer late.Stop()
	for {
		found, err := a.describe(names)
		missing := 0
		for _, name := range created {
			if _, exists := found[name]; !exists {
				missing++
			}
		}
		if missing == 0 && err == nil {
			return found, nil
		}
		select {
		case <-ticker.C:
		case <-a.done:
			return nil, errors.New("waiting for created topics: canceled")
		case <-late.C:
			return nil, errors.Join(err, fmt.Errorf("%d topics that were created are still not known to the brokers", missing))
		}
	}
}
