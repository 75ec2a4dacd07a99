package mutants

// roomMutants break what rank says when its budget of cells is used up.
func roomMutants() []Mutant {
	const lose, room, errors = "operators/rank_lose.go", "operators/rank_room.go", "operators/rank_error.go"
	bounds := []string{"TestRankRoomBounds"}
	return []Mutant{{
		Name: "room/bound-not-grown", File: lose, CaughtBy: bounds,
		Mistake: "What items of a group have lost doesn't count as missing in it.",
		Edits:   []Edit{{`group.missing = group.missing.plus(l.most)`, ``}},
	}, {
		Name: "room/bound-of-the-last-pass", File: lose, CaughtBy: bounds,
		Mistake: "What is missing is the most that any one pass took, though an item can come back and lose again.",
		Edits:   []Edit{{`group.missing = group.missing.plus(l.most)`, `group.missing = group.missing.or(l.most)`}},
	}, {
		Name: "room/part-lost-unmarked", File: lose, CaughtBy: bounds,
		Mistake: "An item that has lost the cells of one group, and has others, counts as whole.",
		Edits:   []Edit{{`e.extra |= lossy`, ``}},
	}, {
		Name: "room/back-unmarked", File: "operators/rank_totals.go", CaughtBy: bounds,
		Mistake: "An item that went and comes back counts as whole.",
		Edits:   []Edit{{`if isNew && group.missing.some() {`, `if isNew && group.missing.some() && t.closed {`}},
	}, {
		Name: "room/exact-without-margin", File: errors, CaughtBy: bounds,
		Mistake: "A list counts as exact though what an item outside may have lost would bring it onto the list.",
		Edits:   []Edit{{`> (outside+l.errorMax())*rounding`, `> outside*rounding`}},
	}, {
		Name: "room/exact-with-room-left", File: errors, CaughtBy: bounds,
		Mistake: "A list that isn't full counts as exact though items that aren't held belong on it.",
		Edits: []Edit{{`if len(l.top) < k || l.board`, `if len(l.top) < k {
		return true
	}
	if l.board`}},
	}, {
		Name: "room/losses-cancel-out", File: lose, CaughtBy: bounds,
		Mistake: "Of an item that loses a refund and a sale, only the difference counts, though one of them may come back.",
		Edits:   []Edit{{`l.replaceSum(0, max(sum, -sum))`, `l.replaceSum(0, sum)`}},
	}, {
		Name: "room/group-comes-back-whole", File: lose, CaughtBy: bounds,
		Mistake: "A group that has lost all it had, and comes back, is taken for new.",
		Edits:   []Edit{{`t.others = t.others.or(group.missing)`, ``}},
	}, {
		Name: "room/window-begins-whole", File: "operators/rank_window.go", CaughtBy: bounds,
		Mistake: "A window that begins later doesn't know what its panes have lost before.",
		Edits:   []Edit{{`t.others = r.missingIn(t)`, ``}},
	}, {
		Name: "room/whole-though-it-went", File: room, CaughtBy: bounds,
		Mistake: "In windows that begin later, an item counts as whole though some of its cells went.",
		Edits:   []Edit{{`items.clear(cells[i].itemOf())`, `_ = i`}},
	}, {
		Name: "room/inexact-unsaid", File: "operators/rank_totals.go", CaughtBy: []string{"TestScripts"},
		Mistake: "A list isn't published again when only its exactness has changed.",
		Edits:   []Edit{{`&& l.exact() != l.saidExact {`, `&& l.exact() && !l.saidExact {`}},
	}, {
		Name: "room/restart-goes-on", File: "operators/rank_flush.go", CaughtBy: []string{"TestRestartTellsAnew"},
		Mistake: "After a restart, lists that were made of other cells stand beside new ones.",
		Edits: []Edit{{`if r.room.limit > 0 {
		r.Republish()
	}`, ``}},
	}, {
		Name: "room/two-lists-of-a-group", File: "operators/rank_flush.go", CaughtBy: bounds,
		Mistake: "A flush has what a group said before it went, and after it has come back.",
		Edits:   []Edit{{`if i > 0 && changed[i-1].key == l.key {`, `if i > len(changed) {`}},
	}, {
		Name: "room/counted-before-it-went", File: room, CaughtBy: bounds,
		Mistake: "Cells of a block that went while room was made for it aren't counted as new.",
		Edits: []Edit{{`	for r.room.tight(r.newAmong(cells, source)) {
`, `	for n := r.newAmong(cells, source); r.room.tight(n); {
`}},
	}, {
		Name: "room/names-stay", File: room, CaughtBy: []string{"TestRankRoomBytes"},
		Mistake: "The names of items that went stay.",
		Edits:   []Edit{{`r.items.sweep(items)`, ``}},
	}, {
		Name: "room/groups-stay", File: lose, CaughtBy: []string{"TestRankRoomBytes"},
		Mistake: "Groups that have lost all they had stay, and their lists with them.",
		Edits: []Edit{{`	t.vacate()
`, ``}},
	}, {
		Name: "room/what-stays-is-not-spread", File: room, CaughtBy: []string{"TestFloodLeavesTablesSpread"},
		Mistake: "Of pairs that weigh the same, those with the least hashes go, until all that stays has the greatest ones and searches don't end.",
		Edits:   []Edit{{`pairs.spread(func(p *entry) {`, `pairs.each(func(p *entry) {`}},
	}, {
		Name: "room/window-summed-up-in-order", File: "operators/rank_window.go", CaughtBy: []string{"TestWindowBeginsAtOnce"},
		Mistake: "A window is summed up in the order of hashes, which takes the square of the number of cells.",
		Edits:   []Edit{{`r.panes[at].cells.spread(func`, `r.panes[at].cells.each(func`}},
	}, {
		Name: "room/runs-overlap", File: "operators/names_sweep.go", CaughtBy: []string{"TestNamesSwept"},
		Mistake: "What is left of a free place that was cut up begins inside the part that was taken.",
		Edits:   []Edit{{`run{last.number + uint32(size/4), last.size - size}`, `run{last.number + uint32(size/8), last.size - size}`}},
	}}
}
