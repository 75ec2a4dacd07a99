package mutants

// windowMutants break the geometry of windows.
func windowMutants() []Mutant {
	const file = "operators/window.go"
	oracle := []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "window/a-slide-too-early", File: file, CaughtBy: oracle,
		Mistake: "A pane is added to the sliding window that ended where it begins.",
		Edits:   []Edit{{`return s.last(t-s.size) + s.slide`, `return s.last(t - s.size)`}},
	}, {
		Name: "window/a-slide-too-late", File: file, CaughtBy: oracle,
		Mistake: "A pane isn't added to the oldest sliding window that holds it.",
		Edits:   []Edit{{`return s.last(t-s.size) + s.slide`, `return s.last(t-s.size) + 2*s.slide`}},
	}, {
		Name: "window/offset-ignored", File: file, CaughtBy: oracle,
		Mistake: "Days that begin at 23:00 UTC begin at 0:00.",
		Edits:   []Edit{{`floorDiv(t-s.offset, s.slide)*s.slide + s.offset`, `floorDiv(t, s.slide) * s.slide`}},
	}, {
		Name: "window/truncating-division", File: file, CaughtBy: []string{"TestWindowsOfAnInstant"},
		Mistake: "Windows before 1970 are rounded towards it.",
		Edits:   []Edit{{`floorDiv(t-s.offset, s.slide)*s.slide`, `(t-s.offset)/s.slide*s.slide`}},
	}, {
		Name: "window/negative-offset", File: file, CaughtBy: []string{"TestWindowsOfAnInstant"},
		Mistake: "An offset to the west is turned to the east.",
		Edits:   []Edit{{`((w.Offset % w.Slide) + w.Slide) % w.Slide`, `w.Offset.Abs() % w.Slide`}},
	}}
}

// mergeMutants break how shards' lists become one.
func mergeMutants() []Mutant {
	const file = "operators/merge.go"
	oracle := []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "merge/one-shard", File: file, CaughtBy: oracle,
		Mistake: "The list of the shard that spoke last stands for all shards.",
		Edits:   []Edit{{`l.shards[shard] = &own`, `l.shards[0] = &own`}},
	}, {
		Name: "merge/final-with-the-first", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "A merged list is final when one shard has closed its window.",
		Edits: []Edit{{`r.End = part.End`, `r.End = part.End
		r.Final = r.Final || part.Final`}},
	}, {
		Name: "merge/revision-of-the-list", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "A merged list's revision is the offset at which it was first heard of, and corrections are refused.",
		Edits:   []Edit{{`l.ranking(m.in.At())`, `l.ranking(l.first)`}},
	}, {
		Name: "merge/revision-of-a-shard", File: file, CaughtBy: []string{"TestScripts"},
		Mistake: "A merged list's revision is one of its shards' offsets.",
		Edits:   []Edit{{`r.End = part.End`, `r.End, r.Revision = part.End, part.Revision`}},
	}, {
		Name: "merge/not-cut", File: file, CaughtBy: oracle,
		Mistake: "A merged list has K entries of each shard.",
		Edits:   []Edit{{`k = min(k, b.K)`, ``}},
	}, {
		Name: "merge/not-sorted", File: file, CaughtBy: oracle,
		Mistake: "A merged list has its shards' lists one after the other.",
		Edits:   []Edit{{`b.Order.Compare(list[0], lists[best][0]) < 0`, `false`}},
	}, {
		Name: "merge/disorder-taken-in", File: file, CaughtBy: []string{"TestTakeRefusesStrangers"},
		Mistake: "A shard's list that is in another order than the board's is taken in, and merged as if it were in order.",
		Edits:   []Edit{{`!slices.IsSortedFunc(l.Entries, board.Order.Compare)`, `false`}},
	}, {
		Name: "merge/always-top", File: file, CaughtBy: oracle,
		Mistake: "A bottom board is merged as a top board.",
		Edits:   []Edit{{`b.Order.Compare(list[0]`, `event.Top.Compare(list[0]`}},
	}, {
		Name: "merge/exact-as-the-last", File: file, CaughtBy: oracle,
		Mistake: "A merged list is exact when one of its shards' is.",
		Edits:   []Edit{{`r.Exact = r.Exact && part.Exact`, `r.Exact = part.Exact`}},
	}, {
		Name: "merge/duplicates-of-one-shard", File: file, CaughtBy: oracle,
		Mistake: "A merged list has the duplicates of one shard.",
		Edits:   []Edit{{`r.Duplicates += part.Duplicates`, `r.Duplicates = part.Duplicates`}},
	}, {
		Name: "merge/dropped-unpublished", File: file, CaughtBy: oracle,
		Mistake: "A list that closes and is dropped with one message is never published as final.",
		Edits: []Edit{{`if l.closeAt <= m.in.ClosedThrough() && !l.closed {`, `if l.closeAt <= m.in.DroppedThrough() {
			delete(m.lists, key)
			continue
		}
		if l.closeAt <= m.in.ClosedThrough() && !l.closed {`}},
	}, {
		Name: "merge/final-only-if-changed", File: file, CaughtBy: oracle,
		Mistake: "A list that closes isn't published as final.",
		Edits: []Edit{{`l.closed = true
			m.publish(l)`, `l.closed = true`}},
	}, {
		Name: "merge/closes-without-lateness", File: file, CaughtBy: oracle,
		Mistake: "A list is final at its window's end, before the shards' are.",
		Edits:   []Edit{{`closeAt: r.End + m.lateness,`, `closeAt: r.End,`}},
	}, {
		Name: "merge/interim-after-a-restart", File: file, CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "A final list is published as final once more after a restart.",
		Edits:   []Edit{{`l.closeAt <= m.in.ClosedThrough() && !l.closed {`, `m.settled && l.closeAt <= m.in.ClosedThrough() && !l.closed {`}},
	}, {
		Name: "merge/low-water-of-the-last-flush", File: file, CaughtBy: oracle,
		Mistake: "The low-water passes the shards' lists that were not heard of lately.",
		Edits:   []Edit{{`l.first = min(l.first, first)`, `l.first = first`}},
	}, {
		Name: "merge/low-water-ignores-lists", File: file, CaughtBy: oracle,
		Mistake: "The low-water passes lists that are still kept.",
		Edits:   []Edit{{`kept = min(kept, l.first)`, `kept = max(kept, l.first)`}},
	}}
}
