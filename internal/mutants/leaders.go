package mutants

// leadersMutants break how a list is kept, and which items are on it.
func leadersMutants() []Mutant {
	const file = "operators/rank_leaders.go"
	oracle := []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "leaders/ties-reversed", File: file, CaughtBy: oracle,
		Mistake: "Of two items with the same score, the one with the lesser ID is on the list.",
		Edits:   []Edit{{`bytes.Compare(items.get(b.item), items.get(a.item))`, `bytes.Compare(items.get(a.item), items.get(b.item))`}},
	}, {
		Name: "leaders/bottom-is-top", File: file, CaughtBy: oracle,
		Mistake: "A bottom board lists the top.",
		Edits:   []Edit{{`return -c`, `return c`}},
	}, {
		Name: "leaders/bottom-ties", File: file, CaughtBy: oracle,
		Mistake: "A bottom board breaks ties as a top board does.",
		Edits: []Edit{{`c := cmp.Compare(b.score, a.score)`, `c := cmp.Compare(b.score, a.score)
	if l.board.Order == event.Bottom && c == 0 {
		return bytes.Compare(items.get(b.item), items.get(a.item))
	}`}},
	}, {
		Name: "leaders/min-count-off-by-one", File: file, CaughtBy: oracle,
		Mistake: "An item with just the minimum count is left out.",
		Edits:   []Edit{{`count < l.board.MinCount {`, `count <= l.board.MinCount {`}},
	}, {
		Name: "leaders/min-count-ignored", File: file, CaughtBy: oracle,
		Mistake: "Items below the minimum count are listed.",
		Edits:   []Edit{{`count == 0 || count < l.board.MinCount {`, `count == 0 {`}},
	}, {
		Name: "leaders/min-count-after-the-cut", File: file, CaughtBy: oracle,
		Mistake: "Items below the minimum count take places on the list, and are left out afterwards.",
		Edits: []Edit{
			{`count == 0 || count < l.board.MinCount {`, `count == 0 {`},
			{`return l.top[:min(l.board.K, len(l.top))]`, `return slices.DeleteFunc(slices.Clone(l.top[:min(l.board.K, len(l.top))]), func(x leader) bool {
		return l.totals.table.find(x.item, l.group, 0).count() < l.board.MinCount
	})`},
			{`n := len(items.get(l.top[i].item))`, `n := len(items.get(l.first()[i].item))`},
			{`Score: l.top[i].score`, `Score: l.first()[i].score`},
		},
	}, {
		Name: "leaders/floor-of-the-first-cut", File: file, CaughtBy: []string{"TestLeaders"},
		Mistake: "The floor isn't raised when more items are cut off.",
		Edits:   []Edit{{`} else if at == keep {`, `} else if at == keep && !l.floored {`}},
	}, {
		Name: "leaders/floor-of-the-worst", File: file, CaughtBy: []string{"TestLeaders"},
		Mistake: "Of several that fall off at once, the worst one is the floor, and better ones are forgotten.",
		Edits: []Edit{
			{`keep := min(`, `all := len(top) + len(fresh)
	keep := min(`},
			{`} else if at == keep {`, `} else if at == all-1 {`},
		},
	}, {
		Name: "leaders/join-ties", File: file, CaughtBy: []string{"TestLeaders"},
		Mistake: "Where scores are the same, a changed item comes after one that has not changed, whatever their IDs.",
		Edits:   []Edit{{`l.compare(items, top[n-1], worst) > 0 {`, `top[n-1].score != worst.score && l.compare(items, top[n-1], worst) > 0 {`}},
	}, {
		Name: "leaders/changes-stay", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "What has changed for one list counts as changed for the next ones, and unchanged items fall off.",
		Edits:   []Edit{{`changed.clear(item)`, `_ = item`}},
	}, {
		Name: "leaders/listed-not-marked", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "A changed item that comes onto a list isn't marked as listed, and its fall goes unnoticed.",
		Edits:   []Edit{{`if changed.has(leader.item) {`, `if false {`}},
	}, {
		Name: "leaders/rescanned-not-marked", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "Items of a list that was made from all aren't marked as listed.",
		Edits: []Edit{{`		t.list(l)
`, ``}},
	}, {
		Name: "leaders/no-floor", File: file, CaughtBy: oracle,
		Mistake: "Nothing is known of what was cut off, and what rises from there is listed above better items.",
		Edits:   []Edit{{`l.floor, l.floored = worst, true`, ``}},
	}, {
		Name: "leaders/no-rescan", File: file, CaughtBy: oracle,
		Mistake: "When listed items fall, the ones that were cut off don't come up.",
		Edits:   []Edit{{`return len(l.top) >= l.board.K || !l.floored`, `return true`}},
	}, {
		Name: "leaders/rescan-below-the-floor", File: file, CaughtBy: oracle,
		Mistake: "When all items are offered again, those below the old floor are still refused.",
		Edits:   []Edit{{`l.top, l.fresh, l.floored = l.top[:0], l.fresh[:0], false`, `l.top, l.fresh = l.top[:0], l.fresh[:0]`}},
	}, {
		Name: "leaders/falling-item-stays", File: file, CaughtBy: oracle,
		Mistake: "An item that falls stays on the list with the score that it had.",
		Edits:   []Edit{{`return changed.has(old.item)`, `return l.totals.table.find(old.item, l.group, 0).count() == 0`}},
	}, {
		Name: "leaders/offered-twice", File: file, CaughtBy: oracle,
		Mistake: "What was offered for one flush is offered for the next one again.",
		Edits: []Edit{{`l.fresh = l.fresh[:0]
`, `
`}},
	}, {
		Name: "leaders/listed-not-looked-at", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "An item that is listed and falls below what the list may want isn't looked at.",
		Edits:   []Edit{{`wanted := e.extra&listed != 0`, `wanted := false`}},
	}, {
		Name: "leaders/first-list-only", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "Whether an item is looked at is asked of the first board of its group only.",
		Edits: []Edit{{`for _, l := range group.lists {
		if place`, `for _, l := range group.lists[:1] {
		if place`}},
	}, {
		Name: "leaders/ties-with-the-floor", File: file, CaughtBy: oracle,
		Mistake: "An item that ties with the floor, and may come before it by its ID, isn't looked at.",
		Edits:   []Edit{{`l.compare(items, place, l.floor) < 0`, `cmp.Compare(place.score, l.floor.score) != 0 && l.compare(items, place, l.floor) < 0`}},
	}, {
		Name: "leaders/marked-listed-once", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "Items are taken for listed only while they are at the very top.",
		Edits: []Edit{{`for _, leader := range l.top {
			if changed`, `for _, leader := range l.first() {
			if changed`}},
	}, {
		Name: "leaders/one-too-many", File: file, CaughtBy: []string{"TestLargeGroups"},
		Mistake: "A list has an entry more than K.",
		Edits:   []Edit{{`l.top[:min(l.board.K, len(l.top))]`, `l.top[:min(l.board.K+1, len(l.top))]`}},
	}, {
		Name: "leaders/items-of-other-groups", File: "operators/rank_totals.go", CaughtBy: oracle,
		Mistake: "When a list runs short, items of every group are offered to it.",
		Edits:   []Edit{{`range byGroup[e.group] {`, `range short {`}},
	}}
}

// scoreMutants break what items are ranked by, and in which groups.
func scoreMutants() []Mutant {
	const file, totals = "operators/board.go", "operators/rank_totals.go"
	oracle := []string{rankingsEqualOracle}
	return []Mutant{{
		Name: "score/average-of-integers", File: file, CaughtBy: oracle,
		Mistake: "Averages are rounded to whole units.",
		Edits:   []Edit{{`float64(sum) / float64(count) / unit`, `float64(sum/count) / unit`}},
	}, {
		Name: "score/scale-forgotten", File: file, CaughtBy: oracle,
		Mistake: "Sums are in units of the smallest decimal.",
		Edits:   []Edit{{`return float64(sum) / unit`, `return float64(sum)`}},
	}, {
		Name: "score/scale-of-averages-forgotten", File: file, CaughtBy: oracle,
		Mistake: "Averages are in units of the smallest decimal.",
		Edits:   []Edit{{`float64(sum) / float64(count) / unit`, `float64(sum) / float64(count)`}},
	}, {
		Name: "score/wrong-dimension", File: totals, CaughtBy: oracle,
		Mistake: "A grouping takes the first dimensions, whichever it names.",
		Edits:   []Edit{{`kept[i] = values[d]`, `kept[i] = values[i]`}},
	}, {
		Name: "score/groups-by-number", File: totals, CaughtBy: oracle,
		Mistake: "Groups that a view doesn't tell apart have lists of their own.",
		Edits:   []Edit{{`g, ok := t.indexes[name]`, `g, ok := uint32(0), false`}},
	}, {
		Name: "score/duplicates-with-counts-only", File: totals, CaughtBy: oracle,
		Mistake: "Duplicates are taken in only when the count has changed too.",
		Edits: []Edit{{`group.duplicates += d.duplicates
`, `if d.count != 0 {
		group.duplicates += d.duplicates
	}
`}},
	}, {
		Name: "score/sum-changes-unnoticed", File: totals, CaughtBy: oracle,
		Mistake: "A change of the sum alone, as by a refund, changes no list.",
		Edits:   []Edit{{`if d.count == 0 && d.was == d.is {`, `if d.count == 0 || d.was == d.is {`}},
	}, {
		Name: "score/overflow-of-totals-ignored", File: totals, CaughtBy: oracle,
		Mistake: "A total beyond int64 leaves the list exact.",
		Edits:   []Edit{{`one(okWas) - one(ok) + one(event`, `0*(one(okWas)-one(ok)) + one(event`}},
	}, {
		Name: "score/overflow-of-cells-ignored", File: totals, CaughtBy: oracle,
		Mistake: "A cell whose own sum has run over leaves the list exact.",
		Edits:   []Edit{{`+ one(event.Saturated(d.is)) - one(event.Saturated(d.was))`, ``}},
	}, {
		Name: "score/overflow-counted-once-more", File: totals, CaughtBy: []string{"TestScripts", rankingsEqualOracle},
		Mistake: "A sum that comes back from beyond int64 leaves its list inexact for ever.",
		Edits:   []Edit{{`one(okWas) - one(ok) + one(event`, `one(okWas) - min(one(ok), one(okWas)) + one(event`}},
	}, {
		Name: "score/overflow-of-totals-wraps", File: "operators/table.go", CaughtBy: oracle,
		Mistake: "A total that passes int64 wraps, and nobody is told.",
		Edits:   []Edit{{`case high == low>>63:`, `case true:`}},
	}}
}
