package mutants

// eventMutants break the core types and the decoder.
func eventMutants() []Mutant {
	return []Mutant{{
		Name: "event/sum-wraps", File: "event/cell.go", CaughtBy: []string{"TestSumsSaturate"},
		Mistake: "A cell's sum that passes int64 wraps.",
		Edits:   []Edit{{`if (sum^s)&(value^s) < 0 {`, `if (sum^value)&(value^s) < 0 {`}},
	}, {
		Name: "event/saturated-sum-recovers", File: "event/cell.go", CaughtBy: []string{"TestSaturation"}, In: "sim",
		Mistake: "A sum that has run over comes back when a negative value is added, and looks right.",
		Edits: []Edit{{`if Saturated(sum) {
		return sum
	}`, ``}},
	}, {
		Name: "event/ties-reversed", File: "event/ranking.go", CaughtBy: []string{"TestRankings"}, In: "sim",
		Mistake: "Of two items with the same score, the one with the lesser ID comes first, against ZREVRANGE.",
		Edits:   []Edit{{`c = cmp.Compare(b.Item, a.Item)`, `c = cmp.Compare(a.Item, b.Item)`}},
	}, {
		Name: "event/bottom-ties-as-top", File: "event/ranking.go", CaughtBy: []string{"TestRankings"}, In: "sim",
		Mistake: "A bottom order reverses scores, but not ties, against ZRANGE.",
		Edits: []Edit{{`c := cmp.Compare(b.Score, a.Score)`, `c := cmp.Compare(b.Score, a.Score)
	if o == Bottom && c == 0 {
		return cmp.Compare(b.Item, a.Item)
	}`}},
	}, {
		Name: "event/group-without-lengths", File: "event/event.go", CaughtBy: []string{rankingsEqualOracle},
		Mistake: "A group is its values' bytes end to end, so that (a, bc) is (ab, c).",
		Edits:   []Edit{{`group = binary.AppendUvarint(group, uint64(len(value)))`, `group = binary.AppendUvarint(group, uint64(min(len(value), 1)))`}},
	}, {
		Name: "event/time-range-closed", File: "event/json_time.go", CaughtBy: []string{"TestJSONTimeRangeIsHalfOpen"}, In: "event",
		Mistake: "The end of the accepted times is accepted.",
		Edits:   []Edit{{`f.min <= ms && ms < f.max`, `f.min <= ms && ms <= f.max`}},
	}, {
		Name: "event/time-rounds-to-zero", File: "event/json_time.go", CaughtBy: []string{"TestUnixTimesRoundDown"}, In: "event",
		Mistake: "Microseconds before 1970 are rounded up.",
		Edits:   []Edit{{`if n%u.per < 0 {`, `if n%u.per < -u.per {`}},
	}, {
		Name: "event/offset-the-wrong-way", File: "event/json_rfc3339.go", CaughtBy: []string{"TestParseRFC3339"}, In: "event",
		Mistake: "A time in +02:00 is taken for one in -02:00.",
		Edits: []Edit{{`if b[0] == '-' {
		ms = -ms`, `if b[0] == '+' {
		ms = -ms`}},
	}, {
		Name: "event/default-value-unscaled", File: "event/json_value.go", CaughtBy: []string{"TestJSONValueDefaultsToOne"}, In: "event",
		Mistake: "An event without a value is worth one unit of the scale, not 1.",
		Edits:   []Edit{{`unset: int64(powersOf10[scale])`, `unset: 1`}},
	}, {
		Name: "event/region-default-ignored", File: "event/json.go", CaughtBy: []string{"TestJSONRegionAndDimensions"}, In: "event",
		Mistake: "An event without a region is of the region \"\".",
		Edits:   []Edit{{`region = c.regionDefault`, ``}},
	}, {
		Name: "event/id-parts-without-lengths", File: "event/json.go", CaughtBy: []string{"TestJSONEventIDOfSeveralFields"}, In: "event",
		Mistake: "An event ID of several fields is their bytes end to end, so that (a, bc) is (ab, c).",
		Edits:   []Edit{{`c.idParts = AppendGroup(c.idParts, text)`, `c.idParts = append(c.idParts, text...)`}},
	}}
}
