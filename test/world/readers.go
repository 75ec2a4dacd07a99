package world

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

// Readers poll a Redis while a test runs. What they must never see: more than K members, a list that doesn't go with its meta, or a
// (window, revision) that goes back.
type Readers struct {
	w     *Boards
	mu    sync.Mutex
	seen  map[string]sight // by key
	reads int
	moves int  // how often a list had a later revision than before
	still bool // none has to
}

// sight is what was read of a list last.
type sight struct {
	start    string
	revision int64
	says     string // all that a revision says
}

// Watch starts readers, which end with the test; what they find fails it.
func (w *Boards) Watch() *Readers {
	w.T.Helper()
	r := &Readers{w: w, seen: map[string]sight{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	w.T.Cleanup(func() {
		cancel()
		running.Wait()
		w.T.Logf("readers: %d reads, %d times a list had moved on", r.reads, r.moves)
		if r.moves == 0 && !r.still {
			w.T.Error("the readers have seen nothing change")
		}
		if len(r.seen) == 0 {
			w.T.Error("the readers have seen no list")
		}
	})
	return r
}

// MayStandStill lets lists never move on, since all can be written at once, in the end. To be called by who has them watched.
func (r *Readers) MayStandStill() { r.still = true }

func (r *Readers) run(ctx context.Context) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		keys, err := r.w.Keys(ctx)
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
func (r *Readers) read(ctx context.Context, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.w.Read(ctx, key, event.Top)
	if err != nil || len(list.Meta) == 0 || list.Meta["revision"] == "" {
		return
	}
	r.reads++
	revision, err := strconv.ParseInt(list.Meta["revision"], 10, 64)
	if err != nil {
		r.w.T.Errorf("%s: revision %q", key, list.Meta["revision"])
		return
	}
	if k := r.w.Board(boardOf(r.w, key)).K; len(list.Entries) > k {
		r.w.T.Errorf("%s has %d members, more than %d", key, len(list.Entries), k)
	}
	now := sight{list.Meta["start"], revision, fmt.Sprint(list.Entries, list.Meta["final"], list.Meta["exact"], list.Meta["max_error"], list.Meta["duplicates"], list.Meta["end"])}
	before, ok := r.seen[key]
	switch c := cmp.Or(cmp.Compare(now.start, before.start), cmp.Compare(now.revision, before.revision)); {
	case !ok:
	case c < 0:
		r.w.T.Errorf("%s went back from %+v to %+v", key, before, now)
	case c == 0 && now.says != before.says:
		r.w.T.Errorf("%s says two things at revision %d: %s and %s", key, revision, before.says, now.says)
	case c > 0:
		r.moves++
	}
	r.seen[key] = now
}

// Forget has the readers begin anew, for Redis has lost something.
func (r *Readers) Forget(while func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	while()
	r.seen = map[string]sight{}
}

// boardOf returns the name of the board that a key is of.
func boardOf(w *Boards, key string) string {
	_, name, found := strings.Cut(key, ":top_k:")
	if !found {
		return w.Config.Boards.Boards[0].Name
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}

// AwaitLists waits until each list that Redis has is as the oracle has it for what was produced so far, final or not; and no list of a
// tumbling window is missing.
func (w *Boards) AwaitLists() {
	w.T.Helper()
	want := w.Expected()
	var diffs []string
	w.EventuallyOr("Redis is as of all that was produced", func() bool {
		diffs = w.interim(want)
		return len(diffs) == 0
	}, func() string { return strings.Join(diffs, "\n") })
}

// interim says where lists are not as expected, whether they are final or not.
func (w *Boards) interim(want Answers) (list []string) {
	for _, r := range want {
		key, board := w.Key(r.ListKey), w.Board(r.Board)
		got, err := w.Read(w.T.Context(), key, board.Order)
		switch {
		case err != nil:
			return []string{err.Error()}
		case len(got.Meta) == 0 && board.Window.Slide != 0:
			// it may not have begun
		case len(got.Meta) == 0:
			list = append(list, key+" is missing")
		case r.Exact && !slices.Equal(got.Entries, r.Entries):
			list = append(list, fmt.Sprintf("%s is %v, want %v; meta %v", key, got.Entries, r.Entries, got.Meta))
		}
		if len(list) > 3 {
			break
		}
	}
	return list
}
