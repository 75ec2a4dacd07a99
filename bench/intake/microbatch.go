package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// shards is how many partitions the updates topic has.
const shards = 8

// microbatch reads by this project's subscriber and a router.
func (c clients) microbatch(ctx context.Context, topic string, n int64) (result, error) {
	connection := microbatch.Connection{BootstrapServers: c.brokers}
	config := microbatch.DefaultSubscriberConfig(connection, newGroup("microbatch"))
	config.ReusePayloads = true
	subscriber, err := microbatch.NewSubscriber(config, watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	counter := newCounter(n)
	router.AddConsumerHandler("no-op", topic, subscriber, func(msg *message.Message) error {
		batch, err := microbatch.Open(msg.Payload)
		if err == nil && batch.Count > 0 {
			counter.begin()
			counter.add(int64(batch.Count))
		}
		return err
	})
	return runRouter(ctx, router, subscriber, counter)
}

// runRouter runs a router until the counter is done.
func runRouter(ctx context.Context, router *message.Router, subscriber *microbatch.Subscriber, counter *counter) (result, error) {
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	var err error
	select {
	case <-counter.done:
		err = errors.Join(router.Close(), <-ended)
	case err = <-ended:
		err = errors.Join(errors.New("the router ended early"), err, subscriber.Err(), ctx.Err())
	}
	if err != nil {
		return result{}, err
	}
	return counter.result(), nil
}

// fold reads by the subscriber, and does all that the first two handlers do: records are decoded,
// deduplicated and counted, updates published and acknowledged, and the place to go on from committed.
func (c clients) fold(ctx context.Context, topic string, n int64) (result, error) {
	r, err := c.folding(ctx, topic, n, newGroup("fold"), foldSettings())
	return r, err
}

// foldSettings are panes of 10 s, and what fits them.
func foldSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane = 10 * time.Second
	s.MaxAhead = time.Hour // duplicates come with their old timestamps
	return s
}

// replay has a group work through the topic, under settings by which all of it is needed again; stops it; and measures how long the next start takes until it is where
// the first one was. Nothing is published in that time.
func (c clients) replay(ctx context.Context, topic string, n int64) (result, error) {
	s := foldSettings()
	s.DedupSegment, s.DedupRecords = time.Hour, 1<<27
	group := newGroup("replay")
	if _, err := c.folding(ctx, topic, n, group, s); err != nil {
		return result{}, err
	}
	begin, err := now()
	if err != nil {
		return result{}, err
	}
	r, err := c.folding(ctx, topic, n, group, s)
	r.begin = begin
	return r, err
}

// folding runs the intake until all records are processed through; where the group has done
// that before, until they are replayed.
func (c clients) folding(ctx context.Context, topic string, n int64, group string, s operators.Settings) (result, error) {
	updates, letters := group+"-updates", group+"-dead-letters"
	if err := createTopics(ctx, c.brokers, map[string]int32{updates: shards, letters: 2}); err != nil {
		return result{}, err
	}
	connection := microbatch.Connection{BootstrapServers: c.brokers}
	publisher, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(connection), watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	config := handlers.DefaultIntakeConfig()
	mapping := event.DefaultMapping()
	mapping.TimeFormat = event.UnixMillis
	if config.Codec, err = handlers.JSON(mapping); err != nil {
		return result{}, err
	}
	config.Settings, config.Source, config.Shards = s, "bench/"+topic, shards
	config.Updates, config.UpdatesTopic, config.DeadLetters, config.DeadLettersTopic = publisher, updates, publisher, letters
	intake, err := handlers.NewIntake(config)
	if err != nil {
		return result{}, err
	}
	from := microbatch.DefaultSubscriberConfig(connection, group)
	from.Identity, from.ReusePayloads = config.Identity(), true
	subscriber, err := microbatch.NewSubscriber(from, watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return result{}, err
	}
	counter := newCounter(n)
	deduplicate, _ := intake.AddTo(router, topic, subscriber)
	deduplicate.AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			counter.begin()
			return next(msg)
		}
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for done := int64(0); ; {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			var through int64
			for _, p := range intake.Status() {
				if !p.Replaying {
					through += p.ProcessedThrough + 1
				}
			}
			if through > done {
				counter.add(through - done)
				done = through
			}
			if done >= n {
				return
			}
		}
	}()
	r, err := runRouter(ctx, router, subscriber, counter)
	if decided, _ := intake.Decided(); err == nil && decided[event.Malformed]+decided[event.Future]+decided[event.Late] > 0 {
		err = fmt.Errorf("there were dead letters: %v", decided)
	}
	return r, errors.Join(err, intake.Close(), publisher.Close())
}

// createTopics creates topics that aren't there yet.
func createTopics(ctx context.Context, brokers []string, partitions map[string]int32) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	for topic, n := range partitions {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, n, 1, nil, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
	}
	return nil
}
