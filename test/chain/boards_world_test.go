package chain_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/redis"
)

// boardsWorld is a world with leaderboards, in a Redis.
type boardsWorld struct {
	*world
	config boardsConfig
	client goredis.UniversalClient
}

// withBoards adds the rankings topic, and a Redis: one address for a server, more for a cluster.
func (w *world) withBoards(boards operators.Boards, lanes int, addresses ...string) *boardsWorld {
	w.t.Helper()
	forever := "-1"
	if _, err := w.admin.CreateTopic(w.t.Context(), int32(lanes), 1, map[string]*string{"retention.ms": &forever}, w.topics.Rankings); err != nil {
		w.t.Fatal(err)
	}
	client := newRedis(addresses)
	w.t.Cleanup(func() { _ = client.Close() })
	return &boardsWorld{w, boardsConfig{
		Boards: boards, Lanes: lanes, Redis: addresses, Prefix: w.topics.Group + ":", FlushEvery: 20 * time.Millisecond, RefillMin: 50 * time.Millisecond,
	}, client}
}

// again returns a world with the same events, and all else anew: other topics, groups and keys.
func (w *world) again(shards int) *world {
	w.t.Helper()
	other := newWorld(w.t, w.brokers, w.settings, w.partitions, shards)
	other.topics.Events, other.logs, other.values = w.topics.Events, w.logs, w.values
	return other
}

// member returns settings for a member that does everything.
func (w *boardsWorld) member() memberConfig {
	c := w.world.member()
	c.Boards = &w.config
	return c
}

// boardsOver returns boards over the settings of a world.
func boardsOver(s operators.Settings, boards ...operators.Board) operators.Boards {
	return operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness, ReviseFor: 10 * time.Minute,
		Dimensions: []string{"region"}, Boards: boards,
	}
}

// liveBoards are boards of all sorts over liveSettings.
func liveBoards() operators.Boards {
	both := [][]string{{}, {"region"}}
	return boardsOver(liveSettings(),
		operators.Board{Name: "count", Window: operators.Window{Size: 10 * time.Second}, Measure: operators.Count, K: 5, By: both},
		operators.Board{Name: "sum", Window: operators.Window{Size: 10 * time.Second, Slide: 5 * time.Second}, Measure: operators.Sum, K: 3, By: both},
		operators.Board{Name: "worst", Window: operators.Window{Size: 5 * time.Second}, Measure: operators.Average, MinCount: 2, Order: event.Bottom, K: 4, By: both},
	)
}

// close has every partition say that nothing will come before a time that closes all windows.
func (w *boardsWorld) close() {
	w.t.Helper()
	last := event.NoTime
	for _, log := range w.logs {
		for i, o := range sim.Decide(w.settings, log) {
			if !o.Decision.DeadLetter() {
				last = max(last, log[i].At)
			}
		}
	}
	var longest time.Duration
	for _, b := range w.config.Boards.Boards {
		longest = max(longest, b.Window.Size)
	}
	// Less than ReviseFor beyond: a partition that is thought to be idle, since its owner has died, has a say still.
	last += (longest + w.settings.AllowedLateness + w.settings.OutOfOrderness + time.Minute).Milliseconds()
	end := make([][]sim.Record, w.partitions)
	for p := range end {
		end[p] = []sim.Record{{Kind: sim.Punctuation, At: last, Time: last}}
	}
	w.produce(end)
}

// answers are all lists that are expected.
type answers map[event.ListKey]event.Ranking

// expected returns all lists, as the batch oracle has them.
func (w *boardsWorld) expected() answers {
	w.t.Helper()
	cells := make([]sim.Cells, w.partitions)
	for p, log := range w.logs {
		cells[p] = sim.CellsOf(w.settings, log, sim.Decide(w.settings, log))
	}
	want := answers{}
	for _, board := range w.config.Boards.Boards {
		for _, by := range board.By {
			b := sim.Board{
				Size: board.Window.Size, Slide: board.Window.Slide, Offset: board.Window.Offset, Measure: sim.Measure(board.Measure),
				Scale: w.config.Boards.ValueScale, MinCount: board.MinCount, Order: board.Order, K: board.K,
			}
			if b.Slide == 0 {
				b.Slide = b.Size
			}
			for _, name := range by {
				b.Dims = append(b.Dims, slices.Index(w.config.Boards.Dimensions, name))
			}
			for _, l := range sim.Rankings(w.settings.Pane, b, cells...) {
				r := event.Ranking{
					ListKey: event.ListKey{Board: board.Name, By: strings.Join(by, ","), Group: l.Group, Start: l.Start},
					End:     l.End, Entries: l.Entries, Final: true, Exact: l.Exact, Duplicates: l.Duplicates,
				}
				want[r.ListKey] = r
			}
		}
	}
	return want
}

// key is the contract's, spelled out here once more.
func (w *boardsWorld) key(k event.ListKey) string {
	group := "global"
	if k.By != "" {
		group = k.By + ":" + strings.NewReplacer("%", "%25", ":", "%3A", "{", "%7B", "}", "%7D").Replace(k.Group.Values()[0])
	}
	return w.config.Prefix + group + ":top_k:" + k.Board + ":" + time.UnixMilli(k.Start).UTC().Format("20060102T150405Z")
}

// order returns the order of a board's lists.
func (w *boardsWorld) board(name string) operators.Board {
	for _, b := range w.config.Boards.Boards {
		if b.Name == name {
			return b
		}
	}
	w.t.Fatalf("no board %q", name)
	return operators.Board{}
}

// stored is a list as Redis has it.
type stored struct {
	entries []event.Entry
	meta    map[string]string
}

// read reads a list and its meta at one moment.
func (w *boardsWorld) read(ctx context.Context, key string, order event.Order) (stored, error) {
	var list *goredis.ZSliceCmd
	var meta *goredis.MapStringStringCmd
	_, err := w.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		if order == event.Bottom {
			list = p.ZRangeWithScores(ctx, key, 0, -1)
		} else {
			list = p.ZRevRangeWithScores(ctx, key, 0, -1)
		}
		meta = p.HGetAll(ctx, redis.Meta(key))
		return nil
	})
	if err != nil {
		return stored{}, err
	}
	s := stored{meta: meta.Val()}
	for _, z := range list.Val() {
		s.entries = append(s.entries, event.Entry{Item: z.Member.(string), Score: z.Score})
	}
	return s, nil
}

// keys returns all keys of lists, windows' and others.
func (w *boardsWorld) keys(ctx context.Context) ([]string, error) {
	found := map[string]bool{}
	scan := func(ctx context.Context, c *goredis.Client) error {
		all := c.Scan(ctx, 0, "{"+w.config.Prefix+"*}:meta", 1000).Iterator()
		for all.Next(ctx) {
			found[strings.TrimSuffix(strings.TrimPrefix(all.Val(), "{"), "}:meta")] = true
		}
		return all.Err()
	}
	var err error
	switch c := w.client.(type) {
	case *goredis.ClusterClient:
		for shardErr := range forEachMaster(ctx, c, scan) {
			err = shardErr
		}
	case *goredis.Client:
		err = scan(ctx, c)
	}
	return slices.Sorted(maps.Keys(found)), err
}

// forEachMaster calls f for one master after the other.
func forEachMaster(ctx context.Context, c *goredis.ClusterClient, f func(context.Context, *goredis.Client) error) map[error]bool {
	masters := make(chan *goredis.Client, 100)
	errs := map[error]bool{}
	if err := c.ForEachMaster(ctx, func(_ context.Context, m *goredis.Client) error {
		masters <- m
		return nil
	}); err != nil {
		errs[err] = true
	}
	close(masters)
	for m := range masters {
		if err := f(ctx, m); err != nil {
			errs[err] = true
		}
	}
	return errs
}

// differences says where Redis isn't as expected; at most a few.
func (w *boardsWorld) differences(want answers) (list []string) {
	ctx := w.t.Context()
	windows, newest := map[string]bool{}, map[string]event.Ranking{}
	for _, r := range want {
		key := w.key(r.ListKey)
		windows[key] = true
		list = append(list, w.difference(ctx, key, r)...)
		alias := key[:strings.LastIndex(key, ":")]
		if known, ok := newest[alias]; !ok || r.Start > known.Start {
			newest[alias] = r
		}
		if len(list) > 3 {
			return list
		}
	}
	for alias, r := range newest {
		list = append(list, w.difference(ctx, alias, r)...)
		list = append(list, w.difference(ctx, alias+":final", r)...)
		if r.Board == w.config.Boards.Boards[0].Name {
			list = append(list, w.difference(ctx, strings.TrimSuffix(alias, ":"+r.Board), r)...)
		}
	}
	if len(list) > 0 {
		return list
	}
	found, err := w.keys(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	for _, key := range found {
		if last := key[strings.LastIndex(key, ":")+1:]; windows[key] || !strings.HasSuffix(last, "Z") {
			continue
		}
		if got, err := w.read(ctx, key, event.Top); err != nil || got.meta["revision"] != "" || len(got.entries) > 0 { // else only late events are counted there
			list = append(list, fmt.Sprintf("there is a list of %s, which nobody expects: %v (%v)", key, got, err))
		}
	}
	return list
}

func (w *boardsWorld) difference(ctx context.Context, key string, want event.Ranking) []string {
	got, err := w.read(ctx, key, w.board(want.Board).Order)
	switch {
	case err != nil:
		return []string{key + ": " + err.Error()}
	case !slices.Equal(got.entries, want.Entries) && (want.Exact || want.Board == "count"):
		return []string{fmt.Sprintf("%s is %v, want %v; meta %v", key, got.entries, want.Entries, got.meta)}
	}
	for field, value := range map[string]string{
		"final": "1", "exact": map[bool]string{true: "1", false: "0"}[want.Exact || want.Board == "count"], "duplicates": fmt.Sprint(want.Duplicates),
		"start": time.UnixMilli(want.Start).UTC().Format("2006-01-02T15:04:05.000Z"), "end": time.UnixMilli(want.End).UTC().Format("2006-01-02T15:04:05.000Z"),
	} {
		if got.meta[field] != value {
			return []string{fmt.Sprintf("%s: %s is %q, want %q; meta %v", key, field, got.meta[field], value, got.meta)}
		}
	}
	return nil
}

// checkBoards waits until Redis has what is expected, final, and nothing else.
func (w *boardsWorld) checkBoards(want answers) {
	w.t.Helper()
	began := time.Now()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var diffs []string
	for time.Since(began) < patience {
		if diffs = w.differences(want); len(diffs) == 0 {
			w.t.Logf("%d lists are right, after %v", len(want), time.Since(began).Round(time.Millisecond))
			return
		}
		<-ticker.C
	}
	w.t.Errorf("after %v:\n%s\n%s", patience, strings.Join(diffs, "\n"), w.groups())
}

// groups says how far all groups are, for a test that fails.
func (w *boardsWorld) groups() string {
	ctx := context.Background()
	var b strings.Builder
	for handler, topic := range map[string]string{"": w.topics.Events, "-rank": w.topics.Updates, "-leaderboard": w.topics.Rankings, "-late": w.topics.Letters} {
		ends, err := w.admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return err.Error()
		}
		ends.Each(func(o kadm.ListedOffset) { fmt.Fprintf(&b, "%s/%d ends at %d\n", topic, o.Partition, o.Offset) })
		all, err := w.admin.FetchOffsets(ctx, w.topics.Group+handler)
		if err != nil {
			return err.Error()
		}
		all.Each(func(o kadm.OffsetResponse) { fmt.Fprintf(&b, "  committed %d: %d %s\n", o.Partition, o.At, o.Metadata) })
		groups, err := w.admin.DescribeGroups(ctx, w.topics.Group+handler)
		if err != nil {
			return err.Error()
		}
		for _, g := range groups {
			fmt.Fprintf(&b, "  %s, %d members\n", g.State, len(g.Members))
		}
	}
	return b.String()
}

// oneKfake starts an embedded Kafka.
func oneKfake(t *testing.T) []string {
	t.Helper()
	return brokers()["kfake"](t)
}
