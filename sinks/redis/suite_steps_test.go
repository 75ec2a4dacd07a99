package redis_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/redis"
)

// testGenerationsSteps goes through one activation in small steps.
func testGenerationsSteps(t *testing.T, w *world) {
	g := newGenerations(t, w)
	g.still = true // so that processes ask Redis only if they must
	key := w.prefix + "region:eu:top_k:views"
	one, two := g.sinks[1].Writer(0, -1), g.sinks[2].Writer(0, -1)
	a, b := list("views", "eu", base, 900, entry("x", 1), entry("a", 1)), list("views", "eu", base, 5, entry("b", 1), entry("a", 1))
	write(t, two, b) // nobody has told Redis what is active
	if n := w.client.Exists(t.Context(), key, redis.Meta(key)).Val(); w.kind != "cluster" && n != 0 {
		t.Fatal("what isn't active is public")
	}
	write(t, one, a)
	w.check(t, key, a)
	w.check(t, redis.Shadow(key, 2), b)
	if err := g.interrupted(t).Activate(t.Context(), 2, 2); err != nil {
		t.Fatal(err)
	}
	w.check(t, key, b)
	w.check(t, redis.Shadow(key, 1), a)
	moved := g.sinks[1].Stats().Moved
	a.Revision, a.Entries = 901, []event.Entry{entry("a", 2), entry("x", 1)}
	b.Revision, b.Entries = 6, []event.Entry{entry("b", 2), entry("a", 1)}
	if write(t, one, a) || write(t, two, b) {
		t.Error("what has moved is taken for lost")
	}
	w.check(t, key, b)
	w.check(t, redis.Shadow(key, 1), a)
	for n, sink := range g.sinks[1:] { // they didn't know
		if s := sink.Stats(); s.Misplaced == 0 || s.Lost != 0 || w.kind != "cluster" && s.Deltas == 0 {
			t.Errorf("generation %d: %+v", n+1, s)
		}
	}
	if n := g.sinks[1].Stats().Moved; n != moved {
		t.Errorf("%d lists were written in public, and then moved", n-moved)
	}
	for want, epoch := range map[error]int64{nil: 2, redis.ErrSuperseded: 1} {
		generation := uint32(epoch)
		if err := g.sinks[1].Activate(t.Context(), generation, epoch); !errors.Is(err, want) {
			t.Errorf("generation %d: %v", generation, err)
		}
	}
	if err := g.sinks[1].Activate(t.Context(), 1, 2); !errors.Is(err, redis.ErrSuperseded) {
		t.Error(err)
	}
	if err := g.sinks[1].Activate(t.Context(), 0, 3); err == nil {
		t.Error("no generation was activated")
	}
	if generation, epoch, err := g.sinks[1].ActiveGeneration(t.Context()); generation != 2 || epoch != 2 || err != nil {
		t.Error(generation, epoch, err)
	}
	if err := g.sinks[1].Drop(t.Context(), 2); !errors.Is(err, redis.ErrActive) {
		t.Error(err)
	}
	g.tell(activation{1, 3}, 2)
	if err := g.sinks[2].Drop(t.Context(), 1); !errors.Is(err, redis.ErrActive) {
		t.Error("this process was told that it is to be active, though Redis was not:", err)
	}
}

// interrupted returns a sink that loses what it has gathered, on a single server, just before it moves lists.
func (g *generations) interrupted(t *testing.T) *redis.Sink {
	t.Helper()
	client := connect(t, g.addrs)
	client.AddHook(&beforeMoving{then: sync.OnceFunc(func() {
		if n := g.client.Del(t.Context(), "{"+g.prefix+"millrank:active}:meta:lists").Val(); n != 1 && g.kind != "cluster" {
			t.Error("nothing was gathered")
		}
	})})
	return g.process(t, 2, client)
}

// beforeMoving does something before scripts are called.
type beforeMoving struct{ then func() }

func (*beforeMoving) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (*beforeMoving) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }

func (b *beforeMoving) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		if cmds[0].Name() == "evalsha" {
			b.then()
		}
		return next(ctx, cmds)
	}
}

// testGenerationsLate counts late events of two generations, before and after one is activated.
func testGenerationsLate(t *testing.T, w *world) {
	g := newGenerations(t, w)
	now := time.Now().Truncate(time.Minute).UnixMilli()
	late := func(n uint32, offsets ...int64) {
		t.Helper()
		var events []redis.Late
		for _, offset := range offsets {
			events = append(events, redis.Late{Group: event.NewGroup("eu", "news"), Pane: now, Source: "letters:0", Offset: offset})
		}
		if err := g.sinks[n].Late(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	key := g.sinks[1].Keys("views", "region", event.NewGroup("eu")).Window(now)
	expect := func(key, want string) {
		t.Helper()
		if got := w.client.HGet(t.Context(), redis.Meta(key), "late").Val(); got != want {
			t.Errorf("%s: %q late, want %q", key, got, want)
		}
	}
	late(1, 1, 3)
	late(2, 2)
	write(t, g.sinks[1].Writer(0, -1), list("views", "eu", now, 1, entry("a", 1)))
	expect(key, "2")
	expect(redis.Shadow(key, 2), "1")
	if err := g.sinks[1].Activate(t.Context(), 2, 2); err != nil {
		t.Fatal(err)
	}
	expect(key, "1")
	expect(redis.Shadow(key, 1), "2")
	late(1, 3, 5)
	late(2, 2, 4, 6)
	write(t, g.sinks[2].Writer(0, -1), list("views", "eu", now, 1, entry("b", 1)))
	expect(key, "3")
	expect(redis.Shadow(key, 1), "3")
}

// testNeighbors has two streams in one Redis, the prefix of one of which begins the other's.
func testNeighbors(t *testing.T, w *world) {
	inner := *w
	inner.prefix += "shop:"
	a, b := newGenerations(t, w), newGenerations(t, &inner)
	l := list("views", "eu", base, 1, entry("a", 1))
	for _, g := range []*generations{a, b} {
		for n := 1; n <= 2; n++ {
			write(t, g.sinks[n].Writer(0, -1), l)
			g.models[n].take(g.sinks[n], l)
		}
	}
	if err := a.sinks[1].Activate(t.Context(), 2, 2); err != nil {
		t.Fatal(err)
	}
	b.checkAll(t, 1)
	a.tell(activation{2, 2}, 1, 2)
	if err := a.sinks[2].Drop(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	a.models[1] = model{}
	a.checkAll(t, 2)
	b.checkAll(t, 1)
}
