package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/redis"
)

// Result is what came of comparing a stream's lists with those that are known to be right.
type Result struct {
	Stream      string   `json:"stream"`
	Lists       int      `json:"lists"`       // that are known
	Equal       int      `json:"equal"`       // of those
	Differences []string `json:"differences"` // some of them

	HistoryLists   int   `json:"history_lists,omitempty"`  // of those that are known, as many are in ClickHouse, final and equal
	HistoryEvents  int64 `json:"history_events,omitempty"` // that ClickHouse has counted
	historyDiffers string
}

// patience is how long nothing may happen until all lists are final.
const patience = time.Minute

// check waits until all lists are final, and compares them with the known ones.
func check(ctx context.Context, client *goredis.Client, s *stream, lists map[event.ListKey]sim.ExpectedList) (Result, error) {
	known := s.byKey(lists)
	r := Result{Stream: s.name, Lists: len(known)}
	keys := slices.Sorted(maps.Keys(known))
	most, since := -1, time.Now()
	for {
		final, equal, differences, err := compare(ctx, client, keys, known)
		if err != nil {
			return r, err
		}
		if final > most {
			most, since = final, time.Now()
		}
		r.Equal, r.Differences = equal, differences
		if final == len(keys) || time.Since(since) > patience {
			return r, nil
		}
		if err := after(ctx, 200*time.Millisecond); err != nil {
			return r, err
		}
	}
}

// byKey returns lists by their keys in Redis.
func (s *stream) byKey(lists map[event.ListKey]sim.ExpectedList) map[string]sim.ExpectedList {
	known := make(map[string]sim.ExpectedList, len(lists))
	for k, list := range lists {
		known[s.key(k)] = list
	}
	return known
}

// compare reads lists, and returns how many are final, and how many of those are as they should be.
func compare(ctx context.Context, client *goredis.Client, keys []string, known map[string]sim.ExpectedList) (final, equal int, differences []string, err error) {
	for chunk := range slices.Chunk(keys, 500) {
		lists, metas := make([]*goredis.ZSliceCmd, len(chunk)), make([]*goredis.MapStringStringCmd, len(chunk))
		_, err := client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for i, key := range chunk {
				lists[i], metas[i] = p.ZRevRangeWithScores(ctx, key, 0, -1), p.HGetAll(ctx, redis.Meta(key))
			}
			return nil
		})
		if err != nil {
			return 0, 0, nil, fmt.Errorf("reading Redis: %w", err)
		}
		for i, key := range chunk {
			meta := metas[i].Val()
			if meta["final"] == "1" {
				final++
			}
			if difference := differs(lists[i].Val(), known[key]); difference != "" {
				differences = append(differences, key+": "+difference)
			} else if meta["final"] == "1" && meta["exact"] == "1" {
				equal++
			} else {
				differences = append(differences, key+": it is not final, or not exact")
			}
		}
	}
	return final, equal, differences[:min(len(differences), 5)], nil
}

// differs says how a list differs from what it should be; "" where it doesn't.
func differs(got []goredis.Z, want sim.ExpectedList) string {
	if len(got) != len(want.Top) {
		return fmt.Sprintf("%d items, want %d", len(got), len(want.Top))
	}
	for i, w := range want.Top {
		if got[i].Member != w.Item || got[i].Score != float64(w.Score) {
			return fmt.Sprintf("place %d is %v with %v, want %s with %d", i+1, got[i].Member, got[i].Score, w.Item, w.Score)
		}
	}
	return ""
}
