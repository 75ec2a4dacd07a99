package mutants

// foldMutants break the order of Rule 1: what is refused, what moves W, what is late, and redelivery.
func foldMutants() []Mutant {
	const file, w = "operators/partition.go", "watermark/watermark.go"
	return []Mutant{{
		Name: "fold/counted-moves-w", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "Only records that are counted move W; duplicates don't.",
		Edits: []Edit{
			{`p.watermark.Observe(e.Time)`, ``},
			{`v.Decision = event.Duplicate
`, `v.Decision = event.Duplicate
		} else {
			p.watermark.Observe(e.Time)
`},
		},
	}, {
		Name: "fold/malformed-without-timestamp", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A record without a timestamp is let through, though the future guard can't hold for it.",
		Edits:   []Edit{{`r.Time == NoTimestamp,`, `r.Time < NoTimestamp,`}},
	}, {
		Name: "fold/future-off-by-one", File: w, CaughtBy: []string{foldSpecification},
		Mistake: "A record just as far ahead as is allowed is from the future.",
		Edits:   []Edit{{`t-aheadMax > recordTime`, `t-aheadMax >= recordTime`}},
	}, {
		Name: "fold/future-moves-w", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A record from the future moves W before it is refused.",
		Edits: []Edit{{`case watermark.Future(r.Event.Time, r.Time, p.maxAhead):`, `case watermark.Future(r.Event.Time, r.Time, p.maxAhead):
		p.watermark.Observe(r.Event.Time)`}},
	}, {
		Name: "fold/punctuation-unguarded", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "The future guard holds for events only: a punctuation dated 2099 closes every pane.",
		Edits:   []Edit{{`if watermark.Future(r.Advance, r.Time, p.maxAhead) {`, `if r.Advance > timeMax {`}},
	}, {
		Name: "fold/punctuation-minus-disorder", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "The bound on disorder is taken off a punctuation too, so that the last window of a file never closes.",
		Edits:   []Edit{{`p.watermark.Advance(r.Advance)`, `p.watermark.Observe(r.Advance)`}},
	}, {
		Name: "fold/punctuation-closes-nothing", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A punctuation moves W, but panes close only with the next event.",
		Edits: []Edit{{`case event.Punctuation:
		p.closings += p.panes.close(v.Watermark)`, `case event.Punctuation:`}},
	}, {
		Name: "fold/duplicate-closes-nothing", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A duplicate moves W, but panes close only with the next event that counts.",
		Edits: []Edit{{`case event.Duplicate:
		p.closings += p.panes.close(v.Watermark)`, `case event.Duplicate:`}},
	}, {
		Name: "fold/w-goes-back", File: w, CaughtBy: []string{foldSpecification},
		Mistake: "W follows each event's time, also backwards.",
		Edits:   []Edit{{`if t <= p.w {`, `if t == p.w {`}},
	}, {
		Name: "fold/lateness-at-the-limit", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "An event is late a millisecond too early, where its pane was not opened yet.",
		Edits:   []Edit{{`late > p.panes.lateness {`, `late >= p.panes.lateness {`}},
	}, {
		Name: "fold/lateness-from-the-end", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "Lateness is measured from the pane's end, not its last millisecond, so that a closed pane opens again.",
		Edits:   []Edit{{`(out.Pane + p.panes.width - 1)`, `(out.Pane + p.panes.width)`}},
	}, {
		Name: "fold/lateness-of-the-event", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "An event is late by its own time, though its pane is still open to others.",
		Edits:   []Edit{{`v.Watermark - (out.Pane + p.panes.width - 1)`, `v.Watermark - r.Event.Time`}},
	}, {
		Name: "fold/duplicate-makes-a-cell", File: file, CaughtBy: []string{foldSpecification},
		Mistake: "A duplicate makes a cell in which nothing was counted.",
		Edits: []Edit{{`if i := pane.find(v.hash, r.Event.Group, r.Event.Item); i >= 0 {`, `i := pane.find(v.hash, r.Event.Group, r.Event.Item)
	if i < 0 {
		i = pane.add(v.hash, r.Event.Group, r.Event.Item, uint16(Shard(r.Event.Item, len(p.sender.lanes))))
	}
	{`}},
	}, {
		Name: "fold/shard-of-group-and-item", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "The shard is the hash of group and item, so that an item's groups are in several shards.",
		Edits:   []Edit{{`uint16(Shard(e.Item, len(p.sender.lanes)))`, `uint16(Shard(append(append([]byte{}, e.Group...), e.Item...), len(p.sender.lanes)))`}},
	}, {
		Name: "fold/warm-hash-of-another", File: "operators/partition_warm.go", CaughtBy: []string{foldRestarts},
		Mistake: "A record is counted in the cell of another one that was to come before it.",
		Edits:   []Edit{{`known.offset == r.Offset {`, `known.offset <= r.Offset {`}},
	}, {
		Name: "fold/redelivered-twice-counted", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "The last record is counted again when it comes again.",
		Edits: []Edit{{`func (p *Partition) Step(r *Record) Outcome {
	if r.Offset <= p.counted {`, `func (p *Partition) Step(r *Record) Outcome {
	if r.Offset < p.counted {`}, {`if len(p.ahead.waiting()) > 0 || r.Offset <= p.at {`, `if len(p.ahead.waiting()) > 0 || r.Offset < p.at {`}},
	}, {
		Name: "fold/redelivered-is-its-own-duplicate", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A record that comes again, after its second half has failed, is looked up again and finds itself.",
		Edits:   []Edit{{`if r.Offset > p.at {`, `if r.Offset >= p.at {`}},
	}, {
		Name: "fold/verdicts-forgotten", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A record that comes again, after its second half has failed, is taken for one that was counted.",
		Edits:   []Edit{{`p.ahead.add(v)`, ``}},
	}, {
		Name: "fold/letter-not-repeated", File: file, CaughtBy: []string{foldRestarts},
		Mistake: "A late record that comes again before its dead letter was acknowledged has no dead letter any more.",
		Edits: []Edit{{`return p.letters[i]
	}
	return Outcome{Offset: offset, Decision: event.Repeated}`, `_ = p.letters[i]
	}
	return Outcome{Offset: offset, Decision: event.Repeated}`}},
	}}
}
