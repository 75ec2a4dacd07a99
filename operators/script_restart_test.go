package operators

import (
	"math"

	"github.com/millrank/millrank/event"
)

// commitOrRestart commits what a stage may commit, or kills it and starts it again from
// what it has committed, to read its log again up to where it was. What hung is lost.
func (w *scriptWorld) commitOrRestart(a *arguments) {
	commit := a.command == "commit"
	_, shard := a.named["shard"]
	switch {
	case a.flag("merge"):
		if commit {
			w.commitResume(w.merge.merge.Commit, &w.merge.commit)
		} else {
			w.restartMerge()
		}
	case shard:
		s := w.shards[a.number("shard", 0)]
		if commit {
			w.commitResume(s.rank.Commit, &s.commit)
		} else {
			w.restartShard(s)
		}
	case commit:
		w.commitSource(w.source(a))
	default:
		w.restartSource(w.source(a), a.number("until", math.MaxInt64))
	}
}

func (w *scriptWorld) commitSource(s *scriptSource) {
	checkpoint, ok := s.fold.Commit()
	if !ok {
		w.printf("nothing new to commit")
		return
	}
	s.commit = checkpoint
	w.printCheckpoint(checkpoint)
}

func (w *scriptWorld) printCheckpoint(c Checkpoint) {
	w.printf("low-water %d, W before it %s, count from %d, processed through %d", c.LowWater, clock(c.Watermark), c.CountFrom, c.ProcessedThrough)
}

// restartSource reads the log again, up to an offset, and prints what becomes of each record.
func (w *scriptWorld) restartSource(s *scriptSource, until int64) {
	s.run++
	s.held = map[int][]event.Update{}
	s.fold = NewPartition(w.settings, len(w.shards), s.commit)
	for i := range s.log {
		if o := s.log[i].Offset; o >= s.commit.LowWater && o <= until {
			w.step(s, &s.log[i])
		}
	}
}

func (w *scriptWorld) commitResume(commit func() (Resume, bool), to *Resume) {
	resume, ok := commit()
	if !ok {
		w.printf("nothing new to commit")
		return
	}
	*to = resume
	w.printResume(resume)
}

func (w *scriptWorld) printResume(r Resume) {
	w.printf("low-water %d, published through %d, closed through %s, dropped through %s", r.LowWater, r.PublishedThrough, clock(r.ClosedThrough), clock(r.DroppedThrough))
}

func (w *scriptWorld) restartShard(s *scriptShard) {
	s.run++
	s.rank = NewRank(w.boards, len(w.sources), 1, s.commit)
	s.taken = int(s.commit.LowWater)
	w.printf("reads the updates again from %d on", s.taken)
}

func (w *scriptWorld) restartMerge() {
	m := w.merge
	m.merge = NewMerge(w.boards, len(w.shards), m.commit)
	m.taken = int(m.commit.LowWater)
	w.printf("reads the rankings again from %d on", m.taken)
}
