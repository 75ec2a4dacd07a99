package mutants

// dedupMutants break the rule of what is a duplicate.
func dedupMutants() []Mutant {
	const file, fold = "operators/dedup.go", "operators/partition.go"
	return []Mutant{{
		Name: "dedup/no-refresh", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A duplicate doesn't refresh its ID, so what is a duplicate depends on all of the log.",
		Edits:   []Edit{{`if position-d.sightings.tail < current-d.sightings.tail {`, `if position-d.sightings.tail > current-d.sightings.tail {`}},
	}, {
		Name: "dedup/late-not-seen", File: fold, CaughtBy: []string{foldSpecification},
		Mistake: "A late event's ID isn't noted: each copy of it is a dead letter of its own.",
		Edits: []Edit{{`if duplicate, v.Conflict = `, `if p.panes.start(e.Time)+p.panes.width+p.panes.lateness <= p.watermark.Time() {
		} else if duplicate, v.Conflict = `}},
	}, {
		Name: "dedup/forgets-a-segment-early", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "IDs are forgotten a segment of watermark time too early.",
		Edits:   []Edit{{`watermarkKey < key.watermarkKey-d.segmentsBack`, `watermarkKey <= key.watermarkKey-d.segmentsBack`}},
	}, {
		Name: "dedup/forgets-a-segment-late", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "IDs are forgotten a segment of watermark time too late.",
		Edits:   []Edit{{`watermarkKey < key.watermarkKey-d.segmentsBack`, `watermarkKey < key.watermarkKey-d.segmentsBack-1`}},
	}, {
		Name: "dedup/forgets-records-early", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "IDs are forgotten a segment of offsets too early.",
		Edits:   []Edit{{`offsetKey < key.offsetKey-d.recordsBack`, `offsetKey <= key.offsetKey-d.recordsBack`}},
	}, {
		Name: "dedup/forgets-records-late", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "IDs are forgotten a segment of offsets too late.",
		Edits:   []Edit{{`offsetKey < key.offsetKey-d.recordsBack`, `offsetKey < key.offsetKey-d.recordsBack-1`}},
	}, {
		Name: "dedup/both-horizons-must-pass", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "IDs are forgotten only when both the watermark and the offsets have moved on.",
		Edits:   []Edit{{`segmentsBack || d.segments`, `segmentsBack && d.segments`}},
	}, {
		Name: "dedup/segment-a-millisecond-longer", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "The first record beyond a segment of watermark time still joins it.",
		Edits:   []Edit{{`w-from < d.segmentWidth {`, `w-from <= d.segmentWidth {`}},
	}, {
		Name: "dedup/segment-a-record-longer", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "The first record beyond a segment of offsets still joins it.",
		Edits:   []Edit{{`offset-from < d.segmentRecords {`, `offset-from <= d.segmentRecords {`}},
	}, {
		Name: "dedup/truncating-division", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "Times before 1970 are divided towards zero: the panes and segments next to it are twice as long.",
		Edits:   []Edit{{`if a%b < 0 {`, `if a%b < -b {`}},
	}, {
		Name: "dedup/w-before-the-record", File: fold, CaughtBy: []string{foldSpecification},
		Mistake: "A record is looked up with W as it was before the record.",
		Edits:   []Edit{{`p.dedup.see(r.Offset, before, p.watermark.Time(), `, `p.dedup.see(r.Offset, before, max(before, -timeMax), `}},
	}, {
		Name: "dedup/half-an-id", File: file, CaughtBy: []string{"TestIDsThatAgreeInHalf"},
		Mistake: "Two events whose IDs' hashes agree in part are one.",
		Edits:   []Edit{{`c.ids[k] == id {`, `c.ids[k][0] == id[0] {`}},
	}, {
		Name: "dedup/conflict-with-the-first", File: file, CaughtBy: []string{"TestConflicts"},
		Mistake: "A duplicate's payload is compared with that of the first sighting, which may be beyond the horizon.",
		Edits:   []Edit{{`c.payloads[k] = payload`, ``}},
	}, {
		Name: "dedup/conflict-without-value", File: fold, CaughtBy: []string{"TestConflicts"},
		Mistake: "A duplicate with another value isn't counted as a conflict.",
		Edits:   []Edit{{`^mix(^uint64(e.Value))`, ``}},
	}, {
		Name: "dedup/live-without-wrap", File: "operators/sightings.go", CaughtBy: []string{"TestDedupAgainstMap"},
		Mistake: "After 2³² sightings the set takes all that it holds for forgotten.",
		Edits:   []Edit{{`return position-q.tail < q.head-q.tail`, `return position >= q.tail && position < q.head`}},
	}, {
		Name: "dedup/chunk-freed-early", File: "operators/sightings.go", CaughtBy: []string{"TestDedupAgainstMap"},
		Mistake: "The chunk that the tail stands in is set free with those below it.",
		Edits:   []Edit{{`gone := q.chunkOf(tail)`, `gone := min(q.chunkOf(tail)+1, uint32(len(q.chunks)))`}},
	}, {
		Name: "dedup/chunks-from-the-tail", File: "operators/sightings.go", CaughtBy: []string{"TestDedupAgainstMap"},
		Mistake: "Chunks are counted from the tail itself, not from the beginning of its chunk.",
		Edits:   []Edit{{`(position - q.tail&^(chunkLen-1)) >> chunkBits`, `(position - q.tail) >> chunkBits`}},
	}, {
		Name: "dedup/rebuild-drops-the-oldest", File: file, CaughtBy: []string{"TestDedupAgainstMap"},
		Mistake: "When the index is laid out anew, the oldest ID is lost.",
		Edits:   []Edit{{`d.sightings.live)`, `func(p uint32) bool { return d.sightings.live(p - 1) })`}},
	}, {
		Name: "dedup/dead-slot-ends-the-search", File: file, CaughtBy: []string{"TestDedupAgainstMap"},
		Mistake: "The search for an ID ends at the first slot of a forgotten one.",
		Edits:   []Edit{{`for slots[i] != 0 {`, `for slots[i] != 0 && dead < 0 {`}},
	}}
}
