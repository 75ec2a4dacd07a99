package embedded_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
)

func startRedis(t *testing.T, options embedded.RedisOptions) (*embedded.Redis, *goredis.Client) {
	t.Helper()
	server, err := embedded.StartRedis(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Password: options.Password, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func TestRedisTime(t *testing.T) {
	still, client := startRedis(t, embedded.RedisOptions{})
	if err := client.Set(t.Context(), "a", "1", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	still.Server().FastForward(time.Hour)
	if client.Exists(t.Context(), "a").Val() != 0 {
		t.Error("an hour has passed, and the key is there")
	}

	_, client = startRedis(t, embedded.RedisOptions{Clock: true})
	if err := client.Set(t.Context(), "a", "1", 10*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for client.Exists(ctx, "a").Val() != 0 {
		select {
		case <-ctx.Done():
			t.Fatal("no time passes")
		case <-ticker.C:
		}
	}
}

func TestRedisPassword(t *testing.T) {
	server, client := startRedis(t, embedded.RedisOptions{Password: "secret"})
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	stranger := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
	defer func() { _ = stranger.Close() }()
	if err := stranger.Set(t.Context(), "a", "1", 0).Err(); err == nil {
		t.Error("a stranger may write")
	}
}

func TestRedisAddress(t *testing.T) {
	server, _ := startRedis(t, embedded.RedisOptions{})
	if _, err := embedded.StartRedis(embedded.RedisOptions{Address: server.Addr()}); err == nil {
		t.Error("two servers at one address")
	}
}
