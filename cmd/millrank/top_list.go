package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
)

// topLists is the lists that there are of a board and a group.
type topLists struct {
	Board   string   `json:"board"`
	By      []string `json:"by"`
	Group   []string `json:"group"`
	Windows []string `json:"windows"` // their starts, in order
	keys    string   // what all of their keys begin with
}

// scanMax bounds how many keys of metas are taken in.
const scanMax = 200_000

// errScanMax says that there were more.
var errScanMax = errors.New("too many keys")

const windowKey = "20060102T150405Z"

// topList shows which lists there are.
func (a *app) topList(ctx context.Context, b *boardsIn, o topOptions) error {
	lists, err := b.lists(ctx, "")
	if errors.Is(err, errScanMax) {
		fmt.Fprintf(a.err, "There are more than %d lists: these are some. --board and --region narrow it down.\n", scanMax)
	} else if err != nil {
		return err
	}
	lists = slices.DeleteFunc(lists, func(l topLists) bool {
		return o.board != "" && l.Board != o.board || o.region != "" && !slices.Equal(l.Group, []string{o.region}) || o.by != "" && strings.Join(l.By, ",") != strings.TrimPrefix(o.by, "global")
	})
	if a.json {
		return json.NewEncoder(a.out).Encode(lists)
	}
	if len(lists) == 0 {
		_, err := fmt.Fprintln(a.out, b.nothing())
		return err
	}
	t := a.table("board", "of", "windows", "oldest", "newest")
	for _, l := range lists {
		row := table.Row{l.Board, topOfGroup(l.By, l.Group), len(l.Windows), "", ""}
		if n := len(l.Windows); n > 0 {
			row[3], row[4] = shortWindow(l.Windows[0]), shortWindow(l.Windows[n-1])
		}
		t.AppendRow(row)
	}
	t.Render()
	return nil
}

// nothing says that there is no list, and what to check.
func (b *boardsIn) nothing() string {
	return fmt.Sprintf("Redis at %s holds no leaderboards under the prefix %q. See 'millrank status' for whether it runs; a list is there as soon as its first events are counted, and gone %v after its "+
		"last change. Check redis.addresses, redis.db and redis.prefix", join(b.settings.Redis.Addresses), b.settings.Redis.Prefix, b.settings.RedisTTL())
}

// lists looks which lists there are whose keys begin with a text after the prefix.
func (b *boardsIn) lists(ctx context.Context, begin string) ([]topLists, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	found := map[string]*topLists{}
	var mu sync.Mutex
	keys := 0
	scan := func(ctx context.Context, client *goredis.Client) error {
		it := client.Scan(ctx, 0, "{"+globbed(b.settings.Redis.Prefix+begin)+"*}:meta", 1000).Iterator()
		for it.Next(ctx) {
			mu.Lock()
			keys++
			b.note(found, it.Val())
			full := keys >= scanMax
			mu.Unlock()
			if full {
				return errScanMax
			}
		}
		return it.Err()
	}
	var err error
	switch client := b.client.(type) {
	case *goredis.ClusterClient:
		err = client.ForEachMaster(ctx, scan)
	case *goredis.Client:
		err = scan(ctx, client)
	}
	if err != nil && !errors.Is(err, errScanMax) {
		return nil, b.unreadable(err)
	}
	lists := []topLists{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		l := *found[key]
		slices.Sort(l.Windows)
		l.Windows = slices.Compact(l.Windows)
		lists = append(lists, l)
	}
	return lists, err
}

// note takes in a meta's key: {prefix region:eu:top_k:board:20060102T150405Z}:meta, or without the window.
func (b *boardsIn) note(found map[string]*topLists, meta string) {
	key := strings.TrimSuffix(strings.TrimPrefix(meta, "{"+b.settings.Redis.Prefix), "}:meta")
	group, rest, ok := strings.Cut(key, "top_k:")
	if !ok {
		return // the default board's newest, or somebody else's
	}
	board, window, _ := strings.Cut(rest, ":")
	l := topLists{Board: board, By: []string{}, Group: []string{}, Windows: []string{}, keys: b.settings.Redis.Prefix + group + "top_k:" + board}
	if group != "global:" {
		words := strings.Split(strings.TrimSuffix(group, ":"), ":")
		if len(words)%2 != 0 {
			return
		}
		for i := 0; i < len(words); i += 2 {
			l.By, l.Group = append(l.By, decoded(words[i])), append(l.Group, decoded(words[i+1]))
		}
	}
	if found[l.keys] == nil {
		found[l.keys] = &l
	}
	if at, err := time.Parse(windowKey, window); err == nil {
		found[l.keys].Windows = append(found[l.keys].Windows, at.Format(time.RFC3339))
	}
}

// absent is the error of a list that isn't there: it says which there are.
func (b *boardsIn) absent(ctx context.Context, v topView, key string) error {
	board := b.sink.Keys(v.board.Name, v.by, event.NewGroup(v.group...)).Newest()
	lists, err := b.lists(ctx, strings.TrimPrefix(board, b.settings.Redis.Prefix))
	if err != nil && !errors.Is(err, errScanMax) {
		return err
	}
	for _, l := range lists {
		if l.keys != board || len(l.Windows) == 0 {
			continue
		}
		const most = 6
		newest := l.Windows[max(0, len(l.Windows)-most):]
		words := make([]string, len(newest))
		for i, w := range newest {
			words[i] = shortWindow(w)
		}
		return fmt.Errorf("%w: %s. Of this list there are %d windows, the newest begin at %s. One is gone %v after its last change%s",
			errNoList, key, len(l.Windows), strings.Join(words, ", "), b.settings.RedisTTL(), generationHint(v))
	}
	if lists, err = b.lists(ctx, ""); err != nil && !errors.Is(err, errScanMax) {
		return err
	}
	if len(lists) == 0 {
		return fmt.Errorf("%w: %s. %s%s", errNoList, key, b.nothing(), generationHint(v))
	}
	return fmt.Errorf("%w: %s. Nothing was counted there; 'millrank top --list' says which lists there are%s", errNoList, key, generationHint(v))
}

func generationHint(v topView) string {
	if v.generation == 0 {
		return ""
	}
	return fmt.Sprintf(". If generation %d is the one that readers see, leave --generation out", v.generation)
}

// topOfGroup says what a list is of, in words.
func topOfGroup(by, group []string) string {
	if len(by) == 0 {
		return "all"
	}
	words := make([]string, len(by))
	for i, name := range by {
		value := ""
		if i < len(group) {
			value = group[i]
		}
		words[i] = name + " " + printable(value)
	}
	return strings.Join(words, ", ")
}

// shortWindow leaves out what is always the same.
func shortWindow(start string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(start, "Z"), ".000"), ":00")
}

// globbed writes a text as a pattern that matches only that.
func globbed(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(s)
}

// decoded undoes the encoding of keys.
func decoded(s string) string {
	return strings.NewReplacer("%3A", ":", "%7B", "{", "%7D", "}", "%25", "%").Replace(s)
}
