package handlers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/wire"
)

// Events from Kafka are counted by two handlers in your own Watermill router, and updates
// come out in another topic. Killed at any moment and started again, it goes on exactly.
func Example() {
	kafka := must(embedded.StartKafka(embedded.KafkaOptions{})) // you have brokers of your own
	defer kafka.Close()
	connection := microbatch.Connection{BootstrapServers: kafka.Brokers()}
	ctx, stop := context.WithCancel(context.Background())
	must(microbatch.EnsureTopics(ctx, connection,
		microbatch.Topic{Name: "events", Partitions: 1, ReplicationFactor: 1},
		microbatch.Topic{Name: "updates", Partitions: 1, ReplicationFactor: 1},
		microbatch.Topic{Name: "dead-letters", Partitions: 1, ReplicationFactor: 1}))
	publisher := must(microbatch.NewPublisher(microbatch.DefaultPublisherConfig(connection), nil))
	for _, user := range []string{"ann", "bob", "ann"} { // a repeat, and somebody can't write JSON
		must(0, publisher.Publish("events", message.NewMessage("", like(user+"-likes-tea", "tea", time.Now()))))
	}
	must(0, publisher.Publish("events", message.NewMessage("", []byte("{"))))

	config := handlers.DefaultIntakeConfig()
	config.Codec = must(handlers.JSON(event.DefaultMapping())) // or map your own field names
	config.Source, config.Shards = "example/events", 1
	config.Updates, config.UpdatesTopic = publisher, "updates"
	config.DeadLetters, config.DeadLettersTopic = publisher, "dead-letters"
	intake := must(handlers.NewIntake(config))

	from := microbatch.DefaultSubscriberConfig(connection, "example")
	from.Identity = config.Identity() // other settings can't go on where these left off
	router := message.NewDefaultRouter(watermill.NopLogger{})
	intake.AddTo(router, "events", must(microbatch.NewSubscriber(from, nil)))

	updates := must(microbatch.NewSubscriber(microbatch.DefaultSubscriberConfig(connection, "printer"), nil))
	router.AddConsumerHandler("printer", "updates", updates, func(msg *message.Message) error {
		batch, err := microbatch.Open(msg.Payload)
		for record := (microbatch.Record{}); batch.Next(&record); {
			if _, _, update, err := wire.DecodeUpdate(record.Value); err == nil && len(update.Cells) > 0 {
				fmt.Printf("%s: %d, and %d duplicate\n", update.Cells[0].Item, update.Cells[0].Count, update.Cells[0].Duplicates)
				stop()
			}
		}
		return err
	})
	must(0, router.Run(ctx))
	must(0, publisher.Close())
	decided, _ := intake.Decided()
	fmt.Println("dead letters:", decided[event.Malformed])
	// Output:
	// tea: 2, and 1 duplicate
	// dead letters: 1
}

// The handlers also take plain messages, one event each, from any Watermill Subscriber. Here is no Kafka at all.
func ExampleIntake_gochannel() {
	in, out := gochannel.NewGoChannel(gochannel.Config{}, nil), gochannel.NewGoChannel(gochannel.Config{}, nil)
	updates := must(out.Subscribe(context.Background(), "updates"))

	config := handlers.DefaultIntakeConfig()
	config.Codec = must(handlers.JSON(event.DefaultMapping()))
	config.Source, config.Shards = "example/events", 1
	config.Updates, config.UpdatesTopic = out, "updates"
	config.DeadLetters, config.DeadLettersTopic = out, "dead-letters"
	intake := must(handlers.NewIntake(config))
	router := message.NewDefaultRouter(watermill.NopLogger{})
	intake.AddTo(router, "events", in)
	go func() { must(0, router.Run(context.Background())) }()
	<-router.Running()

	for _, id := range []string{"1", "2", "3", "2"} {
		must(0, in.Publish("events", message.NewMessage(watermill.NewUUID(), like(id, "coffee", time.Now()))))
	}
	for msg := range updates { // absolute values: the newest is right
		_, _, update, err := wire.DecodeUpdate(msg.Payload)
		if msg.Ack(); err == nil && len(update.Cells) > 0 && update.Cells[0].Count+update.Cells[0].Duplicates == 4 {
			fmt.Printf("%s: %d, and %d duplicate\n", update.Cells[0].Item, update.Cells[0].Count, update.Cells[0].Duplicates)
			break
		}
	}
	must(0, router.Close())
	must(0, intake.Close())
	must(0, out.Close())
	// Output:
	// coffee: 3, and 1 duplicate
}

// like returns an event as JSON.
func like(id, item string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"event_id":%q,"item_id":%q,"region":"eu","timestamp":%q}`, id, item, at.Format(time.RFC3339Nano))
}

// must is for examples: it panics where there is an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
