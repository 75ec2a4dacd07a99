package mutants

// timeMutants break the closing watermark and dropped-through (Rule 4).
func timeMutants() []Mutant {
	const file = "watermark/closing.go"
	spec := []string{rankSpecification}
	return []Mutant{{
		Name: "time/idle-ignored", File: file, CaughtBy: spec,
		Mistake: "A source that says that it is idle holds the closing watermark back.",
		Edits:   []Edit{{`if !s.Idle {`, `if s.Heard {`}},
	}, {
		Name: "time/never-heard-ignored", File: file, CaughtBy: spec,
		Mistake: "A source that nothing was heard from doesn't hold the closing watermark back.",
		Edits: []Edit{{`if !s.Heard {
			return false`, `if !s.Heard {
			continue`}},
	}, {
		Name: "time/all-idle-jumps", File: file, CaughtBy: spec,
		Mistake: "When all sources are idle, time jumps to where the furthest of them is.",
		Edits: []Edit{
			{`live, allIdle, dropped := never, never, never`, `live, allIdle, dropped := never, event.NoTime, never`}, //nolint:dupword // the code's own words
			{`allIdle = min(allIdle, `, `allIdle = max(allIdle, `},
		},
	}, {
		Name: "time/all-idle-never-closes", File: file, CaughtBy: spec,
		Mistake: "When all sources are idle, time stands, and a stream that stops never closes its last windows.",
		Edits:   []Edit{{`if live == never {`, `if live == event.NoTime {`}},
	}, {
		Name: "time/idle-for-ignored", File: file, CaughtBy: spec,
		Mistake: "When all sources are idle, time doesn't go on from where they stood.",
		Edits:   []Edit{{`s.ClosedThrough+s.IdleFor`, `s.ClosedThrough`}},
	}, {
		Name: "time/idle-without-a-record", File: file, CaughtBy: spec,
		Mistake: "A source that never had a record holds closing back when all are idle.",
		Edits:   []Edit{{`} else if s.ClosedThrough != event.NoTime {`, `} else {`}},
	}, {
		Name: "time/closing-goes-back", File: file, CaughtBy: spec,
		Mistake: "The closing watermark goes back when a source wakes.",
		Edits:   []Edit{{`c.closed = max(c.closed, live)`, `c.closed = live`}},
	}, {
		Name: "time/dropped-ignores-idle", File: file, CaughtBy: spec,
		Mistake: "A closed window is dropped though an idle source could still correct it.",
		Edits: []Edit{{`dropped = min(dropped, s.DroppedThrough)`, `if !s.Idle {
			dropped = min(dropped, s.DroppedThrough)
		}`}},
	}, {
		Name: "time/dropped-goes-back", File: file, CaughtBy: []string{"TestClosingNeverGoesBack"}, In: "watermark",
		Mistake: "Dropped-through goes back.",
		Edits:   []Edit{{`c.dropped = max(c.dropped, dropped)`, `c.dropped = dropped`}},
	}, {
		Name: "time/revise-for-ignored", File: file, CaughtBy: spec,
		Mistake: "A window is dropped as soon as it has closed.",
		Edits:   []Edit{{`c.closed-c.reviseFor`, `c.closed`}},
	}, {
		Name: "time/kept-for-ever", File: file, CaughtBy: spec,
		Mistake: "A closed window is kept as long as any source is idle.",
		Edits:   []Edit{{`c.dropped = max(c.dropped, c.closed-c.reviseFor)`, ``}},
	}, {
		Name: "time/merge-drops-at-once", File: file, CaughtBy: []string{rankingsEqualOracle},
		Mistake: "Merge drops its lists as soon as all shards have closed them, and loses their corrections.",
		Edits:   []Edit{{`if c.reviseFor != KeepFinal && c.closed`, `if c.closed`}},
	}, {
		Name: "time/event-on-time-waits", File: "operators/rank.go", CaughtBy: spec,
		Mistake: "A window closes a millisecond after its time.",
		Edits:   []Edit{{`if t.closeAt <= closed && !t.closed {`, `if t.closeAt < closed && !t.closed {`}},
	}}
}

// idleMutants break when a source partition counts as idle.
func idleMutants() []Mutant {
	const file = "watermark/idle.go"
	idle := []string{"TestIdle"}
	return []Mutant{{
		Name: "idle/log-end-ignored", File: file, CaughtBy: idle, In: "watermark",
		Mistake: "A partition counts as idle while its log grows, only because nothing was delivered.",
		Edits:   []Edit{{`if logEnd != i.logEnd || now < i.now {`, `if now < i.now {`}},
	}, {
		Name: "idle/records-ignored", File: file, CaughtBy: idle, In: "watermark",
		Mistake: "Records that come don't end idleness.",
		Edits:   []Edit{{`i.since, i.now = now, now`, `i.now = now`}},
	}, {
		Name: "idle/clock-going-back", File: file, CaughtBy: idle, In: "watermark",
		Mistake: "A clock that was set back makes the wait longer than the timeout.",
		Edits:   []Edit{{`if logEnd != i.logEnd || now < i.now {`, `if logEnd != i.logEnd {`}},
	}, {
		Name: "idle/timeout-off-by-one", File: file, CaughtBy: idle, In: "watermark",
		Mistake: "A partition isn't idle yet when the timeout has passed.",
		Edits:   []Edit{{`quiet < i.timeout {`, `quiet <= i.timeout {`}},
	}}
}
