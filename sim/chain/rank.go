package chain

import (
	"slices"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// shard is rank's machine (handlers/rank.go).
type shard struct {
	*instance
	log   *topicLog[event.Cell]
	truth *shardTruth
	rank  *operators.Rank
	from  operators.Resume
	next  int64
	lanes []arrival
}

// arrival is what a lane has been told.
type arrival struct {
	busy           bool
	given, arrived int64
}

// resumed returns where a stage begins that one of our topics feeds.
func resumed(from *commit) operators.Resume {
	if from != nil {
		return from.hop
	}
	return operators.ResumeAt(0)
}

func newShard(in *instance, from *commit) *shard {
	w, c := in.world, resumed(from)
	s := &shard{
		instance: in, log: w.updates[in.partition], truth: w.shards[in.partition],
		rank: operators.NewRank(w.boards, len(w.source), len(w.rankings), c), from: c, next: c.LowWater, lanes: make([]arrival, len(w.rankings)),
	}
	for i := range s.lanes {
		s.lanes[i].arrived = max(c.PublishedThrough, c.LowWater-1)
	}
	return s
}

func (s *shard) take(count int) bool {
	if s.next >= s.log.end() || s.pending() >= s.world.scenario.Knobs.PendingMax {
		return false
	}
	for ; count > 0 && s.next < s.log.end(); count-- {
		m := &s.log.messages[s.next]
		if err := s.rank.Take(s.next, &event.Update{Part: m.part, Cells: slices.Clone(m.content)}); err != nil {
			s.world.failf("D", "rank/%d refuses a message: %v", s.partition, err)
		}
		s.check(s.next)
		s.next++
	}
	return true
}

// check compares what can be seen from outside with what the log says: time, and how much is held.
func (s *shard) check(x int64) {
	if s.rank.Replaying() {
		s.world.cover.note(RankReplayed)
		if got, want := s.rank.ClosedThrough(), s.from.ClosedThrough; got != want {
			s.world.failf("D", "rank/%d has closed through %d in a replay, want %d, as stored", s.partition, got, want)
		}
		return
	}
	if got, want := [2]int64{s.rank.ClosedThrough(), s.rank.DroppedThrough()}, [2]int64{s.truth.closed[x], s.truth.dropped[x]}; got != want {
		s.world.failf("D", "rank/%d has closed and dropped through %d at offset %d, want %d", s.partition, got, x, want)
	}
	if held, _, _ := s.rank.Room(); held != s.truth.held[x] {
		s.world.failf("B", "rank/%d holds %d cells at offset %d, want %d", s.partition, held, x, s.truth.held[x])
	}
}

// flush is handlers' begin: where there is no news, nothing is said.
func (s *shard) flush() bool {
	news := slices.ContainsFunc(s.lanes, func(l arrival) bool { return !l.busy && l.arrived < s.at() })
	if !news && s.pending() == 0 {
		return false
	}
	k := &s.world.scenario.Knobs
	given, all := 0, 0
	began := s.rank.Flush(s.partition, s.incarnation, func(lane int, head event.Part, lists []event.Ranking) {
		given, all = given+1, all+len(lists)
		var parts []func()
		for i := range lists {
			s.world.cover.listed(&lists[i])
			s.world.revision(s.partition, &lists[i])
			s.world.closedAt("rank", s.partition, &lists[i], s.truth.closed)
		}
		operators.Split(head, lists, k.PartMax, func(*event.Ranking) int { return 1 }, func(part event.Part, lists []event.Ranking) {
			parts = append(parts, func() { s.world.publishRankings(lane, part, lists) })
		})
		s.lanes[lane].busy, s.lanes[lane].given = true, head.AsOf
		s.give(lane, true, parts)
	})
	if began {
		s.world.cover.flushed(given, k.Lanes, all, false)
	}
	return true // even where no lane is free, lists have been made anew
}

func (s *shard) lands(lane int, arrived bool) {
	l := &s.lanes[lane]
	if l.busy = false; arrived {
		l.arrived = l.given
	}
}

func (s *shard) acked(lane int) {
	s.lands(lane, true)
	s.rank.Acked(lane)
}

func (s *shard) failed(lane int) {
	s.lands(lane, false)
	s.rank.Failed(lane)
}

func (s *shard) commit() (commit, bool) {
	c, ok := s.rank.Commit()
	return commit{low: c.LowWater, hop: c}, ok
}

func (s *shard) pending() int { return s.rank.Pending() }
func (s *shard) at() int64    { return s.next - 1 }
