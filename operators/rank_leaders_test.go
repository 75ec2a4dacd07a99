package operators

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrank/millrank/event"
)

// TestLeaders holds a list against sorting all items at each round, while scores rise, fall and tie. What it
// holds are the best there are, each once, and all else is at or below the floor.
func TestLeaders(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 31))
		var n names
		items, counts := make([]uint32, 1+rng.IntN(300)), map[uint32]int64{}
		for i := range items {
			name := fmt.Appendf(nil, "%d", rng.IntN(1_000_000))
			items[i] = n.number(name, hashName(name), 1)
		}
		l := &leaders{board: &Board{K: 1 + rng.IntN(8), Order: event.Order(rng.IntN(2))}, totals: &totals{unit: 1}}
		few, scores := 1+rng.IntN(20), 2+rng.Int64N(100)
		for round := range 40 {
			changed := n.scratch()
			for range 1 + rng.IntN(few) + len(items)/(1+round) { // many at first
				changed.set(items[rng.IntN(len(items))])
			}
			l.drop(changed)
			for _, item := range items {
				if changed.has(item) {
					changed.clear(item)
					counts[item] = rng.Int64N(scores)
					l.offer(&n, counted(item, counts[item]))
				}
			}
			if !l.finish(&n) {
				l.clear()
				for item, count := range counts {
					l.offer(&n, counted(item, count))
				}
				l.finish(&n)
			}
			if err := l.wrong(&n, counts); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
		}
	}
}

func counted(item uint32, count int64) *entry {
	e := &entry{item: item + 1}
	e.addCount(count)
	return e
}

// wrong says what is wrong with a list of items with these counts.
func (l *leaders) wrong(n *names, counts map[uint32]int64) error {
	var all []leader
	for item, count := range counts {
		if count > 0 {
			all = append(all, leader{item, float64(count)})
		}
	}
	slices.SortFunc(all, func(a, b leader) int { return l.compare(n, a, b) })
	if best := min(len(all), len(l.top)); len(l.top) > 2*l.board.K || !slices.Equal(l.first(), all[:min(l.board.K, len(all))]) {
		return fmt.Errorf("holds %v, but the best are %v", l.top, all[:best])
	}
	for _, x := range all {
		held := slices.Contains(l.top, x)
		if held != l.aboveFloor(n, x) {
			return fmt.Errorf("%v: held %v, floor %v %v", x, held, l.floor, l.floored)
		}
	}
	return nil
}
