package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/redis"
)

// topShown is a list as it was at one moment, for --json as well.
type topShown struct {
	Board    string    `json:"board"`
	By       []string  `json:"by"` // names of dimensions; empty: all together
	Group    []string  `json:"group"`
	Measure  string    `json:"measure"`
	Order    string    `json:"order"`
	Key      string    `json:"key"`
	Start    string    `json:"start"`
	End      string    `json:"end"`
	Final    bool      `json:"final"`
	Exact    bool      `json:"exact"`
	MaxError any       `json:"max_error"` // a number, or "inf" where it isn't known
	Revision int64     `json:"revision"`
	Mark     string    `json:"watermark,omitempty"`
	Updated  string    `json:"updated_at"`
	Dups     int64     `json:"duplicates"`
	Late     int64     `json:"late"`
	Items    []topItem `json:"items"`

	offBy string // max_error as it is stored
}

// topItem is a line of a list.
type topItem struct {
	Rank  int     `json:"rank"`
	Item  string  `json:"item"`
	Score float64 `json:"score"`
}

// errNoList says that a list isn't there.
var errNoList = errors.New("there is no such list in Redis")

// read reads a list and its meta, of one moment. The error is errNoList where there is none, with what there is.
func (b *boardsIn) read(ctx context.Context, v topView) (*topShown, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*b.settings.Redis.Timeout.Std())
	defer cancel()
	if v.window == windowPrevious {
		newest := v
		newest.window, newest.k = windowNewest, 1
		shown, err := b.read(ctx, newest)
		if err != nil {
			return nil, err
		}
		start, err := time.Parse(time.RFC3339, shown.Start)
		if err != nil {
			return nil, fmt.Errorf("the meta of %s: %w", shown.Key, err)
		}
		v.window, v.start = windowAt, start.Add(-topSlide(v.board))
	}
	key := b.key(v)
	var items *goredis.ZSliceCmd
	var meta *goredis.MapStringStringCmd
	ask := func(p goredis.Pipeliner) error {
		if v.board.Order == "bottom" {
			items = p.ZRangeWithScores(ctx, key, 0, int64(v.k-1))
		} else {
			items = p.ZRevRangeWithScores(ctx, key, 0, int64(v.k-1))
		}
		meta = p.HGetAll(ctx, redis.Meta(key))
		return nil
	}
	_, err := b.client.TxPipelined(ctx, ask)
	if err != nil && strings.HasPrefix(err.Error(), "OOM") { // full, it refuses MULTI, too
		_, err = b.client.Pipelined(ctx, ask)
	}
	if err != nil {
		return nil, b.unreadable(err)
	}
	if len(meta.Val()) == 0 {
		return nil, b.absent(ctx, v, key)
	}
	return topOf(v, key, items.Val(), meta.Val()), nil
}

func (b *boardsIn) unreadable(err error) error {
	return fmt.Errorf("reading Redis at %s: %w; check redis.addresses and what else is under redis", join(b.settings.Redis.Addresses), redis.Explain(err))
}

func topOf(v topView, key string, items []goredis.Z, meta map[string]string) *topShown {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(meta[name], 10, 64) // what is missing is 0
		return n
	}
	shown := &topShown{
		Board: v.board.Name, By: topBy(v.by), Group: append([]string{}, v.group...), Measure: v.board.Measure, Order: v.board.Order, Key: key,
		Start: meta["start"], End: meta["end"], Final: meta["final"] == "1", Exact: meta["exact"] != "0", MaxError: 0,
		Revision: number("revision"), Mark: meta["watermark"], Updated: meta["updated_at"], Dups: number("duplicates"), Late: number("late"),
		Items: []topItem{}, offBy: meta["max_error"],
	}
	if off, err := strconv.ParseFloat(meta["max_error"], 64); err == nil && off < 1e300 {
		shown.MaxError = off
	} else if meta["max_error"] != "" {
		shown.MaxError = "inf"
	}
	for i, z := range items {
		item, _ := z.Member.(string)
		shown.Items = append(shown.Items, topItem{i + 1, item, z.Score})
	}
	return shown
}

func topBy(by string) []string {
	if by == "" {
		return []string{}
	}
	return strings.Split(by, ",")
}

// boardOf finds a board by its name; "" is the default one.
func boardOf(s settings.Settings, name string) (settings.Board, error) {
	if name == "" {
		name = s.Redis.DefaultBoard
	}
	names := []string{}
	for _, board := range s.Boards {
		if board.Name == name || name == "" {
			return board, nil
		}
		names = append(names, board.Name)
	}
	return settings.Board{}, fmt.Errorf("there is no board %q: there are %s", name, strings.Join(names, ", "))
}

// topGroup finds out which list of a board is meant.
func topGroup(board settings.Board, o topOptions) (by string, group []string, err error) {
	by, group = o.by, o.group
	if o.region != "" {
		if by != "" || len(group) > 0 {
			return "", nil, errors.New("--region is short for --by region --group REGION: give one of both")
		}
		by, group = "region", []string{o.region}
	}
	if by == "global" {
		by = ""
	}
	if want := len(topBy(by)); want != len(group) {
		return "", nil, fmt.Errorf("--by %q takes %d values, and there are %d: give --group for each", by, want, len(group))
	}
	named := by
	if by == "" {
		named = "global"
	}
	if !slices.Contains(board.By, named) {
		return "", nil, fmt.Errorf("board %s has no lists by %s: it has %s", board.Name, named, strings.Join(board.By, "; "))
	}
	return by, group, nil
}
