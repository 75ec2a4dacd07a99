package operators_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// A hop is a topic between two stages as one sender writes it: a log per lane, with
// what arrived of each flush, in the order in which it arrived.
type hop[C any] struct{ lanes [][]message[C] }

type message[C any] struct {
	part    event.Part
	content []C
}

// post is a lane's flush on its way.
type post[C any] struct {
	parts   []message[C]
	arrived int  // parts that have
	fate    fate // of the rest
}

type fate uint8

const (
	arrives  fate = iota // all of it, and the acknowledgement too
	ackLost              // all of it, but the sender hears that it failed
	cutShort             // some parts, and the sender hears that it failed
	lost                 // nothing, and the sender hears that it failed
	fates
)

// sending is one sender's run: what it has on its way, lane by lane.
type sending[C any] struct {
	rng    *rand.Rand
	to     *hop[C]
	flying []*post[C]
	acked  func(lane int)
	failed func(lane int)
}

func newSending[C any](rng *rand.Rand, to *hop[C], acked, failed func(int)) *sending[C] {
	return &sending[C]{rng: rng, to: to, flying: make([]*post[C], len(to.lanes)), acked: acked, failed: failed}
}

// send takes a flush on its way, cut into parts at random.
func (s *sending[C]) send(lane int, head event.Part, content []C) {
	p := &post[C]{}
	operators.Split(head, slices.Clone(content), 1+s.rng.IntN(4), func(*C) int { return 1 }, func(part event.Part, content []C) {
		p.parts = append(p.parts, message[C]{part, content})
	})
	if s.rng.IntN(3) == 0 {
		p.fate = fate(s.rng.IntN(int(fates)))
	}
	if s.flying[lane] != nil {
		panic("a lane was given a flush before the one before it was acknowledged")
	}
	s.flying[lane] = p
}

// deliver lets some of what is on its way arrive; all of it, and without faults, when finally.
func (s *sending[C]) deliver(finally bool) {
	for lane, p := range s.flying {
		if p == nil || !finally && s.rng.IntN(3) == 0 {
			continue
		}
		if finally {
			p.fate = arrives
		}
		upTo := len(p.parts)
		switch p.fate {
		case lost:
			upTo = 0
		case cutShort:
			upTo = s.rng.IntN(len(p.parts))
		}
		done := true
		for p.arrived < upTo {
			s.to.lanes[lane] = append(s.to.lanes[lane], p.parts[p.arrived])
			p.arrived++
			if !finally && s.rng.IntN(4) == 0 {
				done = false
				break
			}
		}
		if !done {
			continue
		}
		s.flying[lane] = nil
		if p.fate == arrives {
			s.acked(lane)
		} else {
			s.failed(lane)
		}
	}
}

// haunt lets a dead sender's posts trickle in behind its successor's.
func (s *sending[C]) haunt() {
	for lane, p := range s.flying {
		if p == nil || s.rng.IntN(2) == 0 {
			continue
		}
		if p.arrived == len(p.parts) || s.rng.IntN(6) == 0 {
			s.flying[lane] = nil
			continue
		}
		s.to.lanes[lane] = append(s.to.lanes[lane], p.parts[p.arrived])
		p.arrived++
	}
}

// eachSeed runs f for seeds 1 to n, on all cores, until one fails. The failure names its seed.
func eachSeed(t *testing.T, n int, f func(t *testing.T, seed uint64)) {
	t.Helper()
	var next, wait = make(chan uint64), sync.WaitGroup{}
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := range next {
				if !t.Failed() {
					f(t, seed)
					if t.Failed() {
						t.Logf("seed %d", seed)
					}
				}
			}
		})
	}
	for seed := uint64(1); seed <= uint64(n); seed++ {
		next <- seed
	}
	close(next)
	wait.Wait()
}

// seeds is how many seeds a property is tried with.
func seeds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}
