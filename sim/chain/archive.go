package chain

import "github.com/millrank/millrank/event"

// archive writes cells to ClickHouse as they come, part by part: they are absolute, and say as of when. It keeps nothing.
type archive struct {
	*instance
	log    *topicLog[event.Cell]
	next   int64
	rows   []row // not written yet
	flying []row
	given  int64 // offset through which the rows under way go
	done   int64 // ... and those that have arrived
	said   int64 // ... and those that were committed
}

func newArchive(in *instance, from *commit) *archive {
	a := &archive{instance: in, log: in.world.updates[in.partition]}
	if from != nil {
		a.next = from.low
	}
	a.done, a.said = a.next-1, a.next-1
	return a
}

func (a *archive) take(count int) bool {
	if a.next >= a.log.end() || a.pending() >= a.world.scenario.Knobs.PendingMax {
		return false
	}
	for ; count > 0 && a.next < a.log.end(); count-- {
		m := &a.log.messages[a.next]
		for i := range m.content {
			a.rows = append(a.rows, row{source: m.part.Source, key: cellKey(&m.content[i]), asOf: m.part.AsOf, totals: totalsOf(&m.content[i])})
		}
		a.next++
	}
	return true
}

func (a *archive) flush() bool {
	if a.lanes[0] != nil || a.at() == a.done {
		return false
	}
	a.flying, a.rows, a.given = a.rows, nil, a.at()
	var writes []func()
	for _, r := range a.flying {
		writes = append(writes, func() { a.world.history.writeCell(a.world, r) })
	}
	a.give(0, false, writes)
	return true
}

func (a *archive) acked(int) { a.flying, a.done = nil, a.given }

func (a *archive) failed(int) { a.rows, a.flying = append(a.flying, a.rows...), nil }

func (a *archive) commit() (commit, bool) {
	if a.world.has(ArchiveAhead) {
		a.done = a.at()
	}
	news := a.done > a.said
	a.said = a.done
	return commit{low: a.done + 1}, news
}

func (a *archive) pending() int { return len(a.rows) + len(a.flying) }
func (a *archive) at() int64    { return a.next - 1 }
