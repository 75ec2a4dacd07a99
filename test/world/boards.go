package world

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/redis"
)

// Boards is a world with leaderboards, in a Redis.
type Boards struct {
	*World
	Config BoardsConfig
	Redis  goredis.UniversalClient
}

// BoardsConfig is which boards there are, and where their lists lie.
type BoardsConfig struct {
	Boards operators.Boards
	Lanes  int
	Redis  []string // one address: a server; more: a cluster
	Prefix string   // of all keys, so that tests can share a server
}

// WithBoards adds the rankings topic, and a Redis: one address for a server, more for a cluster.
func (w *World) WithBoards(list operators.Boards, lanes int, addresses ...string) *Boards {
	w.T.Helper()
	forever := "-1"
	if _, err := w.Admin.CreateTopic(w.T.Context(), int32(lanes), 1, map[string]*string{"retention.ms": &forever}, w.Topics.Rankings); err != nil {
		w.T.Fatal(err)
	}
	client := NewRedis(addresses)
	w.T.Cleanup(func() { _ = client.Close() })
	return &Boards{w, BoardsConfig{Boards: list, Lanes: lanes, Redis: addresses, Prefix: w.Topics.Group + ":"}, client}
}

// Again returns a world with the same events, and all else anew: other topics, groups and keys.
func (w *World) Again(shards int) *World {
	w.T.Helper()
	other := New(w.T, w.Brokers, w.Settings, w.Partitions, shards)
	other.Topics.Events, other.Logs, other.Values = w.Topics.Events, w.Logs, w.Values
	return other
}

// Close has every partition say that nothing will come before a time that closes all windows.
func (w *Boards) Close() {
	w.T.Helper()
	last := event.NoTime
	for _, log := range w.Logs {
		for i, o := range sim.Decide(w.Settings, log) {
			if !o.Decision.DeadLetter() {
				last = max(last, log[i].At)
			}
		}
	}
	var longest time.Duration
	for _, b := range w.Config.Boards.Boards {
		longest = max(longest, b.Window.Size)
	}
	// Less than ReviseFor beyond: a partition that is thought to be idle, since its owner has died, has a say still.
	last += (longest + w.Settings.AllowedLateness + w.Settings.OutOfOrderness + time.Minute).Milliseconds()
	end := make([][]sim.Record, w.Partitions)
	for p := range end {
		end[p] = []sim.Record{{Kind: sim.Punctuation, At: last, Time: last}}
	}
	w.Produce(end)
}

// Answers are all lists that are expected.
type Answers map[event.ListKey]event.Ranking

// Expected returns all lists, as the batch oracle has them.
func (w *Boards) Expected() Answers {
	w.T.Helper()
	cells := make([]sim.Cells, w.Partitions)
	for p, log := range w.Logs {
		cells[p] = sim.CellsOf(w.Settings, log, sim.Decide(w.Settings, log))
	}
	want := Answers{}
	for _, board := range w.Config.Boards.Boards {
		for _, by := range board.By {
			b := sim.Board{
				Size: board.Window.Size, Slide: board.Window.Slide, Offset: board.Window.Offset, Measure: sim.Measure(board.Measure),
				Scale: w.Config.Boards.ValueScale, MinCount: board.MinCount, Order: board.Order, K: board.K,
			}
			if b.Slide == 0 {
				b.Slide = b.Size
			}
			for _, name := range by {
				b.Dims = append(b.Dims, slices.Index(w.Config.Boards.Dimensions, name))
			}
			for _, l := range sim.Rankings(w.Settings.Pane, b, cells...) {
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

// Key is the contract's, spelled out here once more.
func (w *Boards) Key(k event.ListKey) string {
	group := "global"
	if k.By != "" {
		group = k.By + ":" + strings.NewReplacer("%", "%25", ":", "%3A", "{", "%7B", "}", "%7D").Replace(k.Group.Values()[0])
	}
	return w.Config.Prefix + group + ":top_k:" + k.Board + ":" + time.UnixMilli(k.Start).UTC().Format("20060102T150405Z")
}

// Board returns a board by its name.
func (w *Boards) Board(name string) operators.Board {
	for _, b := range w.Config.Boards.Boards {
		if b.Name == name {
			return b
		}
	}
	w.T.Fatalf("no board %q", name)
	return operators.Board{}
}

// Stored is a list as Redis has it.
type Stored struct {
	Entries []event.Entry
	Meta    map[string]string
}

// Read reads a list and its meta at one moment.
func (w *Boards) Read(ctx context.Context, key string, order event.Order) (Stored, error) {
	var list *goredis.ZSliceCmd
	var meta *goredis.MapStringStringCmd
	_, err := w.Redis.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		if order == event.Bottom {
			list = p.ZRangeWithScores(ctx, key, 0, -1)
		} else {
			list = p.ZRevRangeWithScores(ctx, key, 0, -1)
		}
		meta = p.HGetAll(ctx, redis.Meta(key))
		return nil
	})
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Meta: meta.Val()}
	for _, z := range list.Val() {
		s.Entries = append(s.Entries, event.Entry{Item: fmt.Sprint(z.Member), Score: z.Score})
	}
	return s, nil
}

// Final returns which of the lists that are wanted are final.
func (w *Boards) Final(want Answers) map[event.ListKey]Stored {
	w.T.Helper()
	list := map[event.ListKey]Stored{}
	for key, r := range want {
		var got Stored
		w.Eventually("a list can be read", func() (ok bool) {
			var err error
			got, err = w.Read(w.T.Context(), w.Key(key), w.Board(r.Board).Order)
			return err == nil
		})
		if got.Meta["final"] == "1" {
			list[key] = got
		}
	}
	return list
}

// Keys returns all keys of lists, windows' and others.
func (w *Boards) Keys(ctx context.Context) ([]string, error) {
	found := map[string]bool{}
	scan := func(ctx context.Context, c *goredis.Client) error {
		all := c.Scan(ctx, 0, "{"+w.Config.Prefix+"*}:meta", 1000).Iterator()
		for all.Next(ctx) {
			found[strings.TrimSuffix(strings.TrimPrefix(all.Val(), "{"), "}:meta")] = true
		}
		return all.Err()
	}
	var err error
	switch c := w.Redis.(type) {
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

// Differences says where Redis isn't as expected; at most a few.
// Difference says where one list is not as wanted.
func (w *Boards) Differences(want Answers) (list []string) {
	ctx := w.T.Context()
	windows, newest := map[string]bool{}, map[string]event.Ranking{}
	for _, r := range want {
		key := w.Key(r.ListKey)
		windows[key] = true
		list = append(list, w.Difference(ctx, key, r)...)
		alias := key[:strings.LastIndex(key, ":")]
		if known, ok := newest[alias]; !ok || r.Start > known.Start {
			newest[alias] = r
		}
		if len(list) > 3 {
			return list
		}
	}
	for alias, r := range newest {
		list = append(list, w.Difference(ctx, alias, r)...)
		list = append(list, w.Difference(ctx, alias+":final", r)...)
		if r.Board == w.Config.Boards.Boards[0].Name {
			list = append(list, w.Difference(ctx, strings.TrimSuffix(alias, ":"+r.Board), r)...)
		}
	}
	if len(list) > 0 {
		return list
	}
	found, err := w.Keys(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	for _, key := range found {
		if last := key[strings.LastIndex(key, ":")+1:]; windows[key] || !strings.HasSuffix(last, "Z") {
			continue
		}
		if got, err := w.Read(ctx, key, event.Top); err != nil || got.Meta["revision"] != "" || len(got.Entries) > 0 { // else only late events are counted there
			list = append(list, fmt.Sprintf("there is a list of %s, which nobody expects: %v (%v)", key, got, err))
		}
	}
	return list
}

// Difference says where one list is not as wanted.
func (w *Boards) Difference(ctx context.Context, key string, want event.Ranking) []string {
	got, err := w.Read(ctx, key, w.Board(want.Board).Order)
	switch {
	case err != nil:
		return []string{key + ": " + err.Error()}
	case !slices.Equal(got.Entries, want.Entries) && (want.Exact || want.Board == "count"):
		return []string{fmt.Sprintf("%s is %v, want %v; meta %v", key, got.Entries, want.Entries, got.Meta)}
	}
	for field, value := range map[string]string{
		"final": "1", "exact": map[bool]string{true: "1", false: "0"}[want.Exact || want.Board == "count"], "duplicates": fmt.Sprint(want.Duplicates),
		"start": time.UnixMilli(want.Start).UTC().Format("2006-01-02T15:04:05.000Z"), "end": time.UnixMilli(want.End).UTC().Format("2006-01-02T15:04:05.000Z"),
	} {
		if got.Meta[field] != value {
			return []string{fmt.Sprintf("%s: %s is %q, want %q; meta %v", key, field, got.Meta[field], value, got.Meta)}
		}
	}
	return nil
}

// CheckLists waits until Redis has what is expected, final, and nothing else.
func (w *Boards) CheckLists(want Answers) {
	w.T.Helper()
	began := time.Now()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var diffs []string
	for time.Since(began) < Patience {
		if diffs = w.Differences(want); len(diffs) == 0 {
			w.T.Logf("%d lists are right, after %v", len(want), time.Since(began).Round(time.Millisecond))
			return
		}
		<-ticker.C
	}
	w.T.Errorf("after %v:\n%s\n%s", Patience, strings.Join(diffs, "\n"), w.groups())
}

// groups says how far all groups are, for a test that fails.
func (w *Boards) groups() string {
	ctx := context.Background()
	var b strings.Builder
	for handler, topic := range map[string]string{"intake": w.Topics.Events, "rank": w.Topics.Updates, "leaderboard": w.Topics.Rankings, "late": w.Topics.Letters} {
		ends, err := w.Admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return err.Error()
		}
		ends.Each(func(o kadm.ListedOffset) { fmt.Fprintf(&b, "%s/%d ends at %d\n", topic, o.Partition, o.Offset) })
		all, err := w.Admin.FetchOffsets(ctx, w.GroupOf(handler))
		if err != nil {
			return err.Error()
		}
		all.Each(func(o kadm.OffsetResponse) { fmt.Fprintf(&b, "  committed %d: %d %s\n", o.Partition, o.At, o.Metadata) })
		groups, err := w.Admin.DescribeGroups(ctx, w.GroupOf(handler))
		if err != nil {
			return err.Error()
		}
		for _, g := range groups {
			fmt.Fprintf(&b, "  %s, %d members\n", g.State, len(g.Members))
		}
	}
	return b.String()
}

// NewRedis connects to a Redis, a cluster where there are more addresses; nothing is tried twice.
func NewRedis(addresses []string) goredis.UniversalClient {
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs: addresses, ContextTimeoutEnabled: true, IsClusterMode: len(addresses) > 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, MaxRetries: -1,
	})
}
