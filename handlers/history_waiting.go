package handlers

import (
	"math"

	"github.com/millrank/millrank/event"
)

// waitingCells are the cells that have changed, the newest of each, until they are written.
type waitingCells struct {
	closeAfter int64 // how long after its start a pane closes, milliseconds

	rows    []CellRow
	places  map[cellKey]int        // where in rows
	groups  map[string]event.Group // of rows; many share one
	spare   []CellRow              // memory for rows
	sources []cellSource
	closing bool // some rows' panes have closed
}

type cellKey struct {
	source      int32
	pane        int64
	group, item string
}

// cellSource is what is known of a source partition.
type cellSource struct {
	closedThrough int64 // its watermark; event.NoTime before it is heard of
	oldest        int64 // the least pane of rows; math.MaxInt64: there are none
}

func newWaitingCells(sources int, closeAfter int64) *waitingCells {
	w := &waitingCells{closeAfter: closeAfter, places: map[cellKey]int{}, groups: map[string]event.Group{}, sources: make([]cellSource, sources)}
	for i := range w.sources {
		w.sources[i] = cellSource{event.NoTime, math.MaxInt64}
	}
	return w
}

// add takes an update's cells in. They may be older than what is known: a zombie's, or come again.
func (w *waitingCells) add(u *event.Update) {
	s := &w.sources[u.Source]
	for i := range u.Cells {
		c := &u.Cells[i]
		if at, ok := w.places[cellKey{int32(u.Source), c.Pane, string(c.Group), string(c.Item)}]; ok { // makes no strings
			if r := &w.rows[at]; r.AsOf < u.AsOf {
				r.Count, r.Sum, r.Min, r.Max, r.Duplicates, r.AsOf = c.Count, c.Sum, c.Min, c.Max, c.Duplicates, u.AsOf
			}
			continue
		}
		w.put(CellRow{
			Partition: int32(u.Source), Pane: c.Pane, Group: w.group(c.Group), Item: string(c.Item),
			Count: c.Count, Sum: c.Sum, Min: c.Min, Max: c.Max, Duplicates: c.Duplicates, AsOf: u.AsOf,
		})
	}
	s.closedThrough = max(s.closedThrough, u.ClosedThrough)
	if u.Last { // until then, more of them may come
		w.noteClosing(s)
	}
}

// put adds a row that isn't there.
func (w *waitingCells) put(r CellRow) {
	w.places[cellKey{r.Partition, r.Pane, string(r.Group), r.Item}] = len(w.rows)
	w.rows = append(w.rows, r)
	s := &w.sources[r.Partition]
	s.oldest = min(s.oldest, r.Pane)
}

func (w *waitingCells) group(b []byte) event.Group {
	g, ok := w.groups[string(b)]
	if !ok {
		g = event.Group(b)
		w.groups[string(g)] = g
	}
	return g
}

func (w *waitingCells) noteClosing(s *cellSource) {
	w.closing = w.closing || s.oldest != math.MaxInt64 && s.oldest+w.closeAfter <= s.closedThrough
}

func (w *waitingCells) size() int { return len(w.rows) }

func (w *waitingCells) soon() bool { return w.closing }

func (w *waitingCells) give() []CellRow {
	rows := w.rows
	w.rows, w.spare, w.closing = w.spare[:0], nil, false
	clear(w.places)
	clear(w.groups)
	for i := range w.sources {
		w.sources[i].oldest = math.MaxInt64
	}
	return rows
}

func (w *waitingCells) restore(rows []CellRow) {
	for i := range rows {
		r := &rows[i]
		at, ok := w.places[cellKey{r.Partition, r.Pane, string(r.Group), r.Item}]
		switch {
		case !ok:
			w.put(*r)
		case w.rows[at].AsOf < r.AsOf: // what came since was older
			w.rows[at] = *r
		}
	}
	for i := range w.sources {
		w.noteClosing(&w.sources[i])
	}
	w.reuse(rows)
}

func (w *waitingCells) reuse(rows []CellRow) {
	clear(rows) // of strings
	w.spare = rows[:0]
}
