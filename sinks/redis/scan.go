package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// scanCount is how many keys a server looks at for one SCAN.
const scanCount = 1000

// scan returns the keys of all lists, of whatever generation: by SCAN, which lets the server do other things in between.
// It doesn't return what is made meanwhile.
func (s *Sink) scan(ctx context.Context) ([]string, error) {
	found := map[string]struct{}{}
	var others []string // prefixes of others' keys that begin with ours
	err := s.each(ctx, "{"+glob(s.config.Prefix)+"*}:*", func(key string) {
		list, _, ok := s.parse(key)
		switch {
		case ok:
			found[list] = struct{}{}
		case strings.HasSuffix(list, pointerName) && list != s.config.Prefix+pointerName:
			others = append(others, strings.TrimSuffix(list, pointerName))
		}
	})
	if err != nil {
		return nil, err
	}
	lists := make([]string, 0, len(found))
	for list := range found {
		if !slices.ContainsFunc(others, func(prefix string) bool { return strings.HasPrefix(list, prefix) }) {
			lists = append(lists, list)
		}
	}
	slices.Sort(lists)
	return lists, nil
}

// parse takes {X}:meta, {X}:gN or {X}:gN:meta apart; generation is 0 for the first. ok says that X can be one of our lists.
func (s *Sink) parse(key string) (list string, generation uint32, ok bool) {
	list, rest, found := strings.Cut(strings.TrimPrefix(key, "{"), "}:")
	if !found {
		return "", 0, false
	}
	if rest != "meta" {
		number, isShadow := strings.CutPrefix(strings.TrimSuffix(rest, ":meta"), "g")
		n, err := strconv.ParseUint(number, 10, 32)
		if !isShadow || err != nil {
			return "", 0, false
		}
		generation = uint32(n)
	}
	name, ours := strings.CutPrefix(list, s.config.Prefix)
	return list, generation, ours && (strings.HasPrefix(name, global+":"+topK) || strings.Contains(name, ":"+topK))
}

// each calls take with all keys that match a pattern, some of them more than once.
func (s *Sink) each(ctx context.Context, pattern string, take func(key string)) error {
	var mu sync.Mutex // a cluster's masters are asked side by side
	one := func(ctx context.Context, client goredis.Cmdable) error {
		for cursor := uint64(0); ; {
			once, cancel := context.WithTimeout(ctx, s.config.Timeout)
			keys, next, err := client.Scan(once, cursor, pattern, scanCount).Result()
			cancel()
			if err != nil {
				return fmt.Errorf("looking which keys there are: %w", err)
			}
			mu.Lock()
			for _, key := range keys {
				take(key)
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	var err error
	if cluster, ok := s.config.Client.(*goredis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error { return one(ctx, master) })
	} else {
		err = one(ctx, s.config.Client)
	}
	if err != nil {
		return Explain(err)
	}
	return nil
}

// glob writes a text as a pattern that matches only that.
func glob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(s)
}
