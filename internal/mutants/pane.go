package mutants

// paneMutants break panes and their cells.
func paneMutants() []Mutant {
	const file = "operators/pane.go"
	return []Mutant{{
		Name: "pane/closes-a-millisecond-late", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A pane closes only when W has passed its end and lateness, not when it is there.",
		Edits:   []Edit{{`closeAt <= w {`, `closeAt < w {`}},
	}, {
		Name: "pane/closes-without-lateness", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A pane closes at its end, and those that come within the allowed lateness open it again.",
		Edits:   []Edit{{`p.end+ps.lateness, offset`, `p.end, offset`}},
	}, {
		Name: "pane/closed-one-stays-current", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "The pane that took the last event still takes some after it has closed.",
		Edits:   []Edit{{`ps.open, ps.current = ps.open[:kept], nil`, `ps.open = ps.open[:kept]`}},
	}, {
		Name: "pane/end-is-inside", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A pane takes the event that stands at its end.",
		Edits:   []Edit{{`t >= c.start && t < c.end {`, `t >= c.start && t <= c.end {`}},
	}, {
		Name: "pane/spare-stays-closed", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A pane whose memory is used again counts as closed, and is let go of while it is open.",
		Edits:   []Edit{{`p.closeAt, p.opened, p.replay, p.closed = p.end+ps.lateness, offset, replay, false`, `p.closeAt, p.opened, p.replay = p.end+ps.lateness, offset, replay`}},
	}, {
		Name: "pane/spare-keeps-its-index", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A pane whose memory is used again finds cells of the one before.",
		Edits:   []Edit{{`p.index.reset()`, ``}},
	}, {
		Name: "pane/reused-before-acknowledged", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A closed pane's memory is used again while its cells wait to be acknowledged.",
		Edits:   []Edit{{`if !p.closed || p.unacked > 0 {`, `if !p.closed {`}},
	}, {
		Name: "pane/minimum-from-zero", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A cell's minimum begins at 0 instead of at its first value.",
		Edits:   []Edit{{`c.min, c.max = value, value`, `c.max = value`}},
	}}
}
