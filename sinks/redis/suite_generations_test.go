package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/redis"
)

// activation is what a process knows of which generation is active.
type activation struct {
	generation uint32
	epoch      int64
}

// generations is a world in which two generations are written side by side, each by a process of its own with two writers, and read.
type generations struct {
	*world
	seed  uint64
	known [3]atomic.Pointer[activation] // by generation: what its process knows
	later atomic.Int64                  // how far the processes' clocks are ahead, nanoseconds
	still bool                          // they stand still
	sinks [3]*redis.Sink
	steps [3][2]atomic.Int64 // what writers have written through

	mu     sync.Mutex
	models [3]model
}

func newGenerations(t *testing.T, w *world) *generations {
	t.Helper()
	g := &generations{world: w, seed: rand.Uint64(), models: [3]model{1: {}, 2: {}}}
	t.Logf("seed %d", g.seed)
	for n := range uint32(3) {
		g.known[n].Store(&activation{1, 1})
		if n > 0 {
			g.sinks[n] = g.process(t, n, w.client)
		}
	}
	return g
}

// process returns a sink of a generation.
func (g *generations) process(t *testing.T, n uint32, client goredis.UniversalClient) *redis.Sink {
	t.Helper()
	return g.sink(t, func(c *redis.Config) {
		c.Client, c.Generation, c.Active = client, n, func() (uint32, int64) { a := g.known[n].Load(); return a.generation, a.epoch }
		began := time.Now()
		c.Now = func() time.Time {
			if g.still {
				return began
			}
			return time.Now().Add(time.Duration(g.later.Load()))
		}
	})
}

func (g *generations) tell(a activation, processes ...int) {
	for _, n := range processes {
		g.known[n].Store(&a)
	}
}

var regions = [2]string{"eu", "us"} // by writer

// of returns what a generation's writer writes as of a revision. A window becomes final, and stays so.
func (g *generations) of(n uint32, writer int, revision int64) []event.Ranking {
	r := rand.New(rand.NewPCG(g.seed, uint64(n)<<40|uint64(writer)<<32|uint64(revision)))
	newest := revision / 20
	var lists []event.Ranking
	for _, board := range []string{"views", "worst"} {
		if r.IntN(4) == 0 {
			continue
		}
		window := max(0, newest-r.Int64N(3))
		l := random(r, board, regions[writer], base+window*minute, revision)
		l.Final = newest-window == 2
		lists = append(lists, l)
	}
	return lists
}

// writes goes on until stop is closed, and then until all that was lost is there again.
func (g *generations) writes(ctx context.Context, t *testing.T, n uint32, writer int, stop <-chan struct{}) {
	out, filler := g.sinks[n].Writer(writer, -1), g.sinks[n].Filler()
	kept := map[event.ListKey]event.Ranking{}
	insist := func(to *redis.Writer, revision int64, lists []event.Ranking) bool {
		for {
			behind, err := to.Write(ctx, revision, base, lists)
			if err == nil || ctx.Err() != nil {
				return behind
			}
			t.Logf("generation %d: %v", n, err)
		}
	}
	for revision := int64(0); ctx.Err() == nil; revision++ {
		lists := g.of(n, writer, revision)
		behind := insist(out, revision, lists)
		g.mu.Lock()
		for _, l := range lists {
			kept[l.ListKey] = l
			g.models[n].take(g.sinks[n], l)
		}
		g.mu.Unlock()
		g.steps[n][writer].Store(revision)
		if behind {
			all := make([]event.Ranking, 0, len(kept))
			for _, l := range kept {
				all = append(all, l)
			}
			insist(filler, revision, all)
			out.Filled()
			continue
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// progress waits until all writers have written some more.
func (g *generations) progress(t *testing.T, n int64) {
	t.Helper()
	for generation := 1; generation <= 2; generation++ {
		for writer := range regions {
			at := &g.steps[generation][writer]
			from := at.Load()
			until(t, func() bool { return at.Load() >= from+n })
		}
	}
}

// reads looks at public keys, in a single server at all of a moment, until ctx ends: they are of one generation, and each is what its meta says.
func (g *generations) reads(ctx context.Context, t *testing.T) (looks int) {
	r := rand.New(rand.NewPCG(g.seed, 99))
	for ctx.Err() == nil {
		newest := g.steps[1][0].Load() / 20
		var keys []string
		for _, region := range regions {
			for _, board := range []string{"views", "worst"} {
				k := g.sinks[1].Keys(board, "region", event.NewGroup(region))
				keys = append(keys, k.Newest(), k.Final(), k.Default(), k.Window(base+max(0, newest-r.Int64N(3))*minute), k.Window(base+r.Int64N(newest+1)*minute))
			}
		}
		if g.kind == "cluster" {
			keys = keys[r.IntN(len(keys)):][:1]
		}
		metas, err := g.look(ctx, t, keys)
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return looks
		}
		for key, meta := range metas {
			if meta["generation"] != metas[firstOf(metas)]["generation"] {
				t.Errorf("%s is of generation %s, %s of %s", key, meta["generation"], firstOf(metas), metas[firstOf(metas)]["generation"])
				return looks
			}
		}
		if len(metas) > 0 {
			looks++
		}
	}
	return looks
}

func firstOf(metas map[string]map[string]string) string {
	first := ""
	for key := range metas {
		if first == "" || key < first {
			first = key
		}
	}
	return first
}

// look reads lists and metas of one moment, and compares the two. It returns the metas that are there.
func (g *generations) look(ctx context.Context, t *testing.T, keys []string) (map[string]map[string]string, error) {
	sets, hashes := make([]*goredis.ZSliceCmd, len(keys)), make([]*goredis.MapStringStringCmd, len(keys))
	_, err := g.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		for i, key := range keys {
			sets[i], hashes[i] = p.ZRangeWithScores(ctx, key, 0, -1), p.HGetAll(ctx, redis.Meta(key))
		}
		return nil
	})
	metas := map[string]map[string]string{}
	for i, key := range keys {
		meta := hashes[i].Val()
		if len(meta) == 0 {
			if err == nil && len(sets[i].Val()) > 0 {
				t.Errorf("%s has no meta", key)
			}
			continue
		}
		metas[key] = meta
		n, _ := strconv.ParseUint(meta["generation"], 10, 32)
		revision, _ := strconv.ParseInt(meta["revision"], 10, 64)
		writer := 0
		if strings.Contains(key, "region:us") {
			writer = 1
		}
		board := "views"
		if strings.Contains(key, "worst") {
			board = "worst"
		}
		lists := g.of(uint32(n), writer, revision)
		at := slices.IndexFunc(lists, func(l event.Ranking) bool { return l.Board == board })
		if at < 0 || meta["start"] != rfc(lists[at].Start) || !same(lists[at].Entries, sets[i].Val()) {
			t.Errorf("%s: %v is described by %v", key, sets[i].Val(), meta)
		}
	}
	return metas, err //nolint:wrapcheck // a test's
}

func same(entries []event.Entry, set []goredis.Z) bool {
	scores := map[string]float64{}
	for _, z := range set {
		scores[fmt.Sprint(z.Member)] = z.Score
	}
	return len(entries) == len(scores) && !slices.ContainsFunc(entries, func(e event.Entry) bool { score, ok := scores[e.Item]; return !ok || score != e.Score })
}

// checkAll fails unless Redis holds what both generations wrote, one of them in public, and nothing else.
func (g *generations) checkAll(t *testing.T, active uint32) {
	t.Helper()
	wanted := map[string]bool{}
	for n := uint32(1); n <= 2; n++ {
		for key, l := range g.models[n] {
			if n != active {
				key = redis.Shadow(key, n)
			}
			g.check(t, key, l)
			if got := g.client.HGet(t.Context(), redis.Meta(key), "generation").Val(); got != strconv.Itoa(int(n)) {
				t.Errorf("%s is of generation %q, not %d", key, got, n)
			}
			wanted[redis.Meta(key)] = true
			if len(l.Entries) > 0 {
				wanted[key] = true
			}
		}
	}
	for _, key := range g.keys(t, g.prefix+"region") {
		if !wanted[key] {
			t.Errorf("what is %q?", key)
		}
		delete(wanted, key)
	}
	if len(wanted) > 0 {
		t.Errorf("missing: %v", wanted)
	}
}

// public reports whether all that is public is a generation's, and stays so.
func (g *generations) public(t *testing.T, n uint32) bool {
	t.Helper()
	for _, key := range g.keys(t, g.prefix+"region") {
		if !strings.HasSuffix(key, "}:meta") {
			continue
		}
		got, err := g.client.HGet(t.Context(), key, "generation").Result()
		if err == nil && got != strconv.Itoa(int(n)) {
			return false
		}
	}
	state := g.client.HGet(t.Context(), "{"+g.prefix+"millrank:active}:meta", "state").Val()
	return strings.HasSuffix(state, fmt.Sprintf(":%d", n)) // not ":moving"
}

// crashes activates with a context that ends after so many commands, one more each time.
func (g *generations) crashes(t *testing.T, a activation, times int) {
	t.Helper()
	for n := 1; n <= times; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		client := connect(t, g.addrs)
		client.AddHook(&countdown{left: n, end: cancel})
		err := g.process(t, 1, client).Activate(ctx, a.generation, a.epoch)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// countdown ends something after so many commands or pipelines.
type countdown struct {
	mu   sync.Mutex
	left int
	end  func()
}

func (c *countdown) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.end()
	}
}

func (c *countdown) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (c *countdown) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		defer c.done()
		return next(ctx, cmd)
	}
}

func (c *countdown) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		defer c.done()
		return next(ctx, cmds)
	}
}

// testGenerations has two generations written and read at the same time, while they are activated in turn, Redis is emptied, and whoever activates dies.
func testGenerations(t *testing.T, w *world) {
	g := newGenerations(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	stop := make(chan struct{})
	var writing, reading sync.WaitGroup
	defer func() { // also if something fails
		cancel()
		writing.Wait()
		reading.Wait()
	}()
	for n := uint32(1); n <= 2; n++ {
		for writer := range regions {
			writing.Go(func() { g.writes(ctx, t, n, writer, stop) })
		}
	}
	looks := 0
	reading.Go(func() { looks = g.reads(ctx, t) })
	active := func(want activation) {
		t.Helper()
		until(t, func() bool {
			generation, epoch, err := g.sinks[1].ActiveGeneration(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return generation == want.generation && epoch == want.epoch
		})
		g.progress(t, 5)
	}
	activate := func(a activation) {
		t.Helper()
		if err := g.sinks[1].Activate(t.Context(), a.generation, a.epoch); err != nil {
			t.Fatal(err)
		}
		if !g.public(t, a.generation) && g.kind != "cluster" {
			t.Errorf("not all is generation %d's", a.generation)
		}
		until(t, func() bool { return g.public(t, a.generation) })
		active(a)
	}
	g.progress(t, 30)

	activate(activation{2, 2}) // none of the processes was told
	g.tell(activation{2, 2}, 1, 2)
	activate(activation{1, 3})
	if w.kind != "cluster" { // where it takes a second each
		activate(activation{2, 4})
		activate(activation{1, 5})
	}
	g.tell(activation{1, 5}, 2) // the first one doesn't know, nor does Redis in a cluster

	g.flushAll(t)
	g.progress(t, 10)
	g.tell(activation{1, 5}, 1)
	active(activation{1, 5})

	g.crashes(t, activation{2, 6}, 4)
	g.tell(activation{2, 6}, 1) // and nobody activates it again
	g.later.Add(int64(11 * time.Second))
	active(activation{2, 6})
	until(t, func() bool { return g.public(t, 2) })
	g.flushAll(t)
	active(activation{2, 6})
	activate(activation{1, 7})
	g.tell(activation{1, 7}, 1, 2)

	close(stop)
	writing.Wait()
	cancel()
	reading.Wait()
	if t.Failed() {
		return
	}
	g.checkAll(t, 1)
	if looks < 20 {
		t.Errorf("looked %d times only", looks)
	}
	s := [2]redis.Stats{g.sinks[1].Stats(), g.sinks[2].Stats()}
	if s[0].Deltas == 0 || s[1].Deltas == 0 || s[0].Misplaced+s[1].Misplaced == 0 || s[0].Moved+s[1].Moved == 0 {
		t.Errorf("%+v", s)
	}
	g.drops(t)
}

// drops deletes the second generation, while the first one is active.
func (g *generations) drops(t *testing.T) {
	t.Helper()
	if err := g.sinks[2].Drop(t.Context(), 1); !errors.Is(err, redis.ErrActive) {
		t.Error(err)
	}
	if err := g.sinks[1].Drop(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	g.models[2] = model{}
	g.checkAll(t, 1)
	for _, key := range append(g.keys(t, g.prefix), g.keys(t, "mr")...) {
		if strings.Contains(key, ":g2") {
			t.Errorf("%s is left", key)
		}
	}
	if err := g.sinks[1].Drop(t.Context(), 2); err != nil {
		t.Error(err)
	}
}
