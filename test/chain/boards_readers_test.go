package chain_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrank/millrank/event"
)

// readers poll a Redis while a test runs. What they must never see: more than K members, a list that doesn't go with its meta, or a
// (window, revision) that goes back.
type readers struct {
	w     *boardsWorld
	mu    sync.Mutex
	seen  map[string]sight // by key
	reads int
	moves int // how often a list had a later revision than before
}

// sight is what was read of a list last.
type sight struct {
	start    string
	revision int64
	says     string // all that a revision says
}

// watch starts readers, which end with the test; what they find fails it.
func (w *boardsWorld) watch() *readers {
	w.t.Helper()
	r := &readers{w: w, seen: map[string]sight{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
		w.t.Logf("readers: %d reads, %d times a list had moved on", r.reads, r.moves)
		if r.moves == 0 {
			w.t.Error("the readers have seen nothing change")
		}
	})
	return r
}

func (r *readers) run(ctx context.Context) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		keys, err := r.w.keys(ctx)
		if err != nil {
			<-ticker.C // Redis may be away
			continue
		}
		for _, key := range keys {
			if ctx.Err() != nil {
				return
			}
			r.read(ctx, key)
		}
		<-ticker.C
	}
}

// read reads a list. Forget waits for it, so that it isn't held against what came before.
func (r *readers) read(ctx context.Context, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.w.read(ctx, key, event.Top)
	if err != nil || len(list.meta) == 0 || list.meta["revision"] == "" {
		return
	}
	r.reads++
	revision, err := strconv.ParseInt(list.meta["revision"], 10, 64)
	if err != nil {
		r.w.t.Errorf("%s: revision %q", key, list.meta["revision"])
		return
	}
	if k := r.w.board(boardOf(r.w, key)).K; len(list.entries) > k {
		r.w.t.Errorf("%s has %d members, more than %d", key, len(list.entries), k)
	}
	now := sight{list.meta["start"], revision, fmt.Sprint(list.entries, list.meta["final"], list.meta["exact"], list.meta["max_error"], list.meta["duplicates"], list.meta["end"])}
	before, ok := r.seen[key]
	switch c := cmp.Or(cmp.Compare(now.start, before.start), cmp.Compare(now.revision, before.revision)); {
	case !ok:
	case c < 0:
		r.w.t.Errorf("%s went back from %+v to %+v", key, before, now)
	case c == 0 && now.says != before.says:
		r.w.t.Errorf("%s says two things at revision %d: %s and %s", key, revision, before.says, now.says)
	case c > 0:
		r.moves++
	}
	r.seen[key] = now
}

// forget has the readers begin anew, for Redis has lost something.
func (r *readers) forget(while func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	while()
	r.seen = map[string]sight{}
}

// boardOf returns the name of the board that a key is of.
func boardOf(w *boardsWorld, key string) string {
	_, name, found := strings.Cut(key, ":top_k:")
	if !found {
		return w.config.Boards.Boards[0].Name
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}

// awaitLists waits until each list that Redis has is as the oracle has it for what was produced so far, final or not; and no list of a
// tumbling window is missing.
func (w *boardsWorld) awaitLists() {
	w.t.Helper()
	want := w.expected()
	var diffs []string
	w.eventuallyOr("Redis is as of all that was produced", func() bool {
		diffs = w.interim(want)
		return len(diffs) == 0
	}, func() string { return strings.Join(diffs, "\n") })
}

// interim says where lists are not as expected, whether they are final or not.
func (w *boardsWorld) interim(want answers) (list []string) {
	for _, r := range want {
		key, board := w.key(r.ListKey), w.board(r.Board)
		got, err := w.read(w.t.Context(), key, board.Order)
		switch {
		case err != nil:
			return []string{err.Error()}
		case len(got.meta) == 0 && board.Window.Slide != 0:
			// it may not have begun
		case len(got.meta) == 0:
			list = append(list, key+" is missing")
		case r.Exact && !slices.Equal(got.entries, r.Entries):
			list = append(list, fmt.Sprintf("%s is %v, want %v; meta %v", key, got.entries, r.Entries, got.meta))
		}
		if len(list) > 3 {
			break
		}
	}
	return list
}

// eventuallyOr is eventually that says why not.
func (w *world) eventuallyOr(what string, holds func() bool, why func() string) {
	w.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.t.Fatalf("it took more than %v until %s:\n%s", patience, what, why())
		}
	}
}
