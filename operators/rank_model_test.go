package operators_test

import (
	"maps"
	"math"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// rankModel is Rank as one would write it if time and memory cost nothing: it keeps the
// cells of every kept pane in maps, and makes every list from all of them after each
// message. It has no candidates, floors, marks, replays or lists of what has changed, so
// it can't have their mistakes. The lists themselves are the oracle's, whose sums are big.Ints.
type rankModel struct {
	boards   operators.Boards
	pane     int64 // milliseconds
	lateness int64 // milliseconds

	flying  flying[event.Cell]
	sources []modelSource
	cells   []sim.Cells     // by source, of the panes that are kept
	first   map[int64]int64 // by kept pane: log offset of the earliest-begun flush that touched it

	closed, dropped int64
	begun           int64                           // how far event time has come anywhere
	gone            map[event.ListKey]event.Ranking // what the lists of dropped windows said last
	now             instant
}

// modelSource is what has been heard of a source partition.
type modelSource struct {
	asOf          int64 // -2 before the first flush
	first         int64 // log offset of the flush that a restart can begin with
	closedThrough int64
	idle          bool
	idleFor       int64
}

// instant is what stands after a message.
type instant struct {
	closed, dropped, low int64
	lists                map[event.ListKey]event.Ranking // as a receiver has them that was told everything; don't write to it
}

func newRankModel(b operators.Boards, sources int) *rankModel {
	m := &rankModel{
		boards: b, pane: b.Pane.Milliseconds(), lateness: b.AllowedLateness.Milliseconds(),
		flying: flying[event.Cell]{}, sources: make([]modelSource, sources), first: map[int64]int64{},
		closed: event.NoTime, dropped: event.NoTime, begun: event.NoTime, gone: map[event.ListKey]event.Ranking{},
	}
	for i := range m.sources {
		m.sources[i].asOf = -2
		m.cells = append(m.cells, sim.Cells{})
	}
	return m
}

// take folds the message at an offset, and returns what stands then.
func (m *rankModel) take(at int64, msg message[event.Cell]) instant {
	if whole := m.flying.take(at, msg); whole != nil && whole.asOf >= m.sources[msg.part.Source].asOf {
		m.flush(whole, msg.part)
		m.advance()
		lists := m.lists(m.dropped, math.MaxInt64)
		maps.Copy(lists, m.gone)
		m.now.lists = lists
	}
	m.now.closed, m.now.dropped, m.now.low = m.closed, m.dropped, m.low(at)
	return m.now
}

// flush takes a whole flush in: its cells, unless it is a heartbeat, and what it says of the source's time.
func (m *rankModel) flush(whole *gathered[event.Cell], last event.Part) {
	s := &m.sources[last.Source]
	if whole.asOf == s.asOf {
		if last.IdleFor >= s.idleFor {
			s.first = whole.first
			m.flying.void(last.Source, whole.asOf)
		}
		s.idle, s.idleFor = last.Idle, max(s.idleFor, last.IdleFor)
		return
	}
	*s = modelSource{whole.asOf, whole.first, last.ClosedThrough, last.Idle, last.IdleFor}
	m.flying.void(last.Source, whole.asOf)
	for _, c := range whole.content {
		if m.closeLast(c.Pane) <= m.dropped {
			continue
		}
		key := sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}
		m.cells[last.Source][key] = sim.Totals{Count: c.Count, Sum: c.Sum, Duplicates: c.Duplicates}
		if first, ok := m.first[c.Pane]; !ok || whole.first < first {
			m.first[c.Pane] = whole.first
		}
	}
}

// advance moves time. What a window that is dropped says last is written down before its panes go.
func (m *rankModel) advance() {
	const never = math.MaxInt64
	heard, live, idle, all := true, int64(never), int64(never), int64(never)
	front := event.NoTime
	for _, s := range m.sources {
		switch {
		case s.asOf == -2:
			heard = false
			continue
		case !s.idle:
			live = min(live, s.closedThrough)
		case s.closedThrough != event.NoTime:
			idle = min(idle, s.closedThrough+s.idleFor)
		}
		all, front = min(all, s.closedThrough), max(front, s.closedThrough)
	}
	was := m.dropped
	if heard {
		if live == never {
			live = idle
		}
		if live != never {
			m.closed = max(m.closed, live)
		}
		m.dropped = max(m.dropped, all)
		if m.closed != event.NoTime {
			m.dropped = max(m.dropped, m.closed-m.boards.ReviseFor.Milliseconds())
		}
	}
	m.begun = max(m.begun, m.closed)
	if front != event.NoTime {
		m.begun = max(m.begun, front+m.boards.OutOfOrderness.Milliseconds())
	}
	maps.Copy(m.gone, m.lists(was, m.dropped))
	maps.DeleteFunc(m.first, func(pane, _ int64) bool { return m.closeLast(pane) <= m.dropped })
	for _, cells := range m.cells {
		maps.DeleteFunc(cells, func(key sim.CellKey, _ sim.Totals) bool { return m.closeLast(key.Pane) <= m.dropped })
	}
}

// lists returns all lists of windows that close after one time and by another, and that are to be ranked yet:
// a window that slides is from its last slide on.
func (m *rankModel) lists(after, through int64) map[event.ListKey]event.Ranking {
	slides := map[string]time.Duration{}
	for _, b := range m.boards.Boards {
		if b.Window.Slide != 0 && b.Window.Slide < b.Window.Size {
			slides[b.Name] = b.Window.Slide
		}
	}
	lists := wanted(operators.Settings{Pane: m.boards.Pane}, m.boards, m.cells)
	for key, l := range lists {
		slide, sliding := slides[key.Board]
		closeAt := l.End + m.lateness
		if closeAt <= after || closeAt > through || sliding && l.End-slide.Milliseconds() > m.begun {
			delete(lists, key)
			continue
		}
		l.Final = closeAt <= m.closed
		lists[key] = l
	}
	return lists
}

// closeLast returns when the last window that holds a pane closes.
func (m *rankModel) closeLast(pane int64) int64 {
	last := event.NoTime
	for _, b := range m.boards.Boards {
		size, slide := b.Window.Size.Milliseconds(), b.Window.Slide.Milliseconds()
		if slide == 0 {
			slide = size
		}
		start := pane
		for (start-b.Window.Offset.Milliseconds())%slide != 0 {
			start -= m.pane
		}
		last = max(last, start+size+m.lateness)
	}
	return last
}

// low returns the low-water: from here on, the log is needed by a restart.
func (m *rankModel) low(at int64) int64 {
	low := at + 1
	for _, first := range m.first {
		low = min(low, first)
	}
	for _, s := range m.sources {
		if s.asOf != -2 {
			low = min(low, s.first)
		}
	}
	for _, g := range m.flying {
		low = min(low, g.first)
	}
	return low
}

// flying holds flushes that are not whole yet, of each run of each source.
type flying[C any] map[sender]*gathered[C]

type sender struct {
	source      int
	incarnation uint64
}

type gathered[C any] struct {
	asOf    int64
	first   int64 // log offset of its first part
	parts   int
	content []C
}

// take gathers a message, and returns its flush when that is whole. A first part begins anew; a part that doesn't follow is void.
func (f flying[C]) take(at int64, m message[C]) *gathered[C] {
	from := sender{m.part.Source, m.part.Incarnation}
	if m.part.Number == 0 {
		f[from] = &gathered[C]{asOf: m.part.AsOf, first: at}
	}
	g := f[from]
	if g == nil || g.asOf != m.part.AsOf || g.parts != m.part.Number {
		return nil
	}
	g.parts++
	g.content = append(g.content, m.content...)
	if !m.part.Last {
		return nil
	}
	delete(f, from)
	return g
}

// void forgets what a source's runs still have on its way as of an offset or before.
func (f flying[C]) void(source int, asOf int64) {
	maps.DeleteFunc(f, func(from sender, g *gathered[C]) bool { return from.source == source && g.asOf <= asOf })
}
