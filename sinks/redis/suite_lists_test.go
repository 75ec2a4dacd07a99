package redis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/redis"
)

func testNames(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	regions := []string{"eu", "", ":", "a:b", "{", "{}", "}{", "%", "%3A", `'"`, "new\nline", "日本", "\xff\x00", "global", strings.Repeat("x", 3000)}
	var lists []event.Ranking
	for i, region := range regions {
		l := list("views", "", base, 10, entry("item:"+region, float64(i)))
		l.By, l.Group = "region", event.NewGroup(region)
		lists = append(lists, l)
	}
	pair := list("views", "", base, 10, entry("a", 1))
	pair.By, pair.Group = "region,cat", event.NewGroup("eu:", "{news}")
	lists = append(lists, pair, list("views", "", base, 10, entry("b", 1)))
	if write(t, writer, lists...) {
		t.Error("behind")
	}
	for i, region := range regions {
		keys := sink.Keys("views", "region", event.NewGroup(region))
		for _, key := range []string{keys.Window(base), keys.Newest(), keys.Default()} {
			w.check(t, key, lists[i])
		}
	}
	for key, want := range map[string]event.Ranking{
		"region:eu:top_k:views:20260918T140000Z": lists[0], "region:eu:top_k:views": lists[0], "region:eu:top_k": lists[0],
		"region::top_k:views": lists[1], "region:a%3Ab:top_k": lists[3], "region:%7B%7D:top_k": lists[5], "region:%253A:top_k": lists[8],
		"region:eu%3A:cat:%7Bnews%7D:top_k:views:20260918T140000Z": pair,
		"global:top_k:views:20260918T140000Z":                      lists[len(lists)-1], "global:top_k:views": lists[len(lists)-1], "global:top_k": lists[len(lists)-1],
	} {
		w.check(t, w.prefix+key, want)
	}
}

func testOrders(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	top := list("views", "eu", base, 1, entry("a", 1e21), entry("c", 0.1), entry("b", 0.1), entry("z", 0), entry("é", -math.MaxFloat64))
	bottom := list("worst", "eu", base, 1, entry("é", -2.5), entry("B", -1), entry("b", -1), entry("bb", -1), entry("a", 1.0/3))
	write(t, writer, top, bottom)
	w.check(t, w.prefix+"region:eu:top_k:views", top)
	w.check(t, w.prefix+"region:eu:top_k:worst", bottom)
	if n := w.client.Exists(t.Context(), w.prefix+"region:eu:top_k").Val(); n != 1 {
		t.Error("the default board isn't there")
	}
}

func testSizes(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	for revision, item := range []string{"a", "b", "b", "c"} {
		l := list("first", "", base, int64(revision), entry(item, float64(revision)))
		write(t, writer, l)
		w.check(t, w.prefix+"global:top_k:first", l)
	}
	empty := list("first", "", base, 10)
	write(t, writer, empty)
	w.check(t, w.prefix+"global:top_k:first", empty)
	write(t, writer, list("first", "", base, 11))
	full := list("first", "", base, 12, entry("d", 1))
	write(t, writer, full)
	w.check(t, w.prefix+"global:top_k:first", full)

	large := list("large", "", base, 20)
	for i := range 10_000 {
		large.Entries = append(large.Entries, entry("item-"+strconv.Itoa(i), float64(10_000-i/3)/7))
	}
	slices.SortFunc(large.Entries, event.Top.Compare)
	write(t, writer, large)
	w.check(t, w.prefix+"global:top_k:large", large)
	next := list("large", "", base, 21, slices.Clone(large.Entries[4500:])...) // a delta: 4,500 go
	next.Entries[0].Item = "moved"
	write(t, writer, next)
	w.check(t, w.prefix+"global:top_k:large", next)
	other := list("large", "", base, 22, entry("moved", 3), entry("new", 2))
	if fresh := sink.Writer(0, 21); write(t, fresh, other) { // the whole list, by somebody who doesn't know what goes
		t.Error("behind")
	}
	w.check(t, w.prefix+"global:top_k:large", other)
	if s := sink.Stats(); s.Lost+s.Resent+s.Older != 0 {
		t.Errorf("%+v", s)
	}
}

func testMeta(t *testing.T, w *world) {
	now := time.UnixMilli(base + 12_345)
	sink := w.sink(t, func(c *redis.Config) { c.Now = func() time.Time { return now } })
	writer := sink.Writer(0, -1)
	l := list("views", "eu", base, 7, entry("a", 1))
	l.Exact, l.MaxError, l.Duplicates = false, 1.5, 3
	if _, err := writer.Write(t.Context(), 7, event.NoTime, []event.Ranking{l}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"start": rfc(base), "end": rfc(base + minute), "watermark": "", "final": "0", "revision": "7", "updated_at": "2026-09-18T14:00:12.345Z",
		"exact": "0", "max_error": "1.5", "duplicates": "3", "late": "0",
	}
	if w.generation > 0 {
		want["generation"] = "1"
		if w.kind == "cluster" {
			want["epoch"] = "1"
		}
	}
	checkMeta := func(key string) {
		t.Helper()
		meta, err := w.client.HGetAll(t.Context(), "{"+w.prefix+key+"}:meta").Result()
		if err != nil || fmt.Sprint(meta) != fmt.Sprint(want) {
			t.Errorf("%s is described by %v (%v), want %v", key, meta, err, want)
		}
	}
	checkMeta("region:eu:top_k:views:20260918T140000Z")
	l.Exact, l.MaxError, l.Final, l.Revision = true, 0, true, 8
	if _, err := writer.Write(t.Context(), 8, base+minute, []event.Ranking{l}); err != nil {
		t.Fatal(err)
	}
	want["watermark"], want["final"], want["revision"], want["exact"], want["max_error"] = rfc(base+minute), "1", "8", "1", "0"
	checkMeta("region:eu:top_k:views:20260918T140000Z")
	delete(want, "late")
	for _, alias := range []string{"region:eu:top_k:views", "region:eu:top_k:views:final", "region:eu:top_k"} {
		checkMeta(alias)
	}
}

func testRefused(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	for name, l := range map[string]event.Ranking{
		"no such board":   list("none", "eu", base, 1),
		"no whole second": list("views", "eu", base+1, 1),
		"revision":        list("views", "eu", base, -1),
		"at most 5":       list("views", "eu", base, 1, make([]event.Entry, 6)...),
		"order":           list("views", "eu", base, 1, entry("a", 1), entry("b", 2)),
		"Inf":             list("views", "eu", base, 1, entry("a", math.Inf(1))),
		"NaN":             list("views", "eu", base, 1, entry("a", math.NaN())),
		"years":           list("views", "eu", time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), 1),
	} {
		good := list("views", "us", base, 1, entry("a", 1))
		if _, err := sink.Writer(0, -1).Write(t.Context(), 1, base, []event.Ranking{good, l}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found := w.keys(t, w.prefix+"region"); len(found) != 0 {
		t.Errorf("written: %q", found)
	}
}

func testAliases(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	one, two := list("views", "eu", base, 1, entry("a", 1)), list("views", "eu", base+minute, 2, entry("b", 1))
	other := list("worst", "eu", base+9*minute, 2, entry("c", 1))
	expect := func(newest, final, plain *event.Ranking) {
		t.Helper()
		for key, want := range map[string]*event.Ranking{"region:eu:top_k:views": newest, "region:eu:top_k:views:final": final, "region:eu:top_k": plain} {
			if want != nil {
				w.check(t, w.prefix+key, *want)
			} else if w.client.Exists(t.Context(), w.prefix+key, redis.Meta(w.prefix+key)).Val() != 0 && w.kind != "cluster" {
				t.Errorf("%s is there", key)
			}
		}
	}
	write(t, writer, one)
	expect(&one, nil, &one)
	write(t, writer, two, other)
	expect(&two, nil, &two)
	one.Revision, one.Final, one.Entries = 3, true, []event.Entry{entry("a", 2)}
	write(t, writer, one) // late news of an older window
	expect(&two, &one, &two)
	one.Revision = 4
	if fresh := sink.Writer(0, 3); write(t, fresh, one) { // by somebody who doesn't know of the newer one
		t.Error("behind")
	}
	expect(&two, &one, &two)
	w.check(t, w.prefix+"region:eu:top_k:views:20260918T140000Z", one)
	two.Revision, two.Final = 5, true
	write(t, writer, two, one)
	expect(&two, &two, &two)
	three := list("views", "eu", base+2*minute, 6, entry("x", 1), entry("b", 1))
	write(t, sink.Writer(0, 5), three) // moved on by somebody else
	four := list("views", "eu", base+3*minute, 7, entry("c", 1), entry("b", 1))
	write(t, writer, four) // a delta to what this one remembers
	expect(&four, &two, &four)
	if s := sink.Stats(); s.Resent == 0 {
		t.Errorf("%+v", s)
	}
}

func testMany(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	var lists []event.Ranking
	for i := range 1100 { // more than a pipeline takes
		lists = append(lists, list("views", "r"+strconv.Itoa(i), base, 1, entry("a", float64(i))))
	}
	write(t, writer, lists...)
	for _, i := range []int{0, 333, 1099} {
		w.check(t, w.prefix+"region:r"+strconv.Itoa(i)+":top_k:views", lists[i])
	}
	if s := sink.Stats(); s.Whole != 3300 || s.Lists != 1100 || s.Pipelines > 12 {
		t.Errorf("%+v", s)
	}
}

func testForgetting(t *testing.T, w *world) {
	sink := w.sink(t, func(c *redis.Config) { c.Remember = 2000 })
	writer, m := sink.Writer(0, -1), model{}
	r := rand.New(rand.NewPCG(1, 1))
	for revision := range int64(50) {
		l := random(r, "views", []string{"eu", "us", "asia"}[r.IntN(3)], base+minute*r.Int64N(2), revision)
		write(t, writer, l)
		m.take(sink, l)
	}
	w.checkModel(t, m)
	if s := sink.Stats(); s.Forgotten == 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

func testNoScript(t *testing.T, w *world) {
	sink := w.sink(t, nil)
	writer, m := sink.Writer(0, -1), model{}
	r := rand.New(rand.NewPCG(2, 2))
	for revision := range int64(20) {
		if revision%3 == 0 {
			for _, addr := range w.addrs {
				if err := connect(t, []string{addr}).ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		lists := []event.Ranking{random(r, "views", "eu", base, revision), random(r, "views", "us", base, revision), random(r, "worst", "asia", base, revision)}
		if write(t, writer, lists...) {
			t.Fatal("behind")
		}
		for _, l := range lists {
			m.take(sink, l)
		}
		w.checkModel(t, m)
	}
}

func testWrongType(t *testing.T, w *world) {
	key := w.prefix + "region:eu:top_k:views"
	if err := w.client.Set(t.Context(), key, "a string", 0).Err(); err != nil {
		t.Fatal(err)
	}
	writer := w.sink(t, nil).Writer(0, -1)
	if _, err := writer.Write(t.Context(), 1, base, []event.Ranking{list("views", "eu", base, 1, entry("a", 1))}); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") || !strings.Contains(err.Error(), key) {
		t.Error(err)
	}
}
