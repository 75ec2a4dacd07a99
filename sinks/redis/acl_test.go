package redis_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sinks/redis"
)

// TestACL: a user with just the rights that docs/redis.md gives can write, activate, drop and rebuild; and an activation goes past what is in its way.
func TestACL(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	admin := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = admin.Close() })
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^ACL SETUSER millrank on >PASSWORD (.*)$").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("docs/redis.md has no line ACL SETUSER millrank")
	}
	ctx := t.Context()
	rules := []any{"ACL", "SETUSER", "millrank", "on", ">secret"}
	for rule := range strings.FieldsSeq(strings.ReplaceAll(found[1], "shop:", "acl:")) {
		rules = append(rules, rule)
	}
	if err := admin.Do(ctx, rules...).Err(); err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "millrank", Password: "secret", ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	active := uint32(1)
	sink := func(n uint32) *redis.Sink {
		s, err := redis.New(redis.Config{Client: client, Prefix: "acl:", Boards: boards(), Generation: n, Active: func() (uint32, int64) { return active, int64(active) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := sink(1), sink(2)
	board := boards().Boards[0].Name
	const lists = 50
	for n, s := range []*redis.Sink{first, second} {
		w := s.Writer(0, -1)
		for i := range lists {
			if _, err := w.Write(ctx, int64(i+1), event.NoTime, []event.Ranking{list(board, fmt.Sprintf("r%d", i), 0, int64(i+1), entry("a", float64(n+1)), entry("b", 0.5))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(ctx, int64(i+1), event.NoTime, []event.Ranking{list(board, fmt.Sprintf("r%d", i), 0, int64(i+100), entry("a", float64(n+1)))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := second.Late(ctx, []redis.Late{{Group: event.NewGroup("r1"), Pane: 0, Source: "x", Partition: 0, Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := admin.Set(ctx, "{acl:region:zz:top_k:other}:meta", "of somebody else", 0).Err(); err != nil {
		t.Fatal(err)
	}
	active = 2
	if err := second.Activate(ctx, 2, 2); err != nil {
		t.Fatal(err)
	}
	for i := range lists {
		key := fmt.Sprintf("acl:region:r%d:top_k:%s", i, board)
		if g := admin.HGet(ctx, redis.Meta(key), "generation").Val(); g != "2" {
			t.Fatalf("%s shows generation %q, want 2", key, g)
		}
	}
	if err := second.Lose(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := second.Drop(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if keys := admin.Keys(ctx, "*:g1*").Val(); len(keys) > 0 {
		t.Errorf("keys of the dropped generation: %v", keys)
	}
}
