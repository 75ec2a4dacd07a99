package chain

import (
	"errors"
	"slices"

	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// Shrink makes a scenario that fails smaller, as long as it breaks the same invariant: fewer steps, records, boards and partitions, and settings out of the way. It
// runs at most so many scenarios. The method is delta debugging (Zeller and Hildebrandt, 2002) on each list in turn, until nothing changes.
func Shrink(s *Scenario, runsMax int) *Scenario {
	first := Run(s, nil).Err
	if first == nil {
		return s
	}
	sh := &shrinking{best: s, invariant: invariantOf(first), left: runsMax}
	for size := -1; size != sh.size() && sh.left > 0; {
		size = sh.size()
		sh.partitions()
		shrinkList(sh, sh.best.Steps, func(c *Scenario, steps []Step) { c.Steps = steps })
		for p := range sh.best.Records {
			shrinkList(sh, sh.best.Records[p], func(c *Scenario, records []sim.Record) {
				c.Records = slices.Clone(c.Records)
				c.Records[p] = records
			})
		}
		shrinkList(sh, sh.best.Knobs.Boards, func(c *Scenario, boards []operators.Board) { c.Knobs.Boards = boards })
		sh.settings()
		sh.counts()
	}
	return sh.best
}

// invariantOf returns the invariant that a run's error is about.
func invariantOf(err error) string {
	if v, ok := errors.AsType[violation](err); ok {
		return v.invariant
	}
	return ""
}

type shrinking struct {
	best      *Scenario
	invariant string
	left      int
}

// size is what must get smaller.
func (sh *shrinking) size() int {
	n := len(sh.best.Steps) + 10*len(sh.best.Knobs.Boards) + 10*sh.best.Knobs.Shards + 10*sh.best.Knobs.Lanes
	for _, log := range sh.best.Records {
		n += len(log) + 10
	}
	for _, step := range sh.best.Steps {
		n += step.Count
	}
	return n
}

// try takes a changed copy of the best scenario, if it still fails in the same way.
func (sh *shrinking) try(change func(c *Scenario)) bool {
	if sh.left <= 0 {
		return false
	}
	c := *sh.best
	change(&c)
	if len(c.Records) == 0 || len(c.Knobs.Boards) == 0 {
		return false
	}
	sh.left--
	if err := Run(&c, nil).Err; err == nil || invariantOf(err) != sh.invariant {
		return false
	}
	sh.best = &c
	return true
}

// shrinkList leaves out as much of a list as it can: halves, then quarters, down to single entries.
func shrinkList[T any](sh *shrinking, list []T, set func(c *Scenario, list []T)) {
	for chunk := max(1, (len(list)+1)/2); ; chunk /= 2 {
		for from := len(list); from > 0; {
			to := from
			from = max(0, from-chunk)
			less := slices.Concat(list[:from], list[to:])
			if sh.try(func(c *Scenario) { set(c, less) }) {
				list = less
			}
		}
		if chunk <= 1 {
			return
		}
	}
}

// partitions leaves out source partitions, shards and lanes.
func (sh *shrinking) partitions() {
	for p := range slices.Backward(sh.best.Records) {
		sh.try(func(c *Scenario) {
			c.Records = slices.Delete(slices.Clone(c.Records), p, p+1)
			c.Steps = without(c.Steps, p, Source, Intake)
		})
	}
	for p := sh.best.Knobs.Shards - 1; p >= 0 && sh.best.Knobs.Shards > 1; p-- {
		sh.try(func(c *Scenario) {
			c.Knobs.Shards--
			c.Steps = without(c.Steps, p, Updates, Rank, Archive)
		})
	}
	for p := sh.best.Knobs.Lanes - 1; p >= 0 && sh.best.Knobs.Lanes > 1; p-- {
		sh.try(func(c *Scenario) {
			c.Knobs.Lanes--
			c.Steps = without(c.Steps, p, Rankings, Board, History)
		})
	}
}

// without returns the steps but for those in a partition of these places; in them, what comes after it moves up.
func without(steps []Step, partition int, at ...Place) []Step {
	var rest []Step
	for _, step := range steps {
		if slices.Contains(at, step.Place) && step.Verb != Tick && step.Verb != Kill && step.Verb != Late {
			if step.Part == partition {
				continue
			}
			if step.Part > partition {
				step.Part--
			}
		}
		rest = append(rest, step)
	}
	return rest
}

// settings gets out of the way what the failure doesn't need.
func (sh *shrinking) settings() {
	for _, change := range []func(k *Knobs){
		func(k *Knobs) { k.PartMax = 100 },
		func(k *Knobs) { k.PendingMax = 1000 },
		func(k *Knobs) { k.Scale = 0 },
		func(k *Knobs) { k.ReviseFor = 1_000_000 },
		func(k *Knobs) { k.Fold.DedupRecords, k.Fold.DedupRecordSegments = 1000, 1 },
	} {
		before := sh.best.Knobs
		after := before
		change(&after)
		if after.PartMax != before.PartMax || after.PendingMax != before.PendingMax || after.Scale != before.Scale || after.ReviseFor != before.ReviseFor || after.Fold != before.Fold {
			sh.try(func(c *Scenario) { change(&c.Knobs) })
		}
	}
	for i, b := range sh.best.Knobs.Boards {
		if len(b.By) > 1 {
			for j := range b.By {
				if sh.try(func(c *Scenario) {
					c.Knobs.Boards = slices.Clone(c.Knobs.Boards)
					c.Knobs.Boards[i].By = b.By[j : j+1]
				}) {
					break
				}
			}
		}
	}
}

// counts makes the steps' counts 1.
func (sh *shrinking) counts() {
	for i := range sh.best.Steps {
		if sh.best.Steps[i].Count > 1 {
			sh.try(func(c *Scenario) {
				c.Steps = slices.Clone(c.Steps)
				c.Steps[i].Count = 1
			})
		}
	}
}
