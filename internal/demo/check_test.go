package demo

import (
	"context"
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/redis"
)

// TestCompare: lists are only equal when they are final, exact, and have every item with its score, in order.
func TestCompare(t *testing.T) {
	server, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	s := streams()[0]
	lists, err := s.known()
	if err != nil {
		t.Fatal(err)
	}
	known := s.byKey(lists)
	if len(known) != 985 {
		t.Fatalf("%d lists are known, want 985", len(known))
	}
	var key string
	keys := make([]string, 0, len(known))
	for k, list := range known {
		keys = append(keys, k)
		write(t, client, k, list)
		if len(list.Top) > 2 {
			key = k
		}
	}
	expect := func(what string, equal int) {
		t.Helper()
		_, got, differences, err := compare(t.Context(), client, keys, known)
		if err != nil || got != equal || (len(differences) == 0) != (equal == len(keys)) {
			t.Errorf("%s: %d of %d are equal, want %d; %v (%v)", what, got, len(keys), equal, differences, err)
		}
	}
	expect("all as they should be", len(keys))
	for what, change := range map[string]func(ctx context.Context){
		"a score is off":       func(ctx context.Context) { client.ZIncrBy(ctx, key, 1, known[key].Top[1].Item) },
		"an item is missing":   func(ctx context.Context) { client.ZRem(ctx, key, known[key].Top[1].Item) },
		"an item too much":     func(ctx context.Context) { client.ZAdd(ctx, key, goredis.Z{Member: "x", Score: 1}) },
		"it isn't final":       func(ctx context.Context) { client.HSet(ctx, redis.Meta(key), "final", "0") },
		"it isn't exact":       func(ctx context.Context) { client.HSet(ctx, redis.Meta(key), "exact", "0") },
		"the list isn't there": func(ctx context.Context) { client.Del(ctx, key, redis.Meta(key)) },
	} {
		change(t.Context())
		expect(what, len(keys)-1)
		client.Del(t.Context(), key, redis.Meta(key))
		write(t, client, key, known[key])
	}
	expect("all as they should be again", len(keys))
}

func write(t *testing.T, client *goredis.Client, key string, list sim.ExpectedList) {
	t.Helper()
	for _, e := range list.Top {
		if err := client.ZAdd(t.Context(), key, goredis.Z{Member: e.Item, Score: float64(e.Score)}).Err(); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", key, err))
		}
	}
	if err := client.HSet(t.Context(), redis.Meta(key), "final", "1", "exact", "1").Err(); err != nil {
		t.Fatal(err)
	}
}
