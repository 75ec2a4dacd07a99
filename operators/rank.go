package operators

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/millrank/millrank/event"
)

// Rank ranks the items of one shard (Rule 4). It folds its partition of the updates
// topic: cells per source partition → panes → windows → lists. All of an item's events
// reach one shard, so its lists are exact for its items, and the best of all shards'
// lists are the exact list (Merge).
//
// Take each message in the order of offsets; Flush from time to time, and tell Acked
// or Failed for each lane; commit what Commit returns. A Rank serves one goroutine.
//
// It keeps every cell of every kept window, so that a list whose scores fall (unlikes,
// refunds, windows that slide) is made from the truth, not from what an eviction left over. Where
// Boards.RankItems doesn't suffice for that, some go, and lists say what they are worth: see room.
type Rank struct {
	pane     int64 // milliseconds
	lateness int64 // milliseconds
	bound    int64 // milliseconds of out-of-orderness
	unit     float64
	views    []*view

	in     *Receiver[[]event.Cell]
	items  names
	groups names // groups as cells have them
	panes  map[int64]*rankPane
	recent *rankPane // the pane of the last cell, or nil
	out    *Sender[*leaders, Resume]

	dropped    int64              // dropped-through, as the windows and panes that are left reflect it
	block      [blockLen]incoming // scratch
	touched    uint32             // what was read ahead, so that it is read
	known      [64]knownGroup     // groups that came lately
	cellsUsed  int                // in the pane dropped last: how large to make the next one's table
	settled    bool               // the replay is over: what changes is to be published
	epoch      int                // grows when windows begin or are dropped: panes' targets are made again
	begun      int64              // sliding windows whose last slide begins by now are ranked; moved between flushes only, so that all panes agree
	nextBegin  int64              // event time at which the next one's does
	afterFinal int64
	room       room
}

// knownGroup is a group's number, and the closing watermark until which it is needed.
type knownGroup struct {
	ok     bool
	number uint32
	until  int64
}

// rankPane holds a pane's cells as this shard knows them, per source partition.
type rankPane struct {
	start     int64
	closeLast int64 // the closing watermark at which the last of its windows closes
	closeNext int64 // ... and the first of them
	first     int64 // log offset of the first part of the earliest-begun flush that touched it
	cells     table
	missing   missing   // bound of any item, whatever its group, for windows that begin later
	targets   []*totals // windows that take its cells now
	epoch     int       // of targets
}

// view is one sort of totals: of a window's span, by some dimensions. Boards that
// differ in measure, order or K share it.
type view struct {
	span    span
	by      string
	dims    []int // indexes into a cell's group
	boards  []*Board
	windows map[int64]*totals

	listsMade  uint64
	totalsUsed int // in the window dropped last: how large to make the next one's table
}

// NewRank returns the ranking of one shard, fed by this many source partitions, whose
// lists go to this many partitions of the rankings topic, to be stepped from
// from.LowWater on. It panics on boards that Validate refuses.
func NewRank(b Boards, sources, lanes int, from Resume) *Rank {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	if sources < 1 || sources > sourcesMax {
		panic(fmt.Sprintf("operators: %d source partitions; it must be 1 to %d", sources, sourcesMax))
	}
	r := &Rank{
		pane: b.Pane.Milliseconds(), lateness: b.AllowedLateness.Milliseconds(), bound: b.OutOfOrderness.Milliseconds(), unit: b.unit(),
		in:        NewReceiver[[]event.Cell](sources, b.ReviseFor.Milliseconds(), from),
		panes:     map[int64]*rankPane{},
		dropped:   from.DroppedThrough,
		begun:     event.NoTime,
		nextBegin: event.NoTime,
	}
	r.out = NewSender[*leaders, Resume](lanes, from.PublishedThrough, (*leaders).again, (*leaders).release)
	r.settled = from.LowWater > from.PublishedThrough
	r.room = newRoom(b)
	for i := range b.Boards {
		board := b.Boards[i]
		for _, by := range board.By {
			v := r.view(board.Window.span(), by, b.Dimensions)
			v.boards = append(v.boards, &board)
		}
	}
	return r
}

// view returns the view of a span by these dimensions, made where there is none.
func (r *Rank) view(span span, by, dimensions []string) *view {
	name := strings.Join(by, ",")
	for _, v := range r.views {
		if v.span == span && v.by == name {
			return v
		}
	}
	v := &view{span: span, by: name, windows: map[int64]*totals{}}
	for _, dimension := range by {
		v.dims = append(v.dims, slices.Index(dimensions, dimension))
	}
	r.views = append(r.views, v)
	return v
}

// Take takes in the message at an offset of the shard's updates log. The cells and
// their bytes are Rank's until their flush is whole. An error means that the message
// isn't from the partitions and settings that this shard is made for; nothing was taken.
func (r *Rank) Take(at int64, u *event.Update) error {
	for i := range u.Cells {
		if c := &u.Cells[i]; c.Pane%r.pane != 0 || c.Count < 0 || c.Count > countMask || c.Count == 0 && c.Sum != 0 || c.Duplicates < 0 {
			return fmt.Errorf("offset %d: a cell of pane %d with count %d, but panes are %d ms: the settings have changed; start a new generation", at, c.Pane, c.Count, r.pane)
		}
	}
	if !r.settled && at > r.in.replayTo {
		r.settle()
	}
	flush, took, err := r.in.Take(at, u.Part, u.Cells)
	if err != nil || took == Partial {
		return err
	}
	for _, cells := range flush.Parts {
		r.apply(cells, uint16(flush.Source), flush.First)
	}
	if r.in.Advance() || took == Fresh {
		r.advance()
	}
	return nil
}

// tooLate counts a cell that comes for a window that was dropped after it was final.
func (r *Rank) tooLate() {
	if r.settled {
		r.afterFinal++
	}
}

// paneOf returns the pane with this start, made where there is none; nil where all its windows are dropped.
func (r *Rank) paneOf(start int64) *rankPane {
	if p := r.panes[start]; p != nil {
		return p
	}
	p := &rankPane{start: start, closeLast: math.MinInt64, closeNext: math.MaxInt64, first: math.MaxInt64, epoch: -1}
	for _, v := range r.views {
		p.closeLast = max(p.closeLast, r.closeAt(v, v.span.last(start)))
		p.closeNext = min(p.closeNext, r.closeAt(v, v.span.first(start)))
	}
	if p.closeLast <= r.dropped {
		return nil
	}
	p.cells.size(r.presize(r.cellsUsed, func() (laid int) {
		for _, p := range r.panes {
			laid += p.cells.homes
		}
		return laid
	}))
	r.panes[start] = p
	return p
}

func (r *Rank) closeAt(v *view, start int64) int64 { return start + v.span.size + r.lateness }

// target makes sure that a pane's targets are the windows that are to take its cells.
func (r *Rank) target(p *rankPane) {
	if p.epoch == r.epoch {
		return
	}
	p.epoch, p.targets = r.epoch, p.targets[:0]
	for _, v := range r.views {
		for start := v.span.first(p.start); start <= p.start; start += v.span.slide {
			if r.closeAt(v, start) > r.dropped && r.active(v, start) {
				p.targets = append(p.targets, r.window(v, start))
			}
		}
	}
}

// active reports whether a window is to be ranked yet. One that slides is from the
// beginning of its last slide on: at every moment just the newest one is not whole,
// instead of all size ÷ slide that have begun.
func (r *Rank) active(v *view, start int64) bool {
	return !v.span.sliding() || start+v.span.size-v.span.slide <= r.begun
}

// now is how far event time has come somewhere, or closing everywhere. It is a function of the log.
func (r *Rank) now() int64 {
	now := r.in.ClosedThrough()
	if front := r.in.Front(); front != event.NoTime {
		now = max(now, front+r.bound)
	}
	return now
}

// advance lets windows begin, close and be dropped, as time has come.
func (r *Rank) advance() {
	if now := r.now(); now != event.NoTime && now >= r.nextBegin {
		r.begin(now)
	}
	closed := r.in.ClosedThrough()
	r.dropped = r.in.DroppedThrough() // after what had to begin has, so that nothing is dropped unpublished
	for _, v := range r.views {
		for start, t := range v.windows {
			if t.closeAt <= closed && !t.closed {
				t.closed, t.finalDue = true, true
			}
			if t.closeAt <= r.dropped {
				t.refresh(&r.items, r.publish)
				for i := range t.groups {
					for _, l := range t.groups[i].lists {
						l.leave(&r.items)
					}
				}
				v.totalsUsed = t.table.used
				delete(v.windows, start)
				r.epoch++
			}
		}
	}
	for _, p := range r.panes {
		if p.epoch != r.epoch { // they would hold on to the windows that are gone
			p.targets, p.epoch = nil, -1
		}
	}
	panes := len(r.panes)
	for start, p := range r.panes {
		if p.closeLast <= r.dropped {
			r.cellsUsed = p.cells.used
			r.room.cells -= p.cells.used
			delete(r.panes, start)
			r.recent = nil
		}
	}
	if len(r.panes) < panes {
		r.items.forget(r.dropped)
		r.groups.forget(r.dropped)
		clear(r.known[:])
	}
}

// begin lets the sliding windows begin whose last slide has.
func (r *Rank) begin(now int64) {
	r.nextBegin = math.MaxInt64
	for _, v := range r.views {
		if v.span.sliding() {
			r.nextBegin = min(r.nextBegin, v.span.last(now-v.span.size+v.span.slide)+v.span.size)
		}
	}
	if r.nextBegin == math.MaxInt64 {
		return
	}
	r.begun = now
	r.epoch++
	for _, start := range slices.Sorted(maps.Keys(r.panes)) {
		r.target(r.panes[start])
	}
}
