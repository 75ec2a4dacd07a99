package redis_test

import (
	"context"
	"fmt"
	"log"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/redis"
)

func Example() {
	server, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		log.Fatal(err)
	}
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: []string{server.Addr()}, ContextTimeoutEnabled: true})

	sink, err := redis.New(redis.Config{Client: client, Boards: operators.Boards{
		Pane: time.Minute, Dimensions: []string{"region"},
		Boards: []operators.Board{{Name: "views", K: 3, Window: operators.Window{Size: time.Hour}, By: [][]string{{}, {"region"}}}},
	}})
	if err != nil {
		log.Fatal(err)
	}

	// One writer for each partition of the rankings topic; nothing has been written before.
	ctx := context.Background()
	writer := sink.Writer(0, -1)
	start := time.Date(2026, 9, 18, 14, 0, 0, 0, time.UTC).UnixMilli()
	_, err = writer.Write(ctx, 17, start+1000, []event.Ranking{{
		ListKey: event.ListKey{Board: "views", By: "region", Group: event.NewGroup("eu"), Start: start},
		End:     start + time.Hour.Milliseconds(), Revision: 17, Exact: true,
		Entries: []event.Entry{{Item: "cats", Score: 12}, {Item: "dogs", Score: 7}},
	}})
	if err != nil {
		log.Fatal(err)
	}

	for _, key := range []string{"region:eu:top_k", "region:eu:top_k:views:20260918T140000Z"} {
		items, err := client.ZRevRange(ctx, key, 0, -1).Result()
		meta := client.HGetAll(ctx, redis.Meta(key)).Val()
		fmt.Println(key, items, err, meta["start"], meta["revision"], meta["final"])
	}
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	server.Close()
	// Output:
	// region:eu:top_k [cats dogs] <nil> 2026-09-18T14:00:00.000Z 17 0
	// region:eu:top_k:views:20260918T140000Z [cats dogs] <nil> 2026-09-18T14:00:00.000Z 17 0
}
