package redis

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

func TestKeys(t *testing.T) {
	start := time.Date(2026, 9, 18, 23, 5, 0, 0, time.UTC).UnixMilli()
	s := &Sink{config: Config{Prefix: "g1:"}}
	for _, test := range []struct {
		by    string
		group event.Group
		want  string // the window's key
	}{
		{"", "", "g1:global:top_k:views:20260918T230500Z"},
		{"region", event.NewGroup("eu"), "g1:region:eu:top_k:views:20260918T230500Z"},
		{"region", event.NewGroup(""), "g1:region::top_k:views:20260918T230500Z"},
		{"region", event.NewGroup("a:b%{c}"), "g1:region:a%3Ab%25%7Bc%7D:top_k:views:20260918T230500Z"},
		{"region", event.NewGroup("'\"\n; DROP é"), "g1:region:'\"\n; DROP é:top_k:views:20260918T230500Z"},
		{"region,cat", event.NewGroup("eu", "news"), "g1:region:eu:cat:news:top_k:views:20260918T230500Z"},
		{"cat,region", event.NewGroup("news", "eu"), "g1:cat:news:region:eu:top_k:views:20260918T230500Z"},
		{"a:b", event.NewGroup("x"), "g1:a%3Ab:x:top_k:views:20260918T230500Z"},
	} {
		keys := s.Keys("views", test.by, test.group)
		got := []string{keys.Window(start), keys.Newest(), keys.Final(), keys.Default()}
		board := strings.TrimSuffix(test.want, ":20260918T230500Z")
		want := []string{test.want, board, board + ":final", strings.TrimSuffix(board, ":views")}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("by %q of %q: %q, want %q", test.by, test.group.Values(), got[i], want[i])
			}
			if slotOfKey(got[i]) != slotOfKey(Meta(got[i])) {
				t.Errorf("%q and its meta are in different slots", got[i])
			}
		}
	}
}

// slotOfKey returns the slot of a key as Redis defines it.
func slotOfKey(key string) int {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			return slotOf(tag)
		}
	}
	return slotOf(key)
}

// TestEncode checks that no two names look alike.
func TestEncode(t *testing.T) {
	seen := map[string]string{}
	for _, a := range []string{"", "%", ":", "{", "}", "%3A", "%25", "a", "a:", ":a", "%253A"} {
		for _, b := range []string{"", "%", ":", "a", "3A", "253A", "{}"} {
			name := a + b
			if other, ok := seen[encode(name)]; ok && other != name {
				t.Errorf("%q and %q are both %q", name, other, encode(name))
			}
			seen[encode(name)] = name
			if strings.ContainsAny(encode(name), ":{}") {
				t.Errorf("%q stands as %q", name, encode(name))
			}
		}
	}
}

func TestFormatTime(t *testing.T) {
	for ms, want := range map[int64]string{
		event.NoTime: "", 0: "1970-01-01T00:00:00.000Z", -1: "1969-12-31T23:59:59.999Z", 1789772700123: "2026-09-18T23:05:00.123Z",
	} {
		if got := formatTime(ms); got != want {
			t.Errorf("%d is %q, want %q", ms, got, want)
		}
	}
}

func TestSlots(t *testing.T) {
	for tag, want := range map[string]int{"123456789": 0x31C3, "": 0, "foo": 12182, "hello": 866} {
		if got := slotOf(tag); got != want {
			t.Errorf("slot of %q is %d, want %d", tag, got, want)
		}
	}
	tags := spreadTags()
	for i, tag := range tags {
		if slot := slotOf(tag); slot/(slots/spread) != i {
			t.Errorf("tag %d, %q, is in slot %d", i, tag, slot)
		}
	}
	if one := []slotRange{{5, 5}, {16383, 16383}}; !anyHolds(one, slotOf(tagIn(one))) {
		t.Error("no tag for two single slots")
	}
}

func TestClusterTags(t *testing.T) {
	a, b, c := []goredis.ClusterNode{{ID: "a"}, {ID: "replica"}}, []goredis.ClusterNode{{ID: "b"}}, []goredis.ClusterNode{{ID: "c"}}
	even := []goredis.ClusterSlot{{Start: 0, End: 5460, Nodes: a}, {Start: 5461, End: 10922, Nodes: b}, {Start: 10923, End: slots - 1, Nodes: c}}
	if got := clusterTags(even); len(got) != spread {
		t.Errorf("%d tags for three masters with much each", len(got))
	}
	uneven := []goredis.ClusterSlot{{Start: 0, End: 5, Nodes: a}, {Start: 6, End: 6, Nodes: b}, {Start: 7, End: 10000, Nodes: c}, {Start: 10001, End: 10002, Nodes: a}, {Start: 10003, End: slots - 1, Nodes: c}}
	got := clusterTags(uneven)
	if len(got) != spread+2 {
		t.Fatalf("%d tags", len(got))
	}
	if slot := slotOf(got[spread]); slot > 5 && slot != 10001 && slot != 10002 {
		t.Errorf("slot %d is not a's", slot)
	}
	if slot := slotOf(got[spread+1]); slot != 6 {
		t.Errorf("slot %d is not b's", slot)
	}
}

func TestWindowsOf(t *testing.T) {
	const minute = int64(60_000)
	for _, test := range []struct {
		window operators.Window
		at     int64
		want   []int64
	}{
		{operators.Window{Size: time.Minute}, 0, []int64{0}},
		{operators.Window{Size: time.Minute}, minute - 1, []int64{0}},
		{operators.Window{Size: time.Minute}, -1, []int64{-minute}},
		{operators.Window{Size: 3 * time.Minute, Slide: time.Minute}, 10 * minute, []int64{10 * minute, 9 * minute, 8 * minute}},
		{operators.Window{Size: 3 * time.Minute, Slide: 2 * time.Minute}, 10 * minute, []int64{10 * minute, 8 * minute}},
		{operators.Window{Size: 3 * time.Minute, Slide: 2 * time.Minute}, 11 * minute, []int64{10 * minute}},
		{operators.Window{Size: 24 * time.Hour, Offset: -time.Hour}, 0, []int64{-60 * minute}},
	} {
		var got []int64
		for start := range windowsOf(test.window, test.at) {
			got = append(got, start)
		}
		if len(got) != len(test.want) {
			t.Errorf("%v at %d: %v, want %v", test.window, test.at, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%v at %d: %v, want %v", test.window, test.at, got, test.want)
			}
		}
	}
}
