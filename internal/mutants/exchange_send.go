package mutants

// sendMutants break the sending side of a hop: what a flush holds (Rule 2).
func sendMutants() []Mutant {
	const file, fold = "operators/exchange_send.go", "operators/partition_flush.go"
	return []Mutant{{
		Name: "send/before-acknowledged", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A shard is given a flush while the one before it is on its way.",
		Edits: []Edit{{`if l.busy {
			continue`, `if l.busy && l.given == asOf {
			continue`}},
	}, {
		Name: "send/failed-cells-lost", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "What a failed flush held isn't sent again.",
		Edits: []Edit{{`l.changed = append(l.changed, entry)
		}`, `s.acked(entry)
		}`}},
	}, {
		Name: "send/mark-not-cleared", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A cell that was flushed once stays marked, and its later changes are not flushed.",
		Edits:   []Edit{{`ref.pane.cells[ref.cell].changed = false`, ``}},
	}, {
		Name: "send/mark-cleared-when-acknowledged", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A cell that changes while its flush is on its way isn't flushed again.",
		Edits: []Edit{{`ref.pane.cells[ref.cell].changed = false`, ``}, {`ref.pane.unacked--`, `ref.pane.cells[ref.cell].changed = false
	ref.pane.unacked--`}},
	}, {
		Name: "send/failed-not-marked", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A cell of a failed flush isn't marked as changed, though it is listed, and is forgotten in the next one.",
		Edits:   []Edit{{`return !was`, `return was`}},
	}, {
		Name: "send/nothing-when-empty", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A shard without changed cells gets no flush, and with it no watermark.",
		Edits: []Edit{{`part(head, entries[from:])`, `if len(entries) > 0 {
		part(head, entries[from:])
	}`}},
	}, {
		Name: "send/parts-of-one-number", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "All parts of a flush have the number 0.",
		Edits:   []Edit{{`head.Number++`, ``}},
	}, {
		Name: "send/last-is-never-said", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "The last part of a flush isn't marked.",
		Edits:   []Edit{{`head.Last = true`, ``}},
	}, {
		Name: "send/part-over-its-limit", File: file, CaughtBy: []string{"TestSplit"},
		Mistake: "A part is cut only after it has passed the broker's limit.",
		Edits:   []Edit{{`if i > from && sum+n > sizeMax {`, `if i > from && sum > sizeMax {`}},
	}, {
		Name: "send/rank-mark-not-cleared", File: "operators/rank_flush.go", CaughtBy: []string{rankSpecification, rankingsEqualOracle},
		Mistake: "A list that was flushed once stays marked, and its later changes are not flushed.",
		Edits:   []Edit{{`l.changed = false`, ``}},
	}, {
		Name: "send/merge-mark-not-cleared", File: "operators/merge.go", CaughtBy: []string{rankingsEqualOracle},
		Mistake: "A merged list that was written once stays marked, and its later changes are not written.",
		Edits:   []Edit{{`l.changed = false`, ``}},
	}}
}

// commitMutants break what may be committed when (Rule 3).
func commitMutants() []Mutant {
	const file, fold = "operators/exchange_send.go", "operators/partition_flush.go"
	return []Mutant{{
		Name: "commit/without-dead-letters", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A commit doesn't wait until dead letters are acknowledged: a crash loses them.",
		Edits:   []Edit{{`limit = p.letters[0].Offset - 1`, `limit = p.counted`}},
	}, {
		Name: "commit/letter-off-by-one", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A commit includes the record whose dead letter isn't acknowledged.",
		Edits:   []Edit{{`limit = p.letters[0].Offset - 1`, `limit = p.letters[0].Offset`}},
	}, {
		Name: "commit/newest-letter", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "A commit waits for the newest dead letter, not the oldest.",
		Edits:   []Edit{{`limit = p.letters[0].Offset - 1`, `limit = p.letters[len(p.letters)-1].Offset - 1`}},
	}, {
		Name: "commit/letter-never-acknowledged", File: fold, CaughtBy: []string{foldRestarts},
		Mistake: "The last dead letter that was acknowledged still holds the commit back.",
		Edits:   []Edit{{`p.letters[i].Offset > through`, `p.letters[i].Offset >= through`}},
	}, {
		Name: "commit/flush-begun", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A flush is committed when it has begun, not when it has arrived.",
		Edits:   []Edit{{`limit = min(limit, s.lanes[i].arrived)`, `limit = min(limit, s.lanes[i].given)`}},
	}, {
		Name: "commit/slow-lane-ignored", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A flush is committed when one shard has it, however slow the others are.",
		Edits: []Edit{{`limit = min(limit, s.lanes[i].arrived)
	}`, `fastest = max(fastest, s.lanes[i].arrived)
	}
	limit = min(limit, fastest)`}, {`Commit(limit int64) (checkpoint C, ok bool) {`, `Commit(limit int64) (checkpoint C, ok bool) {
	fastest := int64(-1 << 62)`}},
	}, {
		Name: "commit/failed-has-arrived", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A flush that failed counts as arrived.",
		Edits: []Edit{{`l.busy = false
`, `l.busy, l.arrived = false, l.given
`}},
	}, {
		Name: "commit/never", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "An acknowledged flush doesn't count as arrived, so that nothing is ever committed.",
		Edits:   []Edit{{`l.busy, l.arrived = false, l.given`, `l.busy = false`}},
	}, {
		Name: "commit/waits-for-later-letters", File: file, CaughtBy: []string{"TestCommitsWhileLettersLag"},
		Mistake: "Checkpoints that wait for dead letters alone are forgotten when the next flush begins.",
		Edits:   []Edit{{`if len(s.begun) >= begunMax {`, `if len(s.begun) > 0 {`}},
	}, {
		Name: "commit/twice", File: file, CaughtBy: []string{"TestCommitOnce"},
		Mistake: "A heartbeat as of a flush that has been committed commits it again.",
		Edits:   []Edit{{`asOf <= s.committed || n > 0`, `n > 0`}},
	}, {
		Name: "commit/checkpoint-of-an-earlier-flush", File: file, CaughtBy: []string{"TestCommitOfAnOlderFlush"},
		Mistake: "The checkpoint of a flush that one shard has, and another has yet to acknowledge, is forgotten.",
		Edits:   []Edit{{`l.given == asOf || l.arrived == asOf`, `l.given == asOf`}},
	}, {
		Name: "commit/rank-as-of-now", File: "operators/rank_flush.go", CaughtBy: []string{rankingsEqualOracle},
		Mistake: "Rank commits its state as of now, though the flush as of now hasn't arrived.",
		Edits: []Edit{{`return r.out.Commit(math.MaxInt64)`, `_, ok := r.out.Commit(math.MaxInt64)
	return r.Checkpoint(), ok`}},
	}, {
		Name: "commit/merge-as-of-now", File: "operators/merge.go", CaughtBy: []string{"TestMergeCommitsWhatIsWritten"},
		Mistake: "Merge commits its state as of now, though what changed since the last flush isn't written.",
		Edits: []Edit{{`return m.out.Commit(math.MaxInt64)`, `_, ok := m.out.Commit(math.MaxInt64)
	return m.Checkpoint(), ok`}},
	}}
}
