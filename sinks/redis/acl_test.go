package redis_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sinks/redis"
)

// TestACL: a user with just the rights of deployments/acl/redis.acl can write, activate, drop and rebuild; and an activation goes past what is in its way. A reader
// can read, and nothing else.
func TestACL(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	admin := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = admin.Close() })
	ctx := t.Context()
	for user, rules := range aclRules(t) {
		do := []any{"ACL", "SETUSER", user}
		for rule := range strings.FieldsSeq(strings.ReplaceAll(rules, "shop:", "acl:")) {
			do = append(do, rule)
		}
		if err := admin.Do(ctx, do...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "millrank", Password: "PASSWORD", ClientName: "millrank", ContextTimeoutEnabled: true})
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
	reader := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "millrank-reader", Password: "READER_PASSWORD"})
	t.Cleanup(func() { _ = reader.Close() })
	key := "acl:region:r1:top_k:" + board
	var members *goredis.StringSliceCmd
	if _, err := reader.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		members = p.ZRevRange(ctx, key, 0, 9)
		p.HGetAll(ctx, redis.Meta(key))
		return nil
	}); err != nil || len(members.Val()) == 0 {
		t.Errorf("a reader sees %v (%v)", members, err)
	}
	for _, forbidden := range []*goredis.IntCmd{reader.ZAdd(ctx, key, goredis.Z{Score: 1, Member: "x"}), reader.Del(ctx, key), reader.Exists(ctx, "other")} {
		if err := forbidden.Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("a reader may %v: %v", forbidden.Args(), err)
		}
	}
}

// aclRules returns the rules of each user in deployments/acl/redis.acl, and sees that docs/redis.md has the same.
func aclRules(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deployments/acl/redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for line := range strings.Lines(string(text)) {
		user, rules, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "user "), " ")
		if !ok {
			t.Fatalf("deployments/acl/redis.acl: what is %q?", line)
		}
		users[user] = rules
		if want := "ACL SETUSER " + user + " " + rules + "\n"; !strings.Contains(string(docs), want) {
			t.Errorf("docs/redis.md lacks the line %s", want)
		}
	}
	if len(users) != 2 {
		t.Fatalf("deployments/acl/redis.acl has the users %v; want millrank and millrank-reader", users)
	}
	return users
}
