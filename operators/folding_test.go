package operators_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// folding is a source partition's life through crashes and restarts: its log, what
// the oracle says of it, what it has committed and published.
type folding struct {
	t        *testing.T
	rng      *rand.Rand
	settings operators.Settings
	source   int
	log      []sim.Record
	records  []operators.Record
	want     []sim.Outcome
	commit   operators.Checkpoint
	updates  *hop[event.Cell]
	letters  map[int64]operators.Outcome // the dead-letter topic, by offset
	unsent   []operators.Outcome         // dead letters not published yet: lost in a crash
	zombies  []*sending[event.Cell]
	runs     uint64
}

func newFolding(t *testing.T, rng *rand.Rand, s operators.Settings, source, shards int, log []sim.Record) *folding {
	t.Helper()
	f := &folding{t: t, rng: rng, settings: s, source: source, log: log, want: sim.Decide(s, log), records: recordsOf(log)}
	f.reset(shards)
	return f
}

// reset forgets all that was published and committed.
func (f *folding) reset(shards int) {
	f.commit = operators.CheckpointAt(f.log[0].Offset)
	f.updates = &hop[event.Cell]{lanes: make([][]message[event.Cell], shards)}
	f.letters, f.zombies = map[int64]operators.Outcome{}, nil
}

func recordsOf(log []sim.Record) []operators.Record {
	records := make([]operators.Record, len(log))
	for i, r := range log {
		records[i] = operators.Record{Offset: r.Offset, Time: r.Time, Kind: operators.Kind(r.Kind), Advance: r.At}
		if r.Kind == sim.Event {
			records[i].Event = r.Event()
		}
	}
	return records
}

// index returns the place in the log of the first record at or after an offset.
func (f *folding) index(offset int64) int {
	i, _ := slices.BinarySearchFunc(f.log, offset, func(r sim.Record, o int64) int { return int(r.Offset - o) })
	return i
}

// run folds from the last commit up to the record at index until, in batches of any size,
// with redeliveries, flushes and commits at any moment; then it is killed.
// With until at the log's end it is not killed, but finishes its work.
func (f *folding) run(until int) {
	f.runs++
	f.unsent = nil
	p := operators.NewPartition(f.settings, len(f.updates.lanes), f.commit)
	s := newSending(f.rng, f.updates, p.Acked, p.Failed)
	flush := func(idle bool, idleFor int64) {
		p.Flush(f.source, f.runs, idle, idleFor, func(lane int, head event.Part, cells []event.Cell) {
			s.send(lane, head, ownCells(cells))
		})
	}
	through, committing := f.commit.ProcessedThrough, f.commit
	for i := f.index(f.commit.LowWater); i < until; {
		n := min(until, i+1+f.rng.IntN(8))
		f.batch(p, i, n, through)
		i = n
		for _, z := range f.zombies {
			z.haunt()
		}
		if f.rng.IntN(2) == 0 {
			flush(false, 0)
		}
		s.deliver(false)
		if ck, ok := p.Commit(); ok {
			committing = ck
		}
		if f.rng.IntN(4) > 0 { // else it is on its way when the fold is killed
			f.commit = committing
		}
	}
	if until < len(f.log) {
		f.zombies = append(f.zombies, s)
		return
	}
	for range 8 {
		for _, z := range f.zombies {
			z.haunt()
		}
	}
	f.publishLetters(p, f.log[until-1].Offset)
	s.deliver(true)
	flush(false, 0)
	s.deliver(true)
	flush(true, idleLong)
	s.deliver(true)
	if ck, ok := p.Commit(); ok {
		committing = ck
	}
	f.commit = committing
	if cells, _ := p.Pending(); cells != 0 {
		f.t.Errorf("source %d: %d cells are pending at the end", f.source, cells)
	}
	if f.commit.ProcessedThrough != f.log[until-1].Offset {
		f.t.Errorf("source %d: processed through %d at the end, want %d", f.source, f.commit.ProcessedThrough, f.log[until-1].Offset)
	}
}

// idleLong is how long sources have been idle at the end, so that all windows close. Milliseconds.
const idleLong = 1 << 40

// ownCells copies what the fold only lends, as a message would: all bytes end to end.
func ownCells(cells []event.Cell) []event.Cell {
	var text []byte
	for _, c := range cells {
		text = append(append(text, c.Group...), c.Item...)
	}
	own := slices.Clone(cells)
	for i := range own {
		c := &own[i]
		g, n := len(c.Group), len(c.Group)+len(c.Item)
		c.Group, c.Item, text = text[:g:g], text[g:n:n], text[n:]
	}
	return own
}

// batch folds records [i, n) in one of the ways in which a handler might, and holds
// each outcome against the oracle's.
func (f *folding) batch(p *operators.Partition, i, n int, through int64) {
	if f.rng.IntN(2) == 0 {
		p.Warm(f.records[i:n])
	}
	switch f.rng.IntN(4) {
	case 0:
		for k := i; k < n; k++ {
			f.outcome(p.Step(&f.records[k]), k, through)
		}
	case 1: // the first half runs ahead, and fails once before the second is reached
		for k := i; k < n; k++ {
			p.Deduplicate(&f.records[k])
		}
		fallthrough
	case 2: // the first half runs ahead
		for k := i; k < n; k++ {
			p.Deduplicate(&f.records[k])
		}
		for k := i; k < n; k++ {
			f.outcome(p.Count(&f.records[k]), k, through)
		}
	case 3: // the batch is cut short, and comes again as a whole
		for k := i; k < i+(n-i)/2; k++ {
			f.outcome(p.Step(&f.records[k]), k, through)
		}
		for k := i; k < n; k++ {
			if out := p.Step(&f.records[k]); out.Decision != event.Repeated {
				f.outcome(out, k, through)
			} else if k >= i+(n-i)/2 || f.want[k].Decision.DeadLetter() && f.log[k].Offset > through {
				f.t.Errorf("source %d, offset %d: %v, want %v", f.source, f.log[k].Offset, out.Decision, f.want[k].Decision)
			}
		}
	}
	if f.rng.IntN(4) > 0 {
		f.publishLetters(p, f.log[n-1].Offset)
	}
}

// publishLetters writes to the dead-letter topic; a repeat must be the same letter.
func (f *folding) publishLetters(p *operators.Partition, through int64) {
	for _, letter := range f.unsent {
		if before, ok := f.letters[letter.Offset]; ok && before != letter {
			f.t.Errorf("source %d, offset %d: dead letter %+v, before it was %+v", f.source, letter.Offset, letter, before)
		}
		f.letters[letter.Offset] = letter
	}
	f.unsent = f.unsent[:0]
	p.LettersAcked(through)
}

func (f *folding) outcome(got operators.Outcome, k int, through int64) {
	want := f.want[k]
	decision := want.Decision
	if want.Offset <= through {
		decision = event.Replayed
	}
	if got.Decision != decision || got.Offset != want.Offset || got.Watermark != want.W && want.Offset > through {
		f.t.Errorf("source %d, offset %d: %+v, want %+v", f.source, want.Offset, got, want)
	}
	if !got.Decision.DeadLetter() {
		return
	}
	if got.Decision == event.Late && (got.Pane != want.Pane || got.Lateness != want.Lateness) {
		f.t.Errorf("source %d, offset %d: %+v, want %+v", f.source, want.Offset, got, want)
	}
	f.unsent = append(f.unsent, got)
}

// check holds what was published against the oracle: each flush that arrived in whole
// stands for the log up to its as-of, and nothing is missing at the end.
func (f *folding) check(prefixes []sim.Cells) {
	for shard, lane := range f.updates.lanes {
		know, asOf := sim.Cells{}, int64(-1<<62)
		flying := map[uint64][]message[event.Cell]{}
		for _, m := range lane {
			if m.part.Number == 0 {
				flying[m.part.Incarnation] = nil
			}
			flying[m.part.Incarnation] = append(flying[m.part.Incarnation], m)
			parts := flying[m.part.Incarnation]
			if !m.part.Last || parts[0].part.AsOf != m.part.AsOf || len(parts) != m.part.Number+1 || m.part.AsOf <= asOf {
				continue
			}
			asOf = m.part.AsOf
			for _, part := range parts {
				for _, c := range part.content {
					know[sim.CellKey{Pane: c.Pane, Group: event.Group(c.Group), Item: string(c.Item)}] = sim.Totals{
						Count: c.Count, Sum: c.Sum, Min: c.Min, Max: c.Max, Duplicates: c.Duplicates,
					}
				}
			}
			f.checkFlush(shard, m.part, know, prefixes)
		}
		if last := f.log[len(f.log)-1].Offset; asOf != last {
			f.t.Errorf("source %d, shard %d: the last flush is as of %d, want %d", f.source, shard, asOf, last)
		}
	}
	for k, w := range f.want {
		if _, ok := f.letters[w.Offset]; ok != w.Decision.DeadLetter() {
			f.t.Errorf("source %d, offset %d: dead letter %v, but it is %v", f.source, f.log[k].Offset, ok, w.Decision)
		}
	}
}

func (f *folding) checkFlush(shard int, part event.Part, know sim.Cells, prefixes []sim.Cells) {
	k := f.index(part.AsOf + 1)
	want := sim.Cells{}
	for key, totals := range prefixes[k] {
		if operators.Shard([]byte(key.Item), len(f.updates.lanes)) == shard {
			want[key] = totals
		}
	}
	if !reflect.DeepEqual(know, want) {
		f.t.Errorf("source %d, shard %d, flush as of %d by run %d:\n got %v\nwant %v", f.source, shard, part.AsOf, part.Incarnation, know, want)
	}
	w := event.NoTime
	if k > 0 {
		w = f.want[k-1].W
	}
	if part.ClosedThrough != w {
		f.t.Errorf("source %d, shard %d: W %d with the flush as of %d, want %d", f.source, shard, part.ClosedThrough, part.AsOf, w)
	}
}

// prefixesOf returns the cells as of each prefix of the log, the empty one first.
func prefixesOf(s operators.Settings, log []sim.Record, outcomes []sim.Outcome) []sim.Cells {
	prefixes := make([]sim.Cells, len(log)+1)
	for i := range prefixes {
		prefixes[i] = sim.CellsOf(s, log[:i], outcomes[:i])
	}
	return prefixes
}
