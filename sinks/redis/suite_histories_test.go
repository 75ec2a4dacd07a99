package redis_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/redis"
)

// random draws a list of at most five items of which others have the same scores.
func random(r *rand.Rand, board, region string, start, revision int64) event.Ranking {
	order := event.Top
	if board == "worst" {
		order = event.Bottom
	}
	l := list(board, region, start, revision)
	for _, i := range r.Perm(9)[:r.IntN(6)] {
		l.Entries = append(l.Entries, entry("i"+strconv.Itoa(i), float64(r.IntN(7)-3)/4))
	}
	slices.SortFunc(l.Entries, order.Compare)
	l.Final = r.IntN(4) == 0
	return l
}

// model is what keys must hold.
type model map[string]event.Ranking

// take puts a list where it belongs.
func (m model) take(sink *redis.Sink, l event.Ranking) {
	keys := sink.Keys(l.Board, l.By, l.Group)
	put := func(key string) {
		if was, ok := m[key]; !ok || l.Start > was.Start || l.Start == was.Start && l.Revision > was.Revision {
			m[key] = l
		}
	}
	put(keys.Window(l.Start))
	put(keys.Newest())
	if l.Final {
		put(keys.Final())
	}
	if l.Board == "views" {
		put(keys.Default())
	}
}

// checkModel fails unless Redis holds just what the model says.
func (w *world) checkModel(t *testing.T, m model) {
	t.Helper()
	for key, want := range m {
		w.check(t, key, want)
	}
	for _, key := range w.keys(t, w.prefix+"region") {
		plain, isMeta := strings.CutSuffix(strings.TrimPrefix(key, "{"), "}:meta")
		want, ok := m[plain]
		if !ok || !isMeta && len(want.Entries) == 0 {
			t.Errorf("what is %q?", key)
		}
	}
}

// rounds returns how many rounds a test does; fewer where it must be short.
func rounds(n int64) int64 {
	if testing.Short() {
		return n / 3
	}
	return n
}

// testHistories writes random lists, now and then by a new writer, and compares after each write.
func testHistories(t *testing.T, w *world) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	sink := w.sink(t, nil)
	writer, m, written := sink.Writer(0, -1), model{}, int64(-1)
	for revision := range rounds(150) {
		var lists []event.Ranking
		for _, board := range []string{"views", "worst"} {
			for range r.IntN(3) {
				lists = append(lists, random(r, board, []string{"eu", "us"}[r.IntN(2)], base+minute*r.Int64N(4), revision))
			}
		}
		slices.SortFunc(lists, func(a, b event.Ranking) int { return a.ListKey.Compare(b.ListKey) })
		lists = slices.CompactFunc(lists, func(a, b event.Ranking) bool { return a.ListKey == b.ListKey })
		if r.IntN(20) == 0 {
			writer = sink.Writer(0, written)
		}
		for range 1 + r.IntN(2) { // repeated now and then
			if behind, err := writer.Write(t.Context(), revision, base, lists); behind || err != nil {
				t.Fatal(behind, err)
			}
		}
		written = revision
		for _, l := range lists {
			m.take(sink, l)
		}
		w.checkModel(t, m)
	}
	if s := sink.Stats(); s.Deltas == 0 || s.Whole == 0 || s.Lost != 0 || s.Older == 0 && s.Repeats == 0 {
		t.Errorf("%+v", s)
	}
}

// testZombies has two writers with different histories: at the end there is the newest of both.
func testZombies(t *testing.T, w *world) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	sink := w.sink(t, nil)
	m := model{}
	writers := [2]*redis.Writer{sink.Writer(0, -1), sink.Writer(0, -1)}
	at := [2]int64{0, 0}
	for range rounds(200) {
		i := r.IntN(2)
		at[i] = max(at[i], at[1-i]-8) + r.Int64N(5) // close together, so that they get in each other's way
		// The same revision is the same list, whoever writes it.
		same := rand.New(rand.NewPCG(seed, uint64(at[i])))
		l := random(same, "views", []string{"eu", "us"}[same.IntN(2)], base+minute*same.Int64N(3), at[i])
		if write(t, writers[i], l) {
			t.Fatal("behind")
		}
		m.take(sink, l)
		w.checkModel(t, m)
	}
	if s := sink.Stats(); s.Older == 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}
