package operators_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// roomOracle knows what every list is made of: each cell that was taken in while the
// window was kept, as it was told last. It says whether what a list claims is true.
type roomOracle struct {
	model   *rankModel // for time
	boards  map[string]*operators.Board
	unit    float64
	windows map[event.ListKey]map[toldCell]sim.Totals
}

type toldCell struct {
	source int
	sim.CellKey
}

func newRoomOracle(b operators.Boards, sources int) *roomOracle {
	timeOnly := b // the model is to make no lists
	timeOnly.Boards = slices.Clone(b.Boards)
	for i := range timeOnly.Boards {
		timeOnly.Boards[i].By = nil
	}
	o := &roomOracle{model: newRankModel(timeOnly, sources), boards: map[string]*operators.Board{}, unit: math.Pow10(b.ValueScale), windows: map[event.ListKey]map[toldCell]sim.Totals{}}
	for i := range b.Boards {
		o.boards[b.Boards[i].Name] = &b.Boards[i]
	}
	return o
}

func (o *roomOracle) take(at int64, msg message[event.Cell]) {
	m, source := o.model, msg.part.Source
	whole := m.flying.take(at, msg)
	if whole == nil || whole.asOf < m.sources[source].asOf {
		return
	}
	fresh := whole.asOf > m.sources[source].asOf
	m.flush(whole, msg.part)
	for i := range whole.content {
		if fresh {
			o.tell(source, &whole.content[i])
		}
	}
	m.advance()
}

// tell puts a cell into every window that isn't dropped yet.
func (o *roomOracle) tell(source int, c *event.Cell) {
	told := toldCell{source, sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}}
	for _, b := range o.boards {
		size, slide := b.Window.Size.Milliseconds(), b.Window.Slide.Milliseconds()
		if slide == 0 {
			slide = size
		}
		for start := c.Pane - size + o.model.pane; start <= c.Pane; start += o.model.pane {
			if (start-b.Window.Offset.Milliseconds())%slide != 0 || start+size+o.model.lateness <= o.model.dropped {
				continue
			}
			for _, by := range b.By {
				key := event.ListKey{Board: b.Name, By: strings.Join(by, ","), Group: o.project(event.Group(c.Group), by), Start: start}
				if o.windows[key] == nil {
					o.windows[key] = map[toldCell]sim.Totals{}
				}
				o.windows[key][told] = sim.Totals{Count: c.Count, Sum: c.Sum, Duplicates: c.Duplicates}
			}
		}
	}
}

func (o *roomOracle) project(g event.Group, by []string) event.Group {
	var values []string
	for _, dimension := range by {
		values = append(values, g.Values()[slices.Index(o.model.boards.Dimensions, dimension)])
	}
	return event.NewGroup(values...)
}

// truth is an item's total in a window and group.
type truth struct {
	count int64
	sum   big.Int
}

// truths returns the items' totals, and whether a cell's sum has run over, so that nobody knows the score.
func (o *roomOracle) truths(key event.ListKey) (items map[string]*truth, saturated bool) {
	items = map[string]*truth{}
	for told, totals := range o.windows[key] {
		item := items[told.Item]
		if item == nil {
			item = &truth{}
			items[told.Item] = item
		}
		item.count += totals.Count
		item.sum.Add(&item.sum, big.NewInt(totals.Sum))
		saturated = saturated || event.Saturated(totals.Sum)
	}
	for item, t := range items {
		if t.count == 0 {
			delete(items, item)
		}
	}
	return items, saturated && o.boards[key.Board].Measure != operators.Count
}

func (o *roomOracle) score(b *operators.Board, t *truth) float64 {
	sum, _ := t.sum.Float64()
	switch b.Measure {
	case operators.Sum:
		return sum / o.unit
	case operators.Average:
		return sum / float64(t.count) / o.unit
	}
	return float64(t.count)
}

// check says what is wrong with a list as of the messages taken.
func (o *roomOracle) check(l *event.Ranking) error {
	b := o.boards[l.Board]
	items, saturated := o.truths(l.ListKey)
	if len(l.Entries) > b.K || !slices.IsSortedFunc(l.Entries, b.Order.Compare) {
		return fmt.Errorf("%d entries, K is %d; or they are not in order", len(l.Entries), b.K)
	}
	if l.Exact {
		return o.checkExact(l, items, saturated)
	}
	if l.MaxError < 0 || math.IsNaN(l.MaxError) {
		return fmt.Errorf("max_error is %v", l.MaxError)
	}
	if saturated && !math.IsInf(l.MaxError, 1) {
		return fmt.Errorf("sums have run over, but max_error is %v", l.MaxError)
	}
	within := l.MaxError + 1e-12*math.Abs(l.MaxError)
	listed := map[string]bool{}
	for _, e := range l.Entries {
		t := items[e.Item]
		switch {
		case listed[e.Item]:
			return fmt.Errorf("%q is listed twice", e.Item)
		case t == nil || t.count < b.MinCount:
			return fmt.Errorf("%q is listed, but has counted %+v", e.Item, t)
		case !saturated && math.Abs(o.score(b, t)-e.Score) > within+1e-12*math.Abs(e.Score):
			return fmt.Errorf("%q has %v, which is not within %v of %v", e.Item, o.score(b, t), l.MaxError, e.Score)
		}
		listed[e.Item] = true
	}
	if saturated || b.MinCount > 1 && b.Measure != operators.Count {
		return nil
	}
	return o.checkUnlisted(l, items, listed, within)
}

func (o *roomOracle) checkExact(l *event.Ranking, items map[string]*truth, saturated bool) error {
	b := o.boards[l.Board]
	if saturated || l.MaxError != 0 {
		return fmt.Errorf("it can't be exact: max_error %v, saturated %v", l.MaxError, saturated)
	}
	var want []event.Entry
	for item, t := range items {
		if t.count >= b.MinCount {
			want = append(want, event.Entry{Item: item, Score: o.score(b, t)})
		}
	}
	slices.SortFunc(want, b.Order.Compare)
	want = want[:min(len(want), b.K)]
	if !slices.Equal(want, l.Entries) {
		return fmt.Errorf("it says that it is exact, but the truth is %v", want)
	}
	return nil
}

// checkUnlisted: what isn't listed can't be better than the last entry, or nothing where there
// is room on the list, by more than MaxError. At the bottom, the less the better, and what isn't held can be little.
func (o *roomOracle) checkUnlisted(l *event.Ranking, items map[string]*truth, listed map[string]bool, within float64) error {
	b := o.boards[l.Board]
	sign := 1.0
	if b.Order == event.Bottom {
		sign = -1
	}
	last := 0.0
	if len(l.Entries) == b.K {
		last = max(0, sign*l.Entries[b.K-1].Score)
	}
	if b.MinCount > 1 { // counts: below the minimum as held
		last = max(last, float64(b.MinCount-1))
	}
	for item, t := range items {
		score := sign * o.score(b, t)
		if !listed[item] && t.count >= b.MinCount && score > last+within+1e-12*math.Abs(score) {
			return fmt.Errorf("%q isn't listed, but has %v: better than %v by more than %v", item, o.score(b, t), sign*last, l.MaxError)
		}
	}
	return nil
}
