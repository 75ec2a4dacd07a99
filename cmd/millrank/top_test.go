package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

func topOfJSON(t *testing.T, text string) topShown {
	t.Helper()
	var s topShown
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func lines(s topShown) string {
	var words []string
	for _, item := range s.Items {
		words = append(words, fmt.Sprintf("%d %s %v", item.Rank, item.Item, item.Score))
	}
	return strings.Join(words, ", ")
}

// TestTop: boards of all windows, groups and orders, out of what 'millrank run' has written.
func TestTop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, errs, code := w.tries("top"); code != exitFailed || !strings.Contains(errs, `holds no leaderboards under the prefix "shop:"`) {
		t.Errorf("before it ran: exit code %d\n%s", code, errs)
	}
	w.runs()
	first := time.Now().UTC().Truncate(time.Minute).Add(-10 * time.Minute)
	second := first.Add(time.Minute)
	n := int64(0)
	like := func(at time.Time, region string, items ...string) {
		for _, item := range items {
			n++
			w.sends(0, at, "k", likes(fmt.Sprint(n), item, region, at))
		}
	}
	like(first, "eu", "a", "a", "b")
	like(first, "u:s", "b", "b", "c\x1b[31m")
	like(second, "eu", "d", "d", "a")
	like(second.Add(3*time.Minute), "eu", "z") // so the first two windows are final
	w.stateIs(hasCounted(n))
	w.eventually(func(out string) bool { return strings.Contains(out, `"final": true`) }, "top", "--window", "final", "--json")

	at := "--window=" + first.Format("2006-01-02T15:04")
	for _, c := range []struct {
		args string
		want string
	}{
		{at, "1 b 3, 2 a 2, 3 c\x1b[31m 1"},
		{at + " -k 1", "1 b 3"},
		{at + " --board worst", "1 c\x1b[31m 1, 2 a 2, 3 b 3"},
		{at + " --region eu", "1 a 2, 2 b 1"},
		{at + " --by region --group u:s", "1 b 2, 2 c\x1b[31m 1"},
		{"--window=" + second.Add(30*time.Second).Format(time.RFC3339), "1 d 2, 2 a 1"},
		{"", "1 z 1"},
	} {
		shown := topOfJSON(t, w.says(append(strings.Fields(c.args), "top", "--json")...))
		if got := lines(shown); got != c.want || !shown.Exact || shown.MaxError != 0.0 || shown.Updated == "" {
			t.Errorf("%s: %s, not %s; %+v", c.args, got, c.want, shown)
		}
	}
	out := w.says("top", at)
	for _, want := range []string{"likes: top by count, all", "UTC, final", `c\x1b[31m`, "Scores are exact.", "█"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("control characters in\n%q", out)
	}
	t.Log("\n" + out)

	out = w.says("top", "--list")
	if !strings.Contains(out, "region u:s") || !strings.Contains(out, "worst") || !strings.Contains(out, shortWindow(first.Format(time.RFC3339))) {
		t.Error(out)
	}
	t.Log("\n" + out)
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--board nope", "there are likes, worst", exitUsage},
		{"--board worst --region eu", "it has global", exitUsage},
		{"--by region", "takes 1 values", exitUsage},
		{"--window soon", "2026-01-02T15:00", exitUsage},
		{"--region nowhere", "Nothing was counted there", exitFailed},
		{"--window 2020-01-01", "the newest begin at " + shortWindow(first.Format(time.RFC3339)), exitFailed},
		{"--window previous", "Of this list there are 3 windows", exitFailed},
		{"--generation 7", "leave --generation out", exitFailed},
	} {
		out, errs, code := w.tries(append([]string{"top"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, out, errs)
		}
	}
}

// TestTopWatch: what is watched follows changes of rank, and keys.
func TestTopWatch(t *testing.T) {
	t.Parallel()
	a := &app{}
	list := func(revision int64, items ...string) *topShown {
		s := &topShown{Board: "likes", Measure: "count", Start: "2026-01-02T15:00:00.000Z", Key: "k", Revision: revision, Exact: true}
		for i, item := range items {
			s.Items = append(s.Items, topItem{i + 1, item, float64(10 - i)})
		}
		return s
	}
	w := newTopWatch(nil, topView{})
	w.changed(list(1, "a", "b", "c"))
	if out := a.topText(list(1, "a", "b", "c"), w.before, 80); strings.ContainsAny(out, "▲▼") || strings.Contains(out, "new") {
		t.Error(out)
	}
	next := list(2, "c", "a", "x")
	w.changed(next)
	w.changed(next)
	if out := a.topText(next, w.before, 80); !strings.Contains(out, "▲2 1") || !strings.Contains(out, "▼1 2") || !strings.Contains(out, "new 3") {
		t.Error(out)
	}
}

// TestLive: keys and ticks have it look again, one look at a time; what goes wrong is shown below what was seen last.
func TestLive(t *testing.T) {
	t.Parallel()
	var keys []string
	text, fails := "seen", error(nil)
	l := &liveView{every: time.Hour, keys: func(key string) { keys = append(keys, key) }, show: func(width int) (string, error) {
		return fmt.Sprint(text, " ", width), fails
	}}
	_, look := l.Update(tea.WindowSizeMsg{Width: 100, Height: 40})
	if _, other := l.Update(tea.KeyPressMsg{Code: 'x', Text: "x"}); other != nil || len(keys) != 1 || keys[0] != "x" {
		t.Errorf("a second look beside the first, keys %q", keys)
	}
	if _, again := l.Update(look()); again == nil || !l.looking || !strings.Contains(l.View().Content, "seen 100") {
		t.Errorf("the key that came meanwhile has no effect: %q", l.View().Content)
	} else {
		text, fails = "", errNoList
		l.Update(again())
	}
	if v := l.View().Content; !strings.Contains(v, "seen 100") || !strings.Contains(v, errNoList.Error()) {
		t.Error(v)
	}
	if _, look := l.Update(lookAgain{l.turn - 1}); look != nil {
		t.Error("an old tick counts")
	}
	if _, look := l.Update(lookAgain{l.turn}); look == nil {
		t.Error("a tick has no effect")
	}
	_, quit := l.Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	if _, ok := quit().(tea.QuitMsg); !ok {
		t.Error("q doesn't quit")
	}
}
