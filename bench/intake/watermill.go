package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// watermill reads by watermill-kafka's subscriber and a router, as its documentation shows:
// every record is a message, which is acknowledged before the partition's next one comes.
func (c clients) watermill(ctx context.Context, topic string, n int64) (result, error) {
	subscriber, err := wkafka.NewSubscriber(wkafka.SubscriberConfig{
		Brokers:               c.brokers,
		Unmarshaler:           wkafka.DefaultMarshaler{},
		OverwriteSaramaConfig: saramaConfig(),
		ConsumerGroup:         newGroup("watermill"),
	}, watermill.NopLogger{})
	if err != nil {
		return result{}, fmt.Errorf("watermill-kafka: %w", err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return result{}, errors.Join(fmt.Errorf("router: %w", err), subscriber.Close())
	}
	counter := newCounter(n)
	router.AddConsumerHandler("no-op", topic, subscriber, func(*message.Message) error {
		counter.begin()
		counter.add(1)
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	select {
	case <-counter.done:
		err = router.Close() // which closes the subscriber
		err = errors.Join(err, <-ended)
	case err = <-ended:
		err = errors.Join(errors.New("the router ended early"), err, ctx.Err())
	}
	if err != nil {
		return result{}, err
	}
	return counter.result(), nil
}
