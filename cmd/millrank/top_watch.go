package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// topWatch is a board that is watched. Keys come while it is read.
type topWatch struct {
	boards *boardsIn

	mu     sync.Mutex
	view   topView
	moves  []string // keys that the next look goes by
	last   *topShown
	before map[string]int // ranks before the last change
}

func newTopWatch(b *boardsIn, v topView) *topWatch { return &topWatch{boards: b, view: v} }

// key notes a key.
func (w *topWatch) key(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves = append(w.moves, key)
}

// show looks, and writes what it sees.
func (w *topWatch) show(ctx context.Context, a *app, width int) (string, error) {
	w.mu.Lock()
	moves := w.moves
	w.moves = nil
	w.mu.Unlock()
	for _, key := range moves {
		if err := w.move(ctx, key); err != nil {
			return "", err
		}
	}
	shown, err := w.boards.read(ctx, w.view)
	const help = "\n↑ ↓ board   ← → window   tab region"
	switch {
	case errors.Is(err, errNoList): // it may come yet
		return err.Error() + "\n" + help, nil
	case err != nil:
		return "", err
	}
	w.changed(shown)
	return a.topText(shown, w.before, width) + help, nil
}

// changed notes the ranks before a change.
func (w *topWatch) changed(shown *topShown) {
	switch {
	case w.last == nil || w.last.Key != shown.Key || w.last.Start != shown.Start:
		w.before = ranks(shown) // another list: nothing has moved
	case w.last.Revision != shown.Revision && !slices.EqualFunc(w.last.Items, shown.Items, func(a, b topItem) bool { return a.Item == b.Item }):
		w.before = ranks(w.last)
	}
	w.last = shown
}

func ranks(s *topShown) map[string]int {
	m := map[string]int{}
	for _, item := range s.Items {
		m[item.Item] = item.Rank
	}
	return m
}

// move goes to another board, window or region.
func (w *topWatch) move(ctx context.Context, key string) error {
	v := &w.view
	switch key {
	case "up", "down":
		all := w.boards.settings.Boards
		at := 0
		for i := range all {
			if all[i].Name == v.board.Name {
				at = i
			}
		}
		v.board = all[(at+len(all)+step(key == "down"))%len(all)]
		named := v.by
		if named == "" {
			named = "global"
		}
		if !slices.Contains(v.board.By, named) {
			v.by, v.group = "", nil
			if by := v.board.By[0]; by != "global" {
				return w.another(ctx, 1)
			}
		}
		if v.window == windowAt {
			v.window = windowNewest
		}
	case "left", "right":
		return w.slide(ctx, step(key == "right"))
	case "tab", "shift+tab":
		return w.another(ctx, step(key == "tab"))
	}
	return nil
}

func step(on bool) int {
	if on {
		return 1
	}
	return -1
}

// another goes to the next region or group that there is a list of.
func (w *topWatch) another(ctx context.Context, by int) error {
	lists, err := w.boards.lists(ctx, "")
	if err != nil && !errors.Is(err, errScanMax) {
		return err
	}
	lists = slices.DeleteFunc(lists, func(l topLists) bool { return l.Board != w.view.board.Name })
	if len(lists) == 0 {
		return nil
	}
	at := slices.IndexFunc(lists, func(l topLists) bool {
		return slices.Equal(l.By, topBy(w.view.by)) && slices.Equal(l.Group, append([]string{}, w.view.group...))
	})
	next := lists[(max(at, 0)+len(lists)+by)%len(lists)]
	w.view.by, w.view.group = join(next.By), next.Group
	return nil
}

// slide goes to the window before or after.
func (w *topWatch) slide(ctx context.Context, by int) error {
	if w.view.window != windowAt {
		shown, err := w.boards.read(ctx, w.view)
		if err != nil {
			if errors.Is(err, errNoList) {
				return nil
			}
			return err
		}
		at, err := parseTime(shown.Start)
		if err != nil {
			return err
		}
		w.view.window, w.view.start = windowAt, at
	}
	other := w.view
	other.window, other.start = windowAt, w.view.start.Add(time.Duration(by)*topSlide(w.view.board))
	if _, err := w.boards.read(ctx, other); errors.Is(err, errNoList) {
		if by > 0 { // there is none after it: follow the newest
			w.view.window = windowNewest
		}
		return nil
	} else if err != nil {
		return err
	}
	w.view = other
	return nil
}
