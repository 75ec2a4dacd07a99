package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/operators"
)

// closed has a client closed with the test.
func closed[C goredis.UniversalClient](t *testing.T, client C) C {
	t.Helper()
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func good(t *testing.T) Config {
	t.Helper()
	return Config{
		Client: closed(t, goredis.NewClient(&goredis.Options{ContextTimeoutEnabled: true})),
		Boards: operators.Boards{
			Pane: time.Second, Dimensions: []string{"region", "global", "top_k"}, AllowedLateness: 30 * time.Second,
			Boards: []operators.Board{
				{Name: "views", K: 3, Window: operators.Window{Size: time.Hour}, By: [][]string{{}, {"region"}}},
				{Name: "days", K: 3, Window: operators.Window{Size: 24 * time.Hour}, By: [][]string{{}}},
			},
		},
	}
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no client":            {func(c *Config) { c.Client = nil }, "Client is missing"},
		"a ring":               {func(c *Config) { c.Client = closed(t, goredis.NewRing(&goredis.RingOptions{})) }, "Client is a Ring"},
		"a client's timeouts":  {func(c *Config) { c.Client = closed(t, goredis.NewClient(&goredis.Options{})) }, "ContextTimeoutEnabled"},
		"a cluster's timeouts": {func(c *Config) { c.Client = closed(t, goredis.NewClusterClient(&goredis.ClusterOptions{})) }, "ContextTimeoutEnabled"},
		"prefix":               {func(c *Config) { c.Prefix = "{g1}" }, `Prefix is "{g1}"`},
		"timeout":              {func(c *Config) { c.Timeout = -1 }, "Timeout is -1ns"},
		"remember":             {func(c *Config) { c.Remember = -1 }, "Remember is -1"},
		"boards":               {func(c *Config) { c.Boards.Boards[0].K = 0 }, "K is 0"},
		"default board":        {func(c *Config) { c.DefaultBoard = "none" }, `DefaultBoard is "none"`},
		"time to live":         {func(c *Config) { c.TTL = 24 * time.Hour }, `TTL is 24h0m0s; board "days" can change a list until 24h0m30s`},
		"slides": {func(c *Config) {
			c.Boards.Pane, c.Boards.Boards[0].Window = 500*time.Millisecond, operators.Window{Size: 1500 * time.Millisecond}
		}, "whole seconds"},
		"offset": {func(c *Config) {
			c.Boards.Pane, c.Boards.Boards[0].Window.Offset = 500*time.Millisecond, 500*time.Millisecond
		}, "whole seconds"},
		"global": {func(c *Config) { c.Boards.Boards[0].By = [][]string{{"global"}} }, `a dimension can't be called "global"`},
		"top_k":  {func(c *Config) { c.Boards.Boards[0].By = [][]string{{"region", "top_k"}} }, `a dimension can't be called "top_k"`},
	} {
		c := good(t)
		test.change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := New(good(t))
	if err != nil {
		t.Fatal(err)
	}
	if c := s.config; c.DefaultBoard != "views" || c.TTL != 48*time.Hour || c.Timeout != 5*time.Second {
		t.Errorf("%+v", c)
	}
	long := good(t)
	long.Boards.Boards[1].Window.Size = 7 * 24 * time.Hour
	if s, err := New(long); err != nil || s.config.TTL != 7*24*time.Hour+30*time.Second {
		t.Errorf("%v", err)
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]error{
		"OOM command not allowed when used memory > 'maxmemory'.": ErrFull,
		"READONLY You can't write against a read only replica.":   ErrReadOnly,
		"NOREPLICAS Not enough good replicas to write.":           ErrReadOnly,
		"LOADING Redis is loading the dataset in memory":          ErrLoading,
		"MASTERDOWN Link with MASTER is down":                     ErrLoading,
		"CLUSTERDOWN The cluster is down":                         ErrClusterDown,
		"TRYAGAIN Multiple keys request during rehashing of slot": ErrClusterDown,
		"NOAUTH Authentication required.":                         ErrRefused,
		"NOPERM this user has no permissions":                     ErrRefused,
	} {
		if err := Explain(redisError(text)); !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// redisError is an error as a server answers it.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestCallTakesOnlyWhatScriptsAnswer(t *testing.T) {
	for _, reply := range []any{nil, "OK", []any{int64(1)}, []any{"1", "id", int64(3)}, []any{int64(1), int64(2), int64(3)}} {
		c := &call{}
		if c.take(reply, nil); c.err == nil {
			t.Errorf("%v is taken", reply)
		}
	}
	c := &call{}
	if c.take([]any{int64(1), "id", int64(3)}, nil); c.err != nil || c.answer != 1 || c.id != "id" || c.seq != 3 {
		t.Errorf("%+v", c)
	}
}
