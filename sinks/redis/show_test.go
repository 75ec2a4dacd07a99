package redis

import (
	"errors"
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
)

// TestShow moves one list, as in a cluster, with what writers leave that don't know yet which generation is active.
func TestShow(t *testing.T) {
	server, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := closed(t, goredis.NewClient(&goredis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true}))
	c := good(t)
	c.Client = client
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	// A list is its generation, epoch and revision; at "" is the public one.
	type lists map[string][3]int
	for name, test := range map[string]struct {
		before, after lists
		generation    uint32
		epoch         int64
		want          error
	}{
		"nothing":                     {lists{}, lists{}, 1, 1, nil},
		"its own":                     {lists{"": {1, 1, 5}}, lists{"": {1, 2, 5}}, 1, 2, nil},
		"another one's":               {lists{"": {1, 1, 5}, ":g2": {2, 1, 3}}, lists{"": {2, 2, 3}, ":g1": {1, 2, 5}}, 2, 2, nil},
		"put aside":                   {lists{"": {1, 1, 5}}, lists{":g1": {1, 2, 5}}, 2, 2, nil},
		"brought":                     {lists{":g2": {2, 1, 3}, ":g3": {3, 1, 9}}, lists{"": {2, 2, 3}, ":g3": {3, 1, 9}}, 2, 2, nil},
		"later":                       {lists{"": {1, 3, 5}, ":g2": {2, 1, 3}}, lists{"": {1, 3, 5}, ":g2": {2, 1, 3}}, 2, 2, errSwitching},
		"left aside":                  {lists{"": {1, 3, 5}, ":g1": {1, 2, 8}}, lists{"": {1, 3, 5}}, 1, 3, nil},
		"left aside, again":           {lists{"": {1, 3, 5}, ":g1": {1, 2, 8}}, lists{":g1": {1, 4, 5}}, 2, 4, nil},
		"left in public":              {lists{"": {1, 1, 8}, ":g1": {1, 2, 5}, ":g2": {2, 1, 3}}, lists{"": {2, 2, 3}, ":g1": {1, 2, 5}}, 2, 2, nil},
		"of one epoch, the newer one": {lists{"": {1, 1, 8}, ":g1": {1, 1, 5}}, lists{":g1": {1, 2, 8}}, 2, 2, nil},
		"without generations":         {lists{"": {0, 0, 8}, ":g1": {1, 1, 5}}, lists{"": {0, 0, 8}, ":g1": {1, 1, 5}}, 1, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			client.FlushAll(ctx)
			at := func(where string) (list, meta string) {
				if where == "" {
					return "x", "{x}:meta"
				}
				return "{x}" + where, "{x}" + where + ":meta"
			}
			for where, l := range test.before {
				list, meta := at(where)
				client.ZAdd(ctx, list, goredis.Z{Score: 1, Member: fmt.Sprint(l[0], l[2])})
				client.HSet(ctx, meta, "start", "2026", "revision", l[2])
				if l[0] > 0 {
					client.HSet(ctx, meta, "generation", l[0], "epoch", l[1])
				}
			}
			if err := s.show(ctx, pointer{generation: test.generation, epoch: test.epoch}, []string{"x"}); !errors.Is(err, test.want) {
				t.Error(err)
			}
			if n := client.DBSize(ctx).Val(); n != int64(2*len(test.after)) {
				t.Errorf("%d keys: %q", n, client.Keys(ctx, "*").Val())
			}
			for where, l := range test.after {
				list, meta := at(where)
				if got, want := client.ZRange(ctx, list, 0, -1).Val(), []string{fmt.Sprint(l[0], l[2])}; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s holds %v, want %v", list, got, want)
				}
				h := client.HGetAll(ctx, meta).Val()
				if got, want := h["generation"]+" "+h["epoch"]+" "+h["revision"], fmt.Sprint(l[0], l[1], l[2]); l[0] > 0 && got != want {
					t.Errorf("%s is %v, want %v", meta, got, want)
				}
			}
		})
	}
}
