package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/redis"
)

// clock is a clock that is set.
type clock struct{ now time.Time }

func (c *clock) in(config *redis.Config) { config.Now = func() time.Time { return c.now } }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func newClock() *clock { return &clock{time.UnixMilli(base)} }

// lists are two lists of one revision: of a region and of all.
func lists(revision int64) []event.Ranking {
	return []event.Ranking{list("views", "eu", base, revision, entry("a", 2), entry("b", 1)), list("views", "", base, revision, entry("a", 3), entry("c", float64(revision)/1000))}
}

func testTimeToLive(t *testing.T, w *world) {
	sink := w.sink(t, func(c *redis.Config) { c.TTL = time.Hour })
	final := list("views", "eu", base, 1, entry("a", 1))
	final.Final = true
	write(t, sink.Writer(0, -1), final)
	if err := sink.Late(t.Context(), []redis.Late{{Group: event.NewGroup("us", "x"), Pane: time.Now().UnixMilli(), Source: "events", Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	keys := append(w.keys(t, w.prefix+"region"), w.keys(t, w.prefix+"{mr")...)
	if len(keys) < 8+1+1 {
		t.Errorf("%q", keys)
	}
	for _, key := range keys {
		if left := w.client.PTTL(t.Context(), key).Val(); left > time.Hour || left < 50*time.Minute {
			t.Errorf("%q has %v to live", key, left)
		}
	}
}

func testExpired(t *testing.T, w *world) {
	clock := newClock()
	sink := w.sink(t, clock.in)
	writer := sink.Writer(0, -1)
	write(t, writer, lists(1)...)
	clock.pass(47 * time.Hour)
	write(t, writer) // the mark stays
	clock.pass(time.Hour)
	for _, key := range w.keys(t, w.prefix+"region") {
		w.client.Del(t.Context(), key)
	}
	again := lists(2)
	if write(t, writer, again...) {
		t.Error("what has expired is no loss")
	}
	w.check(t, w.prefix+"region:eu:top_k", again[0])
}

func testLostAll(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	if write(t, writer, lists(1)...) || write(t, writer) {
		t.Fatal("behind from the start")
	}
	w.flushAll(t)
	if !write(t, writer) {
		t.Fatal("nothing noticed")
	}
	if !write(t, writer, lists(2)...) {
		t.Error("not behind any more, before it was told so")
	}
	if fresh := sink.Writer(0, -1); !write(t, fresh) {
		t.Error("another writer doesn't know of it")
	}
	writer.Filled()
	if write(t, writer) {
		t.Error("still behind")
	}
	if write(t, writer, lists(3)...) {
		t.Error("behind again")
	}
	if fresh := sink.Writer(0, 3); write(t, fresh, lists(4)...) {
		t.Error("behind for the next one")
	}
}

func testLostBeforeRestart(t *testing.T, w *world) {
	for name, test := range map[string]struct {
		written, committed int64 // -1: nothing
		flush              bool
		want               bool
	}{
		"nothing was ever written": {-1, -1, false, false},
		"all is there":             {7, 7, false, false},
		"more is there":            {7, 5, false, false},
		"less is there":            {7, 9, false, true},
		"emptied":                  {7, 7, true, true},
		"emptied, uncommitted":     {7, -1, true, false}, // all is written again anyway
		"never was there":          {-1, 7, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			own := *w
			own.prefix += strings.ReplaceAll(name, " ", "") + ":"
			sink := own.sink(t, nil)
			if test.written >= 0 {
				write(t, sink.Writer(3, -1), lists(test.written)...)
			}
			if test.flush {
				own.flushAll(t)
			}
			writer := sink.Writer(3, test.committed)
			if behind := write(t, writer, lists(10)...); behind != test.want {
				t.Errorf("behind: %v", behind)
			}
			if behind := write(t, sink.Writer(3, 10)); behind != test.want {
				t.Errorf("behind for the next writer: %v", behind)
			}
			if write(t, sink.Writer(4, -1), lists(10)...) {
				t.Error("another partition is behind, too")
			}
			writer.Filled()
			if write(t, writer) {
				t.Error("still behind")
			}
		})
	}
}

func testLostKey(t *testing.T, w *world) {
	list := w.prefix + "region:eu:top_k:views:20260918T140000Z"
	for _, test := range []struct {
		key  string
		then int64 // the next revision
	}{{list, 2}, {list, 1}, {redis.Meta(list), 2}, {redis.Meta(list), 1}} {
		sink := w.sink(t, nil)
		writer := sink.Writer(0, -1)
		write(t, writer, lists(1)...)
		key := test.key
		if n, err := w.client.Del(t.Context(), key).Result(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if !write(t, writer, lists(test.then)...) {
			t.Errorf("%s: nothing noticed", key)
		}
		w.check(t, list, lists(test.then)[0]) // written all the same
		if !write(t, sink.Writer(0, test.then)) {
			t.Errorf("%s: the next writer doesn't know of it", key)
		}
		writer.Filled()
		if write(t, writer, lists(3)...) {
			t.Errorf("%s: still behind", key)
		}
		w.flushAll(t)
	}
}

func testLostWhileFilling(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	write(t, writer, lists(1)...)
	w.flushAll(t)
	if !write(t, writer, lists(2)...) {
		t.Fatal("nothing noticed")
	}
	w.flushAll(t) // what was filled in so far
	if !write(t, writer) {
		t.Fatal("not behind any more")
	}
	writer.Filled()
	for range 2 {
		if !write(t, writer) {
			t.Fatal("the second loss was not noticed")
		}
	}
	write(t, writer, lists(3)...)
	w.flushAll(t) // between the last list and being told
	writer.Filled()
	if !write(t, writer) {
		t.Fatal("the third loss was not noticed")
	}
	write(t, writer, lists(4)...)
	writer.Filled()
	if write(t, writer) {
		t.Fatal("still behind")
	}
	w.check(t, w.prefix+"region:eu:top_k", lists(4)[0])
}

// testLostAndWritten has another writer write before the loss is noticed.
func testLostAndWritten(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer, other := sink.Writer(0, -1), sink.Writer(0, -1)
	write(t, writer, lists(1)...)
	w.flushAll(t)
	for revision := range int64(5) {
		if write(t, other, list("views", "us", base, 5+revision, entry("a", 1))) {
			t.Error("one that had written nothing is behind")
		}
	}
	if !write(t, writer) {
		t.Error("nothing noticed")
	}
}

func testFiller(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer, filler := sink.Writer(0, -1), sink.Filler()
	write(t, writer, lists(1)...)
	w.flushAll(t)
	if write(t, filler, lists(2)...) {
		t.Error("a filler is behind")
	}
	if !write(t, writer) {
		t.Error("a filler has hidden the loss")
	}
	if write(t, filler, lists(3)...) {
		t.Error("a filler is behind")
	}
	if !write(t, sink.Writer(0, 1)) {
		t.Error("a filler has hidden the loss from the next writer")
	}
	w.check(t, w.prefix+"region:eu:top_k", lists(3)[0])
}

func testCheck(t *testing.T, w *world) {
	clock := newClock()
	sink := w.sink(t, clock.in)
	writer := sink.Writer(0, -1)
	check := func(want bool) {
		t.Helper()
		if behind, err := writer.Check(t.Context()); err != nil || behind != want {
			t.Errorf("behind: %v (%v)", behind, err)
		}
	}
	check(false) // before anything was written
	write(t, writer, lists(1)...)
	w.flushAll(t)
	check(false) // asked just now
	clock.pass(time.Second)
	check(true)
	check(true)
	write(t, writer, lists(1)...)
	writer.Filled()
	write(t, writer)
	clock.pass(time.Second)
	check(false)
}

func testLate(t *testing.T, w *world) {
	sink := w.sink(t, func(c *redis.Config) { c.Now = func() time.Time { return time.UnixMilli(base) } })
	writer := sink.Writer(0, -1)
	write(t, writer, lists(1)...)
	late := func(partition int32, offsets ...int64) {
		t.Helper()
		var events []redis.Late
		for _, offset := range offsets {
			events = append(events, redis.Late{Group: event.NewGroup("eu", "news"), Pane: base, Source: "events", Partition: partition, Offset: offset})
		}
		if err := sink.Late(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		for _, key := range []string{"global:top_k:views:20260918T140000Z", "region:eu:top_k:views:20260918T140000Z", "region:eu:cat:news:top_k:views:20260918T140000Z",
			"region:eu:top_k:worst:20260918T140000Z", "cat:news:top_k:slide:20260918T135800Z", "cat:news:top_k:slide:20260918T140000Z"} {
			if got := w.client.HGet(t.Context(), redis.Meta(w.prefix+key), "late").Val(); got != want {
				t.Errorf("%s late in %s, want %s", got, key, want)
			}
		}
	}
	late(0, 5, 6, 7)
	expect("3")
	late(0, 5, 6, 7) // a repeat
	late(0, 6, 8, 7, 8)
	expect("4")
	late(1, 5)
	expect("5")
	var many []int64
	for offset := range int64(6000) { // more than a call takes
		many = append(many, 100+offset)
	}
	late(0, many...)
	expect("6005")
	if write(t, writer, lists(2)...) { // keeps the count
		t.Error("behind")
	}
	expect("6005")
	for _, alias := range []string{"global:top_k:views", "global:top_k"} {
		if w.client.HExists(t.Context(), redis.Meta(w.prefix+alias), "late").Val() {
			t.Errorf("%s has a count", alias)
		}
	}
	if got := w.client.HGet(t.Context(), redis.Meta(w.prefix+"global:top_k:views:20260918T140000Z"), "late_through:events:0").Val(); got != "6099" {
		t.Errorf("counted through %s", got)
	}
}

func testLateOld(t *testing.T, w *world) {
	sink := w.sink(t, func(c *redis.Config) { c.Now = func() time.Time { return time.UnixMilli(base).Add(49 * time.Hour) } })
	write(t, sink.Writer(0, -1), lists(1)...)
	if err := sink.Late(t.Context(), []redis.Late{{Group: event.NewGroup("eu", "news"), Pane: base, Source: "events", Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"global:top_k:views:20260918T140000Z": "1", "region:eu:top_k:views:20260918T140000Z": "1", "region:eu:top_k:worst:20260918T140000Z": ""} {
		if got := w.client.HGet(t.Context(), redis.Meta(w.prefix+key), "late").Val(); got != want {
			t.Errorf("%q late in %s, want %q", got, key, want)
		}
	}
	if s := sink.Stats(); s.Late != 2 || s.LateOld == 0 {
		t.Errorf("%+v", s)
	}
}
