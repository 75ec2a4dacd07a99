package operators

import (
	"math"

	"github.com/millrank/millrank/event"
)

// missing bounds what totals lack since cells were let go: by how much an item's total
// can differ at most from what is held of it, either way.
type missing struct {
	count int64
	sum   int64 // math.MaxInt64: nobody knows
}

// some reports whether anything that counts is missing.
func (m missing) some() bool { return m.count > 0 }

// plus returns the bound of two losses together.
func (m missing) plus(more missing) missing {
	return missing{event.AddSaturating(m.count, more.count), event.AddSaturating(m.sum, more.sum)}
}

// or returns the bound of either loss.
func (m missing) or(other missing) missing {
	return missing{max(m.count, other.count), max(m.sum, other.sum)}
}

// exact reports whether the list is exact: where scores come from sums, none of the
// group's may have run over, and nothing may be missing that could change it. It is a
// function of the state, and of where the floor happens to stand.
func (l *leaders) exact() bool {
	g := &l.totals.groups[l.group]
	if l.board.Measure != Count && g.overflows > 0 {
		return false
	}
	return !g.missing.some() || l.outOfReach()
}

// outOfReach reports whether the list stands though something is missing in its group: it is full,
// of items which have lost nothing, and what others may have lost doesn't bring them up to its last
// entry: not those that are known to come next, nor those at or below the floor, nor those that aren't held.
func (l *leaders) outOfReach() bool {
	k := l.board.K
	if len(l.top) < k || l.board.Measure == Average {
		return false
	}
	if l.board.MinCount > 1 { // an item that looks as if it had too few events may have enough
		return false
	}
	outside := 0.0 // the best score outside as it is held, of items that may have lost some; the greater the better
	for i, leader := range l.top {
		if l.totals.table.find(leader.item, l.group, 0).extra&lossy == 0 {
			continue
		}
		if i < k {
			return false
		}
		outside = max(outside, l.toward(leader.score))
	}
	if l.floored {
		outside = max(outside, l.toward(l.floor.score))
	}
	const rounding = 1 + 1.0/(1<<50) // of the scores, and of this sum
	return l.toward(l.top[k-1].score) > (outside+l.errorMax())*rounding
}

// toward returns a score such that the greater comes first.
func (l *leaders) toward(score float64) float64 {
	if l.board.Order == event.Bottom {
		return -score
	}
	return score
}

// errorMax is by how much a score can be wrong where the list isn't exact, but for rounding.
func (l *leaders) errorMax() float64 {
	g := &l.totals.groups[l.group]
	switch {
	case l.board.Measure == Count:
		return float64(g.missing.count)
	case l.board.Measure == Average || g.overflows > 0 || g.missing.sum == math.MaxInt64:
		return math.Inf(1)
	}
	return float64(g.missing.sum) / l.totals.unit
}
