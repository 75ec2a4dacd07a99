package sim

import "strconv"

// fresh returns an event that never came before.
func (p *producer) fresh(at int64) Record {
	p.ids++
	return Record{EventID: p.id + strconv.Itoa(p.ids), Item: p.item(), Dims: p.dims(), At: at, Value: p.value()}
}

// duplicate returns an event of the past once more, often changed.
func (p *producer) duplicate() []Record {
	if len(p.history) == 0 {
		return []Record{p.fresh(p.recent())}
	}
	back := min(len(p.history), choose(p.rng, 2, 4, 10, 40, 400, 40_000))
	r := p.history[len(p.history)-1-p.rng.IntN(back)]
	if p.chance(.5) {
		r.At = p.recent()
	}
	return []Record{p.repaint(r)}
}

// repaint changes the payload, time aside, of some records.
func (p *producer) repaint(r Record) Record {
	if p.chance(.15) {
		r.Value = p.value()
	}
	if p.chance(.1) {
		r.Item = p.item()
	}
	if p.chance(.1) {
		r.Dims = p.dims()
	}
	return r
}

// late returns an event whose pane has closed; without an event before it, none has.
func (p *producer) late() []Record {
	if len(p.history) == 0 {
		return []Record{p.fresh(p.recent())}
	}
	s := p.o.Settings
	end := p.w - s.AllowedLateness.Milliseconds() // an event before this can be late; one a pane before, always
	return []Record{p.fresh(end - s.Pane.Milliseconds() - p.exponential(3*s.Pane.Milliseconds()))}
}

// latenessEdge picks a pane that is about to close and brings, in it, an event with exactly
// the allowed lateness, then one 1 ms beyond: each after an event that moves W to that point.
func (p *producer) latenessEdge() []Record {
	if len(p.history) == 0 {
		return []Record{p.fresh(p.recent())}
	}
	s := p.o.Settings
	pane, lateness, bound := s.Pane.Milliseconds(), s.AllowedLateness.Milliseconds(), s.OutOfOrderness.Milliseconds()
	end := (floorDiv(p.w-lateness+1, pane) + 1) * pane // the first for which W stands before end + lateness - 1
	closing := end + lateness + bound                  // an event at this time closes the pane
	p.now = max(p.now, closing)
	inPane := func() int64 { return end - 1 - choose(p.rng, 0, pane-1, p.rng.Int64N(pane)) }
	return []Record{p.fresh(closing - 1), p.fresh(inPane()), p.fresh(closing), p.fresh(inPane())}
}

// paneEdge returns an event at the first millisecond of a pane, or at the last of the one before.
func (p *producer) paneEdge() []Record {
	start := paneStart(p.o.Settings, p.now)
	return []Record{p.fresh(start - choose[int64](p.rng, 0, 1))}
}

// future returns an event or a punctuation that is too far ahead: often by 1 ms, at times by decades.
func (p *producer) future() []Record {
	const year2099 = 4_070_908_800_000
	least := p.now + p.o.Settings.MaxAhead.Milliseconds() + 1
	at := choose(p.rng, least, least, least+p.exponential(1000), max(least, year2099))
	if p.chance(.2) {
		return []Record{{Kind: Punctuation, At: at}}
	}
	if p.chance(.2) {
		r := p.duplicate()[0]
		r.At = at
		return []Record{r}
	}
	return []Record{p.fresh(at)}
}

// ahead returns an event exactly as far ahead as allowed. It moves W by that much.
func (p *producer) ahead() []Record {
	return []Record{p.fresh(p.now + p.o.Settings.MaxAhead.Milliseconds())}
}

// malformed returns a record that can't be read, or anything without a timestamp.
func (p *producer) malformed() []Record {
	switch {
	case p.chance(.7):
		return []Record{{Kind: Malformed}}
	case p.chance(.2):
		return []Record{{Kind: Punctuation, At: p.now, Time: NoTimestamp}}
	default:
		r := p.duplicate()[0] // its ID is not seen this time
		r.Time = NoTimestamp
		return []Record{r}
	}
}

// punctuation returns one about where W is, or about where the clock is.
func (p *producer) punctuation() []Record {
	at := p.now - p.o.Settings.OutOfOrderness.Milliseconds() - p.exponential(p.o.Disorder.Milliseconds())
	if p.chance(.2) {
		at = p.now
	}
	return []Record{{Kind: Punctuation, At: at}}
}

// item draws an item. Popular ones have names that are hard on whatever stores them.
func (p *producer) item() string {
	rank := p.items.Uint64()
	odd := []string{
		"post:1", "{post}", "caf\u00e9", "cafe\u0301", "'; DROP TABLE cells; --", "two\nlines", `"quoted\"`, "日本語", "100", "41", " ", "50%25",
	}
	if rank%3 == 1 && rank/3 < uint64(len(odd)) {
		return odd[rank/3]
	}
	return "item-" + strconv.FormatUint(rank, 10)
}

// dims draws a region, and a category where there are any.
func (p *producer) dims() []string {
	n := p.rng.IntN(p.o.Regions)
	dims := []string{"region-" + strconv.Itoa(n)}
	if names := []string{"eu", "na", "asia:east", "{latam}", "100%"}; n < len(names) {
		dims[0] = names[n]
	}
	if p.o.Categories > 0 {
		dims = append(dims, "category-"+strconv.Itoa(p.rng.IntN(p.o.Categories)))
	}
	return dims
}

// value draws an event's value.
func (p *producer) value() int64 {
	if p.chance(p.o.LargeValues) {
		v := p.rng.Int64N(p.o.ValueMax)
		return choose(p.rng, v+1, -v-1, p.o.ValueMax, -p.o.ValueMax)
	}
	return choose(p.rng, 1, 1, 1, 1, 2, 5, 0, -1, p.rng.Int64N(2000)-500)
}
