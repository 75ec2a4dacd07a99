package mutants

// rankMutants break how rank folds cells into windows (Rule 4).
func rankMutants() []Mutant {
	const file, apply = "operators/rank.go", "operators/rank_apply.go"
	spec, oracle := []string{rankSpecification}, []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "rank/closes-without-lateness", File: file, CaughtBy: spec,
		Mistake: "A window closes at its end, while its panes still take events.",
		Edits:   []Edit{{`return start + v.span.size + r.lateness`, `return start + v.span.size`}},
	}, {
		Name: "rank/dropped-window-comes-back", File: file, CaughtBy: []string{rankingsEqualOracle, "TestScripts"},
		Mistake: "A cell that comes after one of its windows was dropped makes that window again, of what is left.",
		Edits:   []Edit{{`if r.closeAt(v, start) > r.dropped && r.active`, `if r.active`}},
	}, {
		Name: "rank/after-final-uncounted", File: file, CaughtBy: spec,
		Mistake: "Cells that come after their window was dropped are not counted.",
		Edits:   []Edit{{`r.afterFinal++`, ``}},
	}, {
		Name: "rank/sources-overwrite", File: file, CaughtBy: spec,
		Mistake: "What one source partition says of a cell replaces what another has said.",
		Edits:   []Edit{{`r.apply(cells, uint16(flush.Source), flush.First)`, `r.apply(cells, 0, flush.First)`}},
	}, {
		Name: "rank/updates-add-up", File: apply, CaughtBy: spec,
		Mistake: "An update is added to the one before it, though both are absolute.",
		Edits:   []Edit{{`count: c.Count - e.count()`, `count: c.Count`}},
	}, {
		Name: "rank/sums-add-up", File: apply, CaughtBy: oracle,
		Mistake: "An update's sum is added to the one before it, though both are absolute.",
		Edits:   []Edit{{`was: int64(e.sum.get()), is: c.Sum,`, `is: c.Sum,`}},
	}, {
		Name: "rank/duplicates-add-up", File: apply, CaughtBy: oracle,
		Mistake: "An update's duplicates are added to those before it, though both are absolute.",
		Edits:   []Edit{{`duplicates: int64(duplicates) - int64(e.extra)`, `duplicates: int64(duplicates)`}},
	}, {
		Name: "rank/first-pane-of-a-window-missing", File: "operators/rank_window.go", CaughtBy: oracle,
		Mistake: "A window that begins later takes what its panes have, but for its first one.",
		Edits:   []Edit{{`if at >= t.start && at < t.end {`, `if at > t.start && at < t.end {`}},
	}, {
		Name: "rank/pane-after-a-window", File: "operators/rank_window.go", CaughtBy: oracle,
		Mistake: "A window that begins later takes the pane after it too.",
		Edits:   []Edit{{`if at >= t.start && at < t.end {`, `if at >= t.start && at <= t.end {`}},
	}, {
		Name: "rank/window-begins-without-lists", File: "operators/rank_window.go", CaughtBy: oracle,
		Mistake: "A window that begins later has no lists of what it is summed up from.",
		Edits:   []Edit{{`t.relist(&r.items, lists)`, ``}, {`lists = append(lists, t`, `_ = append(lists, t`}},
	}, {
		Name: "rank/pane-at-a-windows-start", File: file, CaughtBy: oracle,
		Mistake: "A window doesn't take the pane that begins with it.",
		Edits:   []Edit{{`start <= p.start; start += v.span.slide`, `start < p.start; start += v.span.slide`}},
	}, {
		Name: "rank/windows-never-begin", File: file, CaughtBy: oracle,
		Mistake: "A pane keeps its targets when a sliding window begins.",
		Edits: []Edit{{`r.begun = now
	r.epoch++`, `r.begun = now`}},
	}, {
		Name: "rank/begins-within-a-flush", File: file, CaughtBy: oracle,
		Mistake: "Sliding windows begin in the middle of a flush, where panes disagree on which have.",
		Edits:   []Edit{{`start+v.span.size-v.span.slide <= r.begun`, `start+v.span.size-v.span.slide <= r.now()`}},
	}, {
		Name: "rank/begins-once", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "When the next sliding window begins is reckoned a slide too far.",
		Edits:   []Edit{{`v.span.last(now-v.span.size+v.span.slide)+v.span.size)`, `v.span.last(now-v.span.size+v.span.slide)+v.span.size+v.span.slide)`}},
	}, {
		Name: "rank/stale-windows-stay", File: file, CaughtBy: oracle,
		Mistake: "A pane of several windows is dropped with the first of them.",
		Edits: []Edit{{`if p.closeLast <= r.dropped {
			r.cellsUsed`, `if p.closeNext <= r.dropped {
			r.cellsUsed`}},
	}, {
		Name: "rank/views-mixed-up", File: file, CaughtBy: oracle,
		Mistake: "Boards of different windows share their totals.",
		Edits:   []Edit{{`if v.span == span && v.by == name {`, `if v.by == name {`}},
	}, {
		Name: "rank/groupings-mixed-up", File: file, CaughtBy: oracle,
		Mistake: "Boards of different groupings share their totals.",
		Edits:   []Edit{{`if v.span == span && v.by == name {`, `if v.span == span {`}},
	}}
}

// publishMutants break what rank publishes when.
func publishMutants() []Mutant {
	const file, totals, flush = "operators/rank.go", "operators/rank_totals.go", "operators/rank_flush.go"
	spec, oracle := []string{rankSpecification}, []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "publish/dropped-unpublished", File: file, CaughtBy: spec,
		Mistake: "A window that closes and is dropped between two flushes is never published as final.",
		Edits:   []Edit{{`t.refresh(&r.items, r.publish)`, ``}},
	}, {
		Name: "publish/dropped-before-it-begins", File: file, CaughtBy: oracle,
		Mistake: "A window that begins and is dropped with one message is never published.",
		Edits: []Edit{{`if now := r.now(); now != event.NoTime`, `r.dropped = r.in.DroppedThrough()
	if now := r.now(); now != event.NoTime`}},
	}, {
		Name: "publish/final-only-if-changed", File: file, CaughtBy: spec,
		Mistake: "A window whose list is out already isn't published as final.",
		Edits:   []Edit{{`t.closed, t.finalDue = true, true`, `t.closed = true`}},
	}, {
		Name: "publish/final-is-never-corrected", File: totals, CaughtBy: spec,
		Mistake: "A final list that an idle source corrects isn't published again.",
		Edits: []Edit{{`publish(l)
	}
	t.touched`, `if !t.closed {
			publish(l)
		}
	}
	t.touched`}},
	}, {
		Name: "publish/duplicates-alone", File: totals, CaughtBy: []string{"TestRankEqualsModel"},
		Mistake: "A list isn't published again when only its duplicates have changed.",
		Edits:   []Edit{{`if d.duplicates != 0 {`, `if d.duplicates != 0 && d.count != 0 {`}},
	}, {
		Name: "publish/new-group-of-a-final-window", File: totals, CaughtBy: []string{"TestRankEqualsModel"},
		Mistake: "A group that is new to a closed window isn't published, where the minimum count leaves its list empty.",
		Edits: []Edit{{`t.groups[g].lists = append(t.groups[g].lists, l)
			t.touch(l)`, `t.groups[g].lists = append(t.groups[g].lists, l)`}},
	}, {
		Name: "publish/overflow-unsaid", File: totals, CaughtBy: []string{"TestRankEqualsModel"},
		Mistake: "A list whose entries stand isn't published again when it has become inexact.",
		Edits: []Edit{{`one(event.Saturated(d.was))
		t.touchAll(group)`, `one(event.Saturated(d.was))`}},
	}, {
		Name: "publish/leaver-unsaid", File: totals, CaughtBy: []string{"TestRankEqualsModel"},
		Mistake: "A list isn't published again when an item leaves it and none comes.",
		Edits:   []Edit{{`if place, eligible := l.standing(d.item, countWas, sumWas); eligible && l.inList(items, place) {`, `if place, eligible := l.standing(d.item, countWas, sumWas); eligible && l.floored && l.inList(items, place) {`}},
	}, {
		Name: "publish/dropped-list-forgotten", File: "operators/rank_leaders.go", CaughtBy: []string{rankSpecification, rankingsEqualOracle},
		Mistake: "A list that is dropped while its flush is on its way can't be sent again when that fails.",
		Edits:   []Edit{{`if l.refs > 0 {`, `if l.changed {`}},
	}, {
		Name: "publish/restart-publishes-all", File: flush, CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "All lists are published again after a restart.",
		Edits:   []Edit{{`t.refresh(&r.items, func(*leaders) {})`, `t.refresh(&r.items, r.publish)`}},
	}, {
		Name: "publish/settled-too-early", File: file, CaughtBy: []string{rankSpecificationRestart, "TestNothingIsPublishedTwice"},
		Mistake: "A replay counts as over with its first message.",
		Edits:   []Edit{{`if !r.settled && at > r.in.replayTo {`, `if !r.settled {`}},
	}, {
		Name: "publish/marks-kept", File: totals, CaughtBy: oracle,
		Mistake: "What was ranked stays marked as changed, and its next change goes unnoticed.",
		Edits:   []Edit{{`.extra &^= marked`, `.extra |= marked`}},
	}}
}
