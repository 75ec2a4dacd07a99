package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

// Millrank's handlers in a Watermill router that you have already, beside handlers of your own.
func ExampleNew() {
	kafka := must(embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"likes": 2}})) // you have servers of your own
	defer kafka.Close()
	server := must(embedded.StartRedis(embedded.RedisOptions{}))
	defer server.Close()

	// As Load reads it from millrank.yaml; here it comes from the command line.
	s := must(settings.Load(settings.From{Set: []string{
		"name=likes", "source.topic=likes", "kafka.bootstrap_servers=" + kafka.Brokers()[0], "redis.addresses=" + server.Addr(),
		"topics.replication_factor=1", "boards=[{name: likes, window: 1h, k: 10}]",
	}}))
	ctx, stop := context.WithCancel(context.Background())
	millrank := must(pipeline.New(ctx, s, pipeline.Options{}))
	router := message.NewDefaultRouter(watermill.NopLogger{})
	millrank.AddTo(router)
	ended := make(chan error)
	go func() { ended <- router.Run(ctx) }()

	publisher := must(microbatch.NewPublisher(microbatch.DefaultPublisherConfig(s.Connection()), nil))
	for id, item := range []string{"tea", "coffee", "tea", "tea", "coffee", "water"} {
		like := fmt.Sprintf(`{"event_id":"%d","item_id":%q,"region":"eu","timestamp":%q}`, id, item, time.Now().Format(time.RFC3339))
		m := message.NewMessage("", []byte(like))
		m.Metadata.Set(microbatch.MetadataKey, item) // an item's events go to one partition
		must(0, publisher.Publish("likes", m))
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	var top []goredis.Z
	for len(top) < 3 || top[0].Score < 3 { // it comes within a second, and may change a few times until then
		top = must(client.ZRevRangeWithScores(ctx, "region:eu:top_k", 0, 9).Result())
	}
	fmt.Println(top, "ready:", millrank.Health().Ready)
	stop()
	must(0, errors.Join(<-ended, millrank.Close(), publisher.Close(), client.Close()))
	// Output:
	// [{3 tea} {2 coffee} {1 water}] ready: true
}

// must is for examples: it panics where there is an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
