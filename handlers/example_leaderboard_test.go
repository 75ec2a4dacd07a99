package handlers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/redis"
)

// All the way from events to a board in Redis, in one router: each hop is a topic, and a consumer group of its own.
func ExampleLeaderboard() {
	kafka := must(embedded.StartKafka(embedded.KafkaOptions{})) // you have servers of your own
	defer kafka.Close()
	server := must(embedded.StartRedis(embedded.RedisOptions{}))
	defer server.Close()
	connection := microbatch.Connection{BootstrapServers: kafka.Brokers()}
	ctx, stop := context.WithCancel(context.Background())
	for _, topic := range []string{"events", "updates", "rankings", "dead-letters"} {
		must(microbatch.EnsureTopics(ctx, connection, microbatch.Topic{Name: topic, Partitions: 1, ReplicationFactor: 1}))
	}
	publisher := must(microbatch.NewPublisher(microbatch.DefaultPublisherConfig(connection), nil))
	router := message.NewDefaultRouter(watermill.NopLogger{})
	member := func(handler string, id microbatch.Identity) *microbatch.Subscriber {
		config := microbatch.DefaultSubscriberConfig(connection, "example."+handler)
		config.Identity = id
		return must(microbatch.NewSubscriber(config, nil))
	}

	count := handlers.DefaultIntakeConfig()
	count.Codec = must(handlers.JSON(event.DefaultMapping()))
	count.Source, count.Shards = "example/events", 1
	count.Updates, count.UpdatesTopic, count.DeadLetters, count.DeadLettersTopic = publisher, "updates", publisher, "dead-letters"
	must(handlers.NewIntake(count)).AddTo(router, "events", member("intake", count.Identity()))

	boards := operators.Boards{
		Pane: count.Settings.Pane, AllowedLateness: count.Settings.AllowedLateness, OutOfOrderness: count.Settings.OutOfOrderness, ReviseFor: 10 * time.Minute,
		Dimensions: []string{"region"},
		Boards:     []operators.Board{{Name: "likes", Window: operators.Window{Size: time.Hour}, K: 10, By: [][]string{{}, {"region"}}}},
	}
	rank := handlers.DefaultRankConfig()
	rank.Boards, rank.Source, rank.Sources, rank.Shards, rank.Lanes = boards, count.Source, 1, 1, 1
	rank.Rankings, rank.RankingsTopic = publisher, "rankings"
	must(handlers.NewRank(rank)).AddTo(router, "updates", member("rank", rank.Identity()))

	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: []string{server.Addr()}, ContextTimeoutEnabled: true})
	sink := must(redis.New(redis.Config{Client: client, Boards: boards}))
	board := handlers.DefaultLeaderboardConfig()
	board.Boards, board.Source, board.Shards, board.Lanes = boards, count.Source, 1, 1
	board.Open = func(partition int, through int64) handlers.ListWriter { return sink.Writer(partition, through) }
	board.Fill = func() handlers.ListWriter { return sink.Filler() }
	board.Read = func(ctx context.Context, partition int32, take func(microbatch.Record) error) error {
		return microbatch.ReadPartition(ctx, connection, "rankings", partition, take)
	}
	must(handlers.NewLeaderboard(board)).AddTo(router, "rankings", member("leaderboard", board.Identity()))

	ended := make(chan error)
	go func() { ended <- router.Run(ctx) }()
	for id, item := range []string{"tea", "coffee", "tea", "tea", "coffee", "water"} {
		must(0, publisher.Publish("events", message.NewMessage("", like(fmt.Sprint(id), item, time.Now()))))
	}
	var top []goredis.Z
	for len(top) < 3 || top[0].Score < 3 { // it comes within a second, and may change a few times until then
		top = must(client.ZRevRangeWithScores(ctx, "region:eu:top_k:likes", 0, 9).Result())
	}
	fmt.Println(top)
	stop()
	must(0, <-ended)
	must(0, publisher.Close())
	must(0, client.Close())
	// Output:
	// [{3 tea} {2 coffee} {1 water}]
}
