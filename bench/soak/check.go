package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/redis"
)

// exactness is how far all that came out is what must come out.
type exactness struct {
	Records     int64            `json:"records"`
	Decided     map[string]int64 `json:"decided"` // by the oracle
	Panes       int64            `json:"panes"`
	Cells       int64            `json:"cells"` // compared in ClickHouse, each with its count, sum, least, most and duplicates
	Lists       int64            `json:"lists"` // compared in Redis and in ClickHouse
	Differences int64            `json:"differences"`
	First       []string         `json:"first_differences,omitempty"`
}

const differencesShown = 50

func (e *exactness) differf(format string, args ...any) {
	if e.Differences++; e.Differences <= differencesShown {
		e.First = append(e.First, fmt.Sprintf(format, args...))
	}
}

// checker compares what is in Redis and ClickHouse with the oracle, pane by pane.
type checker struct {
	ctx      context.Context //nolint:containedctx // it is the check's, which is one call
	settings settings.Settings
	regions  []string
	redis    *goredis.Client
	sink     *redis.Sink // for the names of keys
	history  driver.Conn
	patience time.Duration // what is left of it: how long what isn't there yet is waited for, all in all
	result   exactness

	events, duplicates int64
	filled             int64 // lists that aren't empty
}

func newChecker(ctx context.Context, g *rig) (*checker, error) {
	address, err := g.history.addr()
	if err != nil {
		return nil, err
	}
	c := &checker{
		ctx: ctx, settings: g.settings, regions: g.producer.stream.regions, patience: g.config.patience,
		redis: goredis.NewClient(&goredis.Options{Addr: g.redis.Addr(), ContextTimeoutEnabled: true}),
	}
	if c.history, err = clickhouse.Open(&clickhouse.Options{Addr: []string{address}, Protocol: clickhouse.HTTP, ReadTimeout: 5 * time.Minute}); err != nil {
		return nil, fmt.Errorf("ClickHouse: %w", err)
	}
	if c.sink, err = redis.New(redis.Config{Client: c.redis, Prefix: g.settings.Redis.Prefix, Boards: g.settings.Rankings()}); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *checker) close() error { return errors.Join(c.redis.Close(), c.history.Close()) }

// check makes the records again, has the oracle judge them, and compares. made is how many were produced. far is told how far it is.
func (c *checker) check(w workload.Settings, made int64, letters lettersTopic, far func(done int64)) (exactness, error) {
	source := newStream(w)
	var failed error
	o := newOracle(c.settings.Fold(), c.settings.Rankings().Boards, w.Partitions, c.regions, workload.First, func(f finished) {
		if failed == nil {
			failed = c.pane(f)
		}
	})
	for r := (record{}); c.result.Records < made && source.make(&r) && failed == nil; {
		o.add(&r)
		if c.result.Records++; c.result.Records%(1<<15) == 0 {
			o.advance()
			far(c.result.Records)
			failed = errors.Join(failed, context.Cause(c.ctx))
		}
	}
	o.end()
	if failed != nil {
		return c.result, failed
	}
	c.result.Decided = map[string]int64{}
	for d, n := range o.decided {
		if n > 0 {
			c.result.Decided[event.Decision(d).String()] = n
		}
	}
	return c.result, errors.Join(c.load(source, letters), c.lettersIn(o, letters), c.nothingElse())
}

// settle tries until there is no difference, or no patience left; then the difference stands. An error is one that the question itself has.
func (c *checker) settle(try func() (string, error)) (string, error) {
	for {
		difference, err := try()
		if err != nil || difference == "" || c.patience <= 0 {
			return difference, err
		}
		const pause = time.Second
		select {
		case <-time.After(pause):
			c.patience -= pause
		case <-c.ctx.Done():
			return difference, context.Cause(c.ctx)
		}
	}
}

// compare notes a difference that stays.
func (c *checker) compare(what string, try func() (string, error)) error {
	difference, err := c.settle(try)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if difference != "" {
		c.result.differf("%s: %s", what, difference)
	}
	return nil
}

// pane compares a pane, and the lists of the windows that end with it.
func (c *checker) pane(f finished) error {
	for _, one := range f.cells {
		c.events += one.count
		c.duplicates += one.duplicates
	}
	if len(f.cells) > 0 {
		c.result.Panes++
	}
	c.result.Cells += int64(len(f.cells))
	if err := c.compare("cells of "+clock(f.start), func() (string, error) { return c.cells(f) }); err != nil {
		return err
	}
	byWindow := map[event.ListKey][]list{}
	for _, l := range f.lists {
		c.result.Lists++
		if len(l.entries) > 0 {
			c.filled++
		}
		if err := c.compare("Redis, list "+listName(l.key()), func() (string, error) { return c.inRedis(l) }); err != nil {
			return err
		}
		window := event.ListKey{Board: l.board.Name, Start: l.start}
		byWindow[window] = append(byWindow[window], l)
	}
	for _, window := range slices.SortedFunc(maps.Keys(byWindow), event.ListKey.Compare) {
		if err := c.compare("ClickHouse, lists "+listName(window), func() (string, error) { return c.inHistory(window, byWindow[window]) }); err != nil {
			return err
		}
	}
	return nil
}

func clock(milli int64) string { return time.UnixMilli(milli).UTC().Format(time.DateTime) }

func listName(k event.ListKey) string {
	return fmt.Sprintf("%s %v of %s", k.Board, k.Group.Values(), clock(k.Start))
}

// cells compares what ClickHouse has of a pane.
func (c *checker) cells(f finished) (string, error) {
	wrong := differences{}
	seen := 0
	err := c.each(`SELECT region, item_id, events, value_sum, value_min, value_max, duplicates, exact FROM millrank.item_counts
		WHERE source = {source:String} AND pane_start = fromUnixTimestamp64Milli({start:Int64})`, func(scan func(...any) error) error {
		var region, item string
		var got cell
		var sum, least, most float64
		var exact bool
		if err := scan(&region, &item, &got.count, &sum, &least, &most, &got.duplicates, &exact); err != nil {
			return err
		}
		got.sum, got.least, got.most = int64(sum), int64(least), int64(most)
		seen++
		want := c.cellOf(f.cells, region, item)
		if want == nil || *want != got || !exact {
			wrong.addf("%s in %s is %v, want %v", item, region, got, want)
		}
		return nil
	}, clickhouse.Named("start", f.start))
	if seen != len(f.cells) {
		wrong.addf("%d cells, want %d", seen, len(f.cells))
	}
	return wrong.text(), err
}

func (c *checker) cellOf(p pane, region, item string) *cell {
	var number int32
	if n, _ := fmt.Sscanf(item, itemFormat, &number); n != 1 {
		return nil
	}
	return p[cellKey{int8(slices.Index(c.regions, region)), number}]
}

// itemFormat is how an item is named: as workload.AppendItem does.
const itemFormat = "post-%d"

// String shows a cell.
func (c *cell) String() string {
	if c == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d events, sum %d, %d to %d, %d duplicates", c.count, c.sum, c.least, c.most, c.duplicates)
}

// inRedis compares a list in Redis.
func (c *checker) inRedis(l list) (string, error) {
	key := l.key()
	at := c.sink.Keys(key.Board, key.By, key.Group).Window(key.Start)
	var items *goredis.ZSliceCmd
	var meta *goredis.MapStringStringCmd
	_, err := c.redis.TxPipelined(c.ctx, func(p goredis.Pipeliner) error {
		if l.board.Order == event.Bottom {
			items = p.ZRangeWithScores(c.ctx, at, 0, -1)
		} else {
			items = p.ZRevRangeWithScores(c.ctx, at, 0, -1)
		}
		meta = p.HGetAll(c.ctx, redis.Meta(at))
		return nil
	})
	if err != nil {
		return "", err
	}
	m := meta.Val()
	entries := make([]event.Entry, len(items.Val()))
	for i, z := range items.Val() {
		item, _ := z.Member.(string)
		entries[i] = event.Entry{Item: item, Score: z.Score}
	}
	return l.differs(entries, len(m) > 0, m["final"] == "1", m["exact"] == "1", m["duplicates"]), nil
}

// differs says how a list is not as it should be.
func (l *list) differs(got []event.Entry, there, final, exact bool, duplicates string) string {
	switch {
	case !there:
		return "it isn't there"
	case !final:
		return "it isn't final"
	case !exact:
		return "it says that it isn't exact"
	case duplicates != fmt.Sprint(l.duplicates):
		return fmt.Sprintf("%s duplicates, want %d", duplicates, l.duplicates)
	}
	for i := range max(len(got), len(l.entries)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d entries, want %d", len(got), len(l.entries))
		case i >= len(l.entries):
			return fmt.Sprintf("%d entries, want %d", len(got), len(l.entries))
		case got[i] != l.entries[i]:
			return fmt.Sprintf("entry %d is %v, want %v", i+1, got[i], l.entries[i])
		}
	}
	return ""
}

// inHistory compares all lists of a window of a board in ClickHouse.
func (c *checker) inHistory(window event.ListKey, want []list) (string, error) {
	type shown struct {
		final, exact bool
		duplicates   int64
	}
	lists, entries := map[string]shown{}, map[string][]event.Entry{}
	named := []any{clickhouse.Named("board", window.Board), clickhouse.Named("start", window.Start)}
	err := c.each(`SELECT region, final, exact, duplicates FROM millrank.lists
		WHERE source = {source:String} AND board = {board:String} AND window_start = fromUnixTimestamp64Milli({start:Int64})`, func(scan func(...any) error) error {
		var region string
		var s shown
		err := scan(&region, &s.final, &s.exact, &s.duplicates)
		lists[region] = s
		return err
	}, named...)
	if err != nil {
		return "", err
	}
	err = c.each(`SELECT region, item_id, score FROM millrank.top_k
		WHERE source = {source:String} AND board = {board:String} AND window_start = fromUnixTimestamp64Milli({start:Int64}) ORDER BY region, rank`, func(scan func(...any) error) error {
		var region string
		var e event.Entry
		err := scan(&region, &e.Item, &e.Score)
		entries[region] = append(entries[region], e)
		return err
	}, named...)
	wrong := differences{}
	for _, l := range want {
		s, there := lists[l.region]
		if text := l.differs(entries[l.region], there, s.final, s.exact, fmt.Sprint(s.duplicates)); text != "" {
			wrong.addf("region %q: %s", l.region, text)
		}
	}
	if len(lists) != len(want) {
		wrong.addf("%d lists, want %d", len(lists), len(want))
	}
	return wrong.text(), err
}

// each runs a query, and calls take for each row.
func (c *checker) each(query string, take func(scan func(...any) error) error, args ...any) error {
	rows, err := c.history.Query(c.ctx, query, append(args, clickhouse.Named("source", c.settings.SourceName()))...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// differences are of one thing; a few are shown.
type differences struct {
	n     int
	first string
}

func (d *differences) addf(format string, args ...any) {
	if d.n++; d.n == 1 {
		d.first = fmt.Sprintf(format, args...)
	}
}

func (d *differences) text() string {
	if d.n > 1 {
		return fmt.Sprintf("%s (and %d more)", d.first, d.n-1)
	}
	return d.first
}
