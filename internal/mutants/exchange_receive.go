package mutants

// receiveMutants break a receiver's intake (Rule 2).
func receiveMutants() []Mutant {
	const file = "operators/exchange_receive.go"
	spec := []string{rankSpecification}
	return []Mutant{{
		Name: "receive/per-part", File: "operators/rank.go", CaughtBy: spec,
		Mistake: "A part's cells are applied as it comes, also of a flush that never becomes whole.",
		Edits: []Edit{{`flush, took, err := r.in.Take(at, u.Part, u.Cells)`, `if u.AsOf > r.in.sources[u.Source].asOf {
		r.apply(u.Cells, uint16(u.Source), at)
	}
	flush, took, err := r.in.Take(at, u.Part, u.Cells)`}},
	}, {
		Name: "receive/one-buffer", File: file, CaughtBy: spec,
		Mistake: "Parts are gathered per source, not per incarnation: a zombie's mix with its successor's.",
		Edits:   []Edit{{`return g.incarnation == part.Incarnation`, `return true`}},
	}, {
		Name: "receive/no-as-of", File: file, CaughtBy: spec,
		Mistake: "An older flush is taken in after a newer one.",
		Edits:   []Edit{{`if !ok || part.AsOf < s.asOf {`, `if !ok {`}},
	}, {
		Name: "receive/same-as-of-is-new", File: file, CaughtBy: spec,
		Mistake: "A flush at the as-of that is there already is taken in once more, and moves the low-water.",
		Edits:   []Edit{{`if part.AsOf == s.asOf {`, `if part.AsOf < s.asOf {`}},
	}, {
		Name: "receive/same-as-of-is-void", File: file, CaughtBy: spec,
		Mistake: "A heartbeat at the as-of that is there already is ignored, and idleness with it.",
		Edits:   []Edit{{`if !ok || part.AsOf < s.asOf {`, `if !ok || part.AsOf <= s.asOf {`}},
	}, {
		Name: "receive/idle-time-goes-back", File: file, CaughtBy: spec,
		Mistake: "An older heartbeat that comes later makes the idle time shorter again.",
		Edits:   []Edit{{`max(progress.IdleFor, part.IdleFor)`, `part.IdleFor`}},
	}, {
		Name: "receive/part-number-ignored", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "Parts are gathered in whatever order, and a flush with a missing or doubled one is taken in.",
		Edits:   []Edit{{` || len(s.flying[i].parts) != part.Number {`, ` {`}},
	}, {
		Name: "receive/last-ignored", File: file, CaughtBy: spec,
		Mistake: "A flush is taken in with its first part.",
		Edits:   []Edit{{`if !part.Last {`, `if part.Number > 0 && !part.Last {`}},
	}, {
		Name: "receive/parts-of-two-flushes", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "A part that follows by its number joins a flush of another as-of.",
		Edits:   []Edit{{`s.flying[i].asOf != part.AsOf || `, ``}},
	}, {
		Name: "receive/source-out-of-range", File: file, CaughtBy: []string{"TestTakeRefusesStrangers"},
		Mistake: "A part from one source too many is no error.",
		Edits:   []Edit{{`part.Source >= len(r.sources)`, `part.Source > len(r.sources)`}},
	}}
}

// resumeMutants break how a receiving stage is restarted (Rule 4).
func resumeMutants() []Mutant {
	const file = "operators/exchange_receive.go"
	spec, restart := []string{rankSpecification}, []string{rankSpecificationRestart}
	return []Mutant{{
		Name: "resume/no-closing", File: file, CaughtBy: restart,
		Mistake: "The closing watermark isn't restored.",
		Edits:   []Edit{{`from.ClosedThrough, from.DroppedThrough)`, `event.NoTime, from.DroppedThrough)`}},
	}, {
		Name: "resume/no-dropped", File: file, CaughtBy: restart,
		Mistake: "Dropped-through isn't restored.",
		Edits:   []Edit{{`from.ClosedThrough, from.DroppedThrough)`, `from.ClosedThrough, event.NoTime)`}},
	}, {
		Name: "resume/no-dropped-in-rank", File: "operators/rank.go", CaughtBy: restart,
		Mistake: "Rank takes cells of dropped windows in again while it replays.",
		Edits:   []Edit{{`dropped:   from.DroppedThrough,`, `dropped:   event.NoTime,`}},
	}, {
		Name: "resume/low-panes", File: file, CaughtBy: spec,
		Mistake: "The low-water looks at what is kept only: not at the sources' newest flushes, nor at those being gathered.",
		Edits: []Edit{{`low := min(r.at+1, kept)
	for i := range r.sources {`, `low := min(r.at+1, kept)
	for i := range r.sources[:0] {`}},
	}, {
		Name: "resume/newest-flushes-ignored", File: file, CaughtBy: spec,
		Mistake: "The low-water passes a source's newest flush, and with it what is known of its progress.",
		Edits:   []Edit{{`low = min(low, r.sources[i].first)`, ``}},
	}, {
		Name: "resume/gathering-ignored", File: file, CaughtBy: spec,
		Mistake: "The low-water passes the first part of a flush that is still being gathered.",
		Edits:   []Edit{{`low = min(low, g.first)`, `low = min(low, g.first+1<<40)`}},
	}, {
		Name: "resume/last-part", File: file, CaughtBy: spec,
		Mistake: "A flush's place in the log is that of its last part.",
		Edits: []Edit{{`s.settle(part.AsOf, whole.first)
	*progress`, `s.settle(part.AsOf, at)
	*progress`}},
	}, {
		Name: "resume/pane-from-last-part", File: file, CaughtBy: spec,
		Mistake: "A pane's first offset is that of the last part of the flush that touched it.",
		Edits:   []Edit{{`First: whole.first, Parts`, `First: at, Parts`}},
	}, {
		Name: "resume/pane-from-latest-flush", File: "operators/rank_apply.go", CaughtBy: spec,
		Mistake: "A pane's first offset is that of the last flush that touched it.",
		Edits:   []Edit{{`p.first = min(p.first, first)`, `p.first = first`}},
	}, {
		Name: "resume/idle-source-holds-back", File: file, CaughtBy: spec,
		Mistake: "A source that stays idle holds the low-water where its last newer flush was.",
		Edits:   []Edit{{`if part.IdleFor >= progress.IdleFor {`, `if part.IdleFor < 0 {`}},
	}, {
		Name: "resume/older-heartbeat-will-do", File: file, CaughtBy: spec,
		Mistake: "The low-water passes the heartbeat that told the longest idle time.",
		Edits:   []Edit{{`if part.IdleFor >= progress.IdleFor {`, `if part.IdleFor >= 0 {`}},
	}, {
		Name: "resume/void-flushes-kept", File: file, CaughtBy: spec,
		Mistake: "The parts of a flush that was overtaken hold the low-water back for ever.",
		Edits:   []Edit{{`return g.asOf <= asOf`, `return g.asOf <= asOf && g.parts == nil`}},
	}, {
		Name: "resume/moves-in-replay", File: file, CaughtBy: restart,
		Mistake: "The closing watermark moves in a replay, where a stale message is met before the newer one.",
		Edits:   []Edit{{`!r.Replaying() && r.closing.Advance`, `r.closing.Advance`}},
	}, {
		Name: "resume/replay-flushes", File: "operators/rank_flush.go", CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "Rank publishes lists in the middle of a replay.",
		Edits: []Edit{{`if !r.settled {
		return false`, `if r.views == nil {
		return false`}},
	}, {
		Name: "resume/republish-forgotten", File: "operators/merge.go", CaughtBy: []string{"TestRepublishDuringReplay"},
		Mistake: "A sink that has lost its lists gets none, where that is found out in a replay.",
		Edits:   []Edit{{`if m.republish {`, `if m.republish && !m.settled {`}},
	}, {
		Name: "resume/merge-replay-flushes", File: "operators/merge.go", CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "Merge publishes lists in the middle of a replay.",
		Edits: []Edit{{`if !m.settled {
		return false`, `if m.lists == nil {
		return false`}, {`m.settled && l.again()`, `l.again()`}},
	}}
}
