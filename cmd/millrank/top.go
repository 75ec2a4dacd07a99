package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/redis"
)

// topOptions are what 'millrank top' is asked.
type topOptions struct {
	from                      string
	board, region, by, window string
	group                     []string
	k                         int
	generation                uint32
	watch, list               bool
	every                     time.Duration
}

func (a *app) topCommand() *cobra.Command {
	var o topOptions
	c := &cobra.Command{
		Use: "top", Short: "Show a leaderboard", Args: noArgs, GroupID: "look",
		Long: `Shows a leaderboard out of Redis: rank, item, score; and below it what is to be known of it: which window that is, whether it is final, whether it is exact or
off by at most how much, how far time had come, and how many events were dropped as duplicates or came too late. List and facts are of one moment.

Without flags it shows the first board's newest window, all regions together. --watch shows it as it changes, and marks whose rank has changed: arrows up and down
change the board, left and right the window, tab the region; q quits. Without a terminal it shows it once.

--window takes newest; final, the newest that is final; previous, the one before the newest; or a time in UTC, for the window that begins there or last before it.

--from clickhouse shows it out of the history: of any window that there ever was, and also where there is no Redis.

With --json, max_error is a number, or "inf" where it isn't known. --list says which boards, regions and windows there are.`,
		Example: `  millrank top
  millrank top --board likes --region eu --watch
  millrank top --by region,category --group eu --group shoes --window final -k 3
  millrank top --window 2026-01-02T15:00 --json
  millrank top --from clickhouse --window 2025-12-24
  millrank top --list`,
		RunE: func(c *cobra.Command, _ []string) error { return a.top(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "redis", "redis, or clickhouse")
	f.StringVarP(&o.board, "board", "b", "", "which board (default: redis.default_board, or the first)")
	f.StringVarP(&o.region, "region", "r", "", "one region's list: short for --by region --group REGION")
	f.StringVar(&o.by, "by", "", "a list by these dimensions, joined by commas, as in the board's 'by'")
	f.StringArrayVar(&o.group, "group", nil, "with --by: the value of each dimension, in turn (repeat it)")
	f.StringVar(&o.window, "window", "newest", "newest, final, previous, or a time such as 2026-01-02T15:00")
	f.IntVarP(&o.k, "top", "k", 10, "how many items")
	f.Uint32Var(&o.generation, "generation", 0, "of a generation that readers don't see: its number")
	f.BoolVarP(&o.watch, "watch", "w", false, "show it as it changes")
	f.DurationVar(&o.every, "every", 500*time.Millisecond, "with --watch: how often to look")
	f.BoolVar(&o.list, "list", false, "list which boards, regions and windows there are")
	a.jsonFlag(c)
	return c
}

func (a *app) top(ctx context.Context, o topOptions) error {
	if o.k < 1 {
		return usage(fmt.Errorf("--top %d: give 1 or more", o.k))
	}
	s, err := a.load()
	if err != nil {
		return err
	}
	switch o.from {
	case "redis":
	case "clickhouse":
		return a.topHistory(ctx, s, o)
	default:
		return usage(fmt.Errorf("--from %q is not redis or clickhouse", o.from))
	}
	boards, err := openBoards(s)
	if err != nil {
		return usage(err)
	}
	defer boards.client.Close() //nolint:errcheck // it was only read from
	if o.list {
		return a.topList(ctx, boards, o)
	}
	view, err := viewOf(s, o)
	if err != nil {
		return usage(err)
	}
	if o.watch && !a.json && terminal(a.out) {
		w := newTopWatch(boards, view)
		return a.live(ctx, o.every, w.key, func(width int) (string, error) { return w.show(ctx, a, width) })
	}
	shown, err := boards.read(ctx, view)
	if err != nil {
		return err
	}
	return a.topOnce(shown)
}

// topOnce shows a list.
func (a *app) topOnce(shown *topShown) error {
	if a.json {
		return a.writeJSON(shown)
	}
	_, err := fmt.Fprint(a.out, a.topText(shown, nil, 0))
	return err
}

// topHistory shows a list out of ClickHouse.
func (a *app) topHistory(ctx context.Context, s settings.Settings, o topOptions) error {
	if o.list {
		return usage(errors.New("--list is of Redis; 'millrank status --from clickhouse' says what the history has"))
	}
	view, err := viewOf(s, o)
	if err != nil {
		return usage(err)
	}
	h, err := openHistory(s)
	if err != nil {
		return err
	}
	defer h.conn.Close() //nolint:errcheck // it was only read from
	if o.watch && !a.json && terminal(a.out) {
		return a.live(ctx, max(o.every, time.Second), nil, func(width int) (string, error) {
			shown, err := h.read(ctx, view)
			if err != nil {
				return "", err
			}
			return a.topText(shown, nil, width), nil
		})
	}
	shown, err := h.read(ctx, view)
	if err != nil {
		return err
	}
	return a.topOnce(shown)
}

// boardsIn is the boards of a stream in Redis.
type boardsIn struct {
	settings settings.Settings
	client   goredis.UniversalClient
	sink     *redis.Sink // for its keys
}

func openBoards(s settings.Settings) (*boardsIn, error) {
	if len(s.Redis.Addresses) == 0 {
		return nil, errors.New("redis.addresses is empty: there are no leaderboards in Redis to look at")
	}
	options, err := s.RedisOptions()
	if err != nil {
		return nil, fmt.Errorf("redis.tls: %w", err)
	}
	client := goredis.NewUniversalClient(options)
	sink, err := redis.New(redis.Config{Client: client, Prefix: s.Redis.Prefix, DefaultBoard: s.Redis.DefaultBoard, Boards: s.Rankings()})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &boardsIn{settings: s, client: client, sink: sink}, nil
}

// topView is which list is looked at.
type topView struct {
	board      settings.Board
	by         string // "" for all together
	group      []string
	window     string // newest, final, previous, at
	start      time.Time
	k          int
	generation uint32
}

// Words of --window.
const (
	windowNewest   = "newest"
	windowFinal    = "final"
	windowPrevious = "previous"
	windowAt       = "at"
)

// viewOf makes sure that there is such a list, by the settings.
func viewOf(s settings.Settings, o topOptions) (topView, error) {
	v := topView{k: o.k, window: o.window, generation: o.generation}
	var err error
	if v.board, err = boardOf(s, o.board); err != nil {
		return v, err
	}
	if v.by, v.group, err = topGroup(v.board, o); err != nil {
		return v, err
	}
	switch o.window {
	case windowNewest, windowFinal, windowPrevious:
		return v, nil
	}
	at, err := parseTime(o.window)
	if err != nil {
		return v, fmt.Errorf("--window %q is not newest, final, previous or a time such as 2026-01-02T15:00 (UTC)", o.window)
	}
	v.window, v.start = windowAt, windowOf(v.board, at)
	return v, nil
}

// windowOf returns when the window begins that begins at a time, or last before it.
func windowOf(b settings.Board, at time.Time) time.Time {
	slide, offset := topSlide(b).Milliseconds(), b.Offset.Std().Milliseconds()
	since := (at.UnixMilli() - offset) % slide
	if since < 0 {
		since += slide
	}
	return time.UnixMilli(at.UnixMilli() - since).UTC()
}

// topSlide is how far apart a board's windows begin.
func topSlide(b settings.Board) time.Duration {
	if b.Slide == 0 {
		return b.Window.Std()
	}
	return b.Slide.Std()
}

// parseTime reads a time, in UTC where it doesn't say.
func parseTime(text string) (time.Time, error) {
	var last error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "20060102T150405Z"} {
		t, err := time.Parse(layout, text)
		if err == nil {
			return t.UTC(), nil
		}
		last = err
	}
	return time.Time{}, last
}

// key returns where a list is, but for the one before the newest, which is at start.
func (b *boardsIn) key(v topView) string {
	keys := b.sink.Keys(v.board.Name, v.by, event.NewGroup(v.group...))
	key := keys.Window(v.start.UnixMilli())
	switch v.window {
	case windowNewest:
		key = keys.Newest()
	case windowFinal:
		key = keys.Final()
	}
	if v.generation != 0 {
		key = redis.Shadow(key, v.generation)
	}
	return key
}
