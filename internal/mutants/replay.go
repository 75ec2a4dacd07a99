package mutants

// replayMutants break Rule 3: what a source partition commits, and what it does with that after a restart.
func replayMutants() []Mutant {
	const file, flush = "operators/partition.go", "operators/partition_flush.go"
	return []Mutant{{
		Name: "replay/no-count-from", File: file, CaughtBy: []string{foldSpecificationRestart},
		Mistake: "A replay counts from the low-water on, duplicates too whose original lies before it.",
		Edits:   []Edit{{`counting: from.CountFrom`, `counting: from.LowWater`}},
	}, {
		Name: "replay/fresh-w", File: file, CaughtBy: []string{foldSpecificationRestart},
		Mistake: "The watermark isn't restored, so a replay accepts events that had been refused.",
		Edits:   []Edit{{`s.OutOfOrderness.Milliseconds(), from.Watermark)`, `s.OutOfOrderness.Milliseconds(), event.NoTime)`}},
	}, {
		Name: "replay/open-now", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A pane is replayed from the record that opened it, without the IDs that were seen before.",
		Edits:   []Edit{{`p.panes.opens(out.Pane, r.Offset, v.Replay)`, `p.panes.opens(out.Pane, r.Offset, Mark{r.Offset, v.Watermark})`}},
	}, {
		Name: "replay/low-water-of-segments-only", File: flush, CaughtBy: []string{foldSpecification},
		Mistake: "The low-water is the oldest live segment's, also where an open pane began before it.",
		Edits:   []Edit{{`if pane.replay.Offset < low.Offset {`, `if pane.replay.Offset < 0 {`}},
	}, {
		Name: "replay/low-water-of-panes-only", File: flush, CaughtBy: []string{foldSpecification},
		Mistake: "The low-water is the oldest open pane's, and the IDs seen before it are forgotten.",
		Edits:   []Edit{{`if p.verdict.Replay.Offset < low.Offset {`, `if p.verdict.Replay.Offset < 0 {`}},
	}, {
		Name: "replay/count-from-of-newest-pane", File: flush, CaughtBy: []string{foldSpecification},
		Mistake: "Count-from is where the newest pane opened, and the older ones lose what they had counted.",
		Edits:   []Edit{{`from = min(from, pane.opened)`, `from = pane.opened`}},
	}, {
		Name: "replay/checkpoint-of-now", File: flush, CaughtBy: []string{foldRestarts},
		Mistake: "The commit is made of the open panes and seen IDs as of now, and says that it is as of f.",
		Edits: []Edit{{`return p.sender.Commit(limit)`, `ck, ok := p.sender.Commit(limit)
	now := p.Checkpoint()
	now.ProcessedThrough = ck.ProcessedThrough
	return now, ok`}},
	}, {
		Name: "replay/count-from-of-now", File: flush, CaughtBy: []string{foldRestarts},
		Mistake: "The commit's count-from is of the panes that are open now, not of those open as of f.",
		Edits: []Edit{{`return p.sender.Commit(limit)`, `ck, ok := p.sender.Commit(limit)
	ck.CountFrom = p.Checkpoint().CountFrom
	return ck, ok`}},
	}, {
		Name: "replay/watermark-after-low-water", File: "operators/dedup.go", CaughtBy: []string{foldSpecification},
		Mistake: "The watermark that is kept with a segment is the one after its first record.",
		Edits:   []Edit{{`key.first, key.begin = Mark{offset, before}, d.sightings.head`, `key.first, key.begin = Mark{offset, w}, d.sightings.head`}},
	}, {
		Name: "replay/ends-a-record-early", File: file, CaughtBy: []string{foldSpecificationRestart},
		Mistake: "The last record of a replay is published once more.",
		Edits:   []Edit{{`silent := r.Offset <= p.through`, `silent := r.Offset < p.through`}},
	}, {
		Name: "replay/flushes", File: flush, CaughtBy: []string{foldRestarts},
		Mistake: "A flush begins in the middle of a replay, with cells as they once were.",
		Edits:   []Edit{{`if p.counted < p.through {`, `if p.counted < p.counting {`}},
	}, {
		Name: "replay/flushes-late", File: flush, CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "After a replay no flush begins before a new record comes, so an idle partition never says so.",
		Edits:   []Edit{{`if p.counted < p.through {`, `if p.counted <= p.through {`}},
	}, {
		Name: "replay/publishes", File: flush, CaughtBy: []string{"TestNothingIsPublishedTwice"},
		Mistake: "Cells counted in a replay are all published again.",
		Edits:   []Edit{{`if silent || c.changed {`, `if c.changed {`}},
	}, {
		Name: "replay/ahead-of-count", File: flush, CaughtBy: []string{"TestHalvesApart"},
		Mistake: "A flush carries the watermark of records that have been deduplicated but not counted.",
		Edits:   []Edit{{`ClosedThrough: p.verdict.Watermark, DroppedThrough: p.verdict.Watermark,`, `ClosedThrough: p.watermark.Time(), DroppedThrough: p.watermark.Time(),`}},
	}, {
		Name: "replay/checkpoint-ahead-of-count", File: flush, CaughtBy: []string{"TestHalvesApart"},
		Mistake: "A checkpoint is as of the last record deduplicated, not of the last one counted.",
		Edits:   []Edit{{`f := p.counted`, `f := p.at`}},
	}, {
		Name: "replay/segments-ahead-of-count", File: flush, CaughtBy: []string{"TestHalvesApart"},
		Mistake: "A checkpoint's low-water is of the IDs seen by the half that runs ahead, not as of the last record counted.",
		Edits: []Edit{{`if p.verdict.Replay.Offset < low.Offset {
		low = p.verdict.Replay`, `if m, ok := p.dedup.oldest(); ok && m.Offset < low.Offset {
		low = m`}},
	}}
}
