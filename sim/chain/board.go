package chain

import (
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// part is the machine of board and history (handlers/leaderboard.go): both merge lists, one writes them to Redis, the other to ClickHouse.
type part struct {
	*instance
	log   *topicLog[event.Ranking]
	truth *laneTruth
	merge *operators.Merge
	next  int64
	write func(r event.Ranking)
}

func newPart(in *instance, from *commit) *part {
	w, c := in.world, resumed(from)
	p := &part{
		instance: in, log: w.rankings[in.partition], truth: w.lanes[in.partition],
		merge: operators.NewMerge(w.boards, len(w.updates), c), next: c.LowWater,
	}
	p.write = func(r event.Ranking) { w.redis.write(w, &r) }
	if in.group.stage == History {
		p.write = func(r event.Ranking) { w.history.writeList(w, &r) }
	}
	return p
}

func (p *part) take(count int) bool {
	if p.next >= p.log.end() || p.pending() >= p.world.scenario.Knobs.PendingMax {
		return false
	}
	for ; count > 0 && p.next < p.log.end(); count-- {
		m := &p.log.messages[p.next]
		if err := p.merge.Take(p.next, &event.Rankings{Part: m.part, Lists: slices.Clone(m.content)}); err != nil {
			p.world.failf("D", "%v/%d refuses a message: %v", p.group.stage, p.partition, err)
		}
		if p.merge.Replaying() {
			p.world.cover.note(MergeReplayed)
		} else if got, want := p.merge.ClosedThrough(), p.truth.closed[p.next]; got != want {
			p.world.failf("D", "%v/%d has closed through %d at offset %d, want %d", p.group.stage, p.partition, got, p.next, want)
		}
		p.next++
	}
	return true
}

func (p *part) flush() bool {
	return p.merge.Flush(func(lists []event.Ranking) {
		var writes []func()
		for i := range lists {
			p.world.revision(-1, &lists[i])
			p.world.closedAt("rankings", p.partition, &lists[i], p.truth.closed)
			writes = append(writes, func() { p.write(lists[i]) })
		}
		p.give(0, false, writes)
	})
}

func (p *part) acked(int)  { p.merge.Acked() }
func (p *part) failed(int) { p.merge.Failed() }

func (p *part) commit() (commit, bool) {
	c, ok := p.merge.Commit()
	return commit{low: c.LowWater, hop: c}, ok
}

func (p *part) pending() int { return p.merge.Pending() }
func (p *part) at() int64    { return p.next - 1 }
