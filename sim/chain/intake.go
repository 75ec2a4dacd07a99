package chain

import (
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/watermark"
)

// fold is intake's machine (handlers/fold.go). A batch goes through both halves of the fold, its dead letters are published, and only then the next one
// comes; flushes go out at any time.
type fold struct {
	*instance
	log     *sourceLog
	part    *operators.Partition
	idle    watermark.Idle
	next    int                 // index of the first record of the next batch
	batch   int                 // how many records are in the batch under way; 0: none is
	letters []operators.Outcome // of the batch, to be published
	counted int64               // offset of the last record that was counted
	through int64               // as restored: up to here it replays
}

func newFold(in *instance, from *commit) *fold {
	log := in.world.source[in.partition]
	c := operators.CheckpointAt(log.start)
	if from != nil {
		c = from.fold
	}
	k := &in.world.scenario.Knobs
	if in.world.has(ReadsOnly) {
		c.LowWater = c.ProcessedThrough + 1
	}
	return &fold{
		instance: in, log: log, part: operators.NewPartition(k.Fold, k.Shards, c), idle: watermark.NewIdle(k.IdleAfter, in.world.now),
		next: log.from(c.LowWater), counted: c.LowWater - 1, through: c.ProcessedThrough,
	}
}

// take counts a batch. One that has dead letters stays under way until they are published.
func (f *fold) take(count int) bool {
	if len(f.letters) > 0 || f.pending() >= f.world.scenario.Knobs.PendingMax || !f.fetch(count) {
		return false
	}
	f.deduplicate()
	f.count()
	if k := &f.world.scenario.Knobs; f.pending() >= k.PendingMax+f.batch {
		f.world.failf("B", "intake/%d has %d cells pending after a batch of %d, at most %d", f.partition, f.pending(), f.batch, k.PendingMax)
	}
	if f.settle(); len(f.letters) == 0 {
		f.done()
	}
	return true
}

// fetch has a batch under way: the one that is, or else the next records.
func (f *fold) fetch(count int) bool {
	if f.batch == 0 {
		f.batch = min(count, f.log.appended-f.next)
		if f.batch > 0 {
			f.idle.Active(f.world.now)
		}
	}
	return f.batch > 0
}

func (f *fold) records() []operators.Record { return f.log.folded[f.next : f.next+f.batch] }

func (f *fold) deduplicate() {
	f.part.Warm(f.records())
	for i := range f.records() {
		r := f.records()[i]
		f.part.Deduplicate(&r)
	}
}

// giveUp handles a batch by half: Window has not seen it, so it comes again as it is.
func (f *fold) giveUp(count int) bool {
	if len(f.letters) > 0 || !f.fetch(count) {
		return false
	}
	f.deduplicate()
	f.world.cover.note(GivenUp)
	if f.world.has(BatchLost) {
		f.done()
	}
	return true
}

// count counts the batch, and checks each decision.
func (f *fold) count() {
	var letters []operators.Outcome
	for i := range f.records() {
		r := f.records()[i]
		want := &f.log.truth.outcomes[f.next+i]
		out := f.part.Count(&r)
		again := r.Offset <= f.counted
		f.counted = max(f.counted, r.Offset)
		f.world.trace.numbers(out.Offset, int64(out.Decision), out.Watermark)
		decision := want.Decision
		switch {
		case again && (r.Offset <= f.through || !want.Decision.DeadLetter()):
			decision = event.Repeated
		case r.Offset <= f.through:
			decision = event.Replayed
			f.world.cover.note(Replayed)
		}
		if out.Offset != r.Offset || out.Decision != decision {
			f.world.failf("D", "source/%d offset %d is %v, want %v", f.partition, r.Offset, out.Decision, decision)
		}
		if !again && (out.Watermark != want.W || decision != event.Replayed && out.Conflict != want.Conflict) {
			f.world.failf("D", "source/%d offset %d: W %d, conflict %t, want %d, %t", f.partition, r.Offset, out.Watermark, out.Conflict, want.W, want.Conflict)
		}
		if out.Decision == event.Late && (out.Pane != want.Pane || out.Lateness != want.Lateness) {
			f.world.failf("D", "source/%d offset %d is late for pane %d by %d, want %d, %d", f.partition, r.Offset, out.Pane, out.Lateness, want.Pane, want.Lateness)
		}
		if out.Decision.DeadLetter() {
			letters = append(letters, out)
		}
	}
	f.letters = letters
}

// settle compares the checkpoint with the specification's: what a restart replays, and so what is held, is bounded.
func (f *fold) settle() {
	if f.part.Replaying() {
		return
	}
	if got, want := f.part.Checkpoint(), f.log.truth.checkpoints[f.next+f.batch-1]; got != want {
		f.world.failf("B", "intake/%d has checkpoint %+v, want %+v", f.partition, got, want)
	}
}

// done ends the batch.
func (f *fold) done() { f.next, f.batch = f.next+f.batch, 0 }

// publish publishes the batch's dead letters. If that fails, or seems to, the batch comes again.
func (f *fold) publish(fate Fate) bool {
	if len(f.letters) == 0 {
		return false
	}
	if fate != Lost {
		for _, out := range f.letters {
			f.world.publishLetter(f.partition, out)
		}
	}
	if fate == OK {
		f.part.LettersAcked(f.counted)
		f.letters = nil
		f.done()
		f.tell()
		return true
	}
	f.world.cover.note(LettersFailed)
	if f.world.has(LettersUnsafe) || f.world.has(LettersSkipped) {
		if f.world.has(LettersUnsafe) {
			f.part.LettersAcked(f.counted)
		}
		f.letters = nil
		f.done()
		return true
	}
	before := len(f.letters)
	f.deduplicate()
	f.count()
	if len(f.letters) != before {
		f.world.failf("D", "intake/%d: a batch has %d dead letters, and had %d before", f.partition, len(f.letters), before)
	}
	return true
}

// quiet notes a fetch that brought nothing.
func (f *fold) quiet(sure bool) bool {
	if f.batch > 0 || f.next < f.log.appended {
		return false
	}
	if !sure {
		f.idle.Active(f.world.now)
		return true
	}
	f.idle.Quiet(f.world.now, f.log.last()+1)
	return true
}

func (f *fold) flush() bool {
	quiet, idle := f.idle.For()
	k := &f.world.scenario.Knobs
	given, all := 0, 0
	began := f.part.Flush(f.partition, f.incarnation, idle, quiet, func(shard int, head event.Part, cells []event.Cell) {
		given, all = given+1, all+len(cells)
		var parts []func()
		for i := range cells {
			f.check(&cells[i], head.AsOf)
		}
		operators.Split(head, copied(cells), k.PartMax, func(*event.Cell) int { return 1 }, func(part event.Part, cells []event.Cell) {
			parts = append(parts, func() { f.world.publishUpdates(shard, part, cells) })
		})
		f.give(shard, true, parts)
	})
	if began {
		f.world.cover.flushed(given, k.Shards, all, idle)
	}
	return began
}

// check compares a cell with the oracle's as of the flush.
func (f *fold) check(c *event.Cell, asOf int64) {
	if got, want := totalsOf(c), f.log.truth.at(cellKey(c), asOf); got != want {
		f.world.failf("O", "source/%d says as of %d that %+v is %+v, want %+v", f.partition, asOf, cellKey(c), got, want)
	}
}

func (f *fold) acked(shard int)  { f.part.Acked(shard) }
func (f *fold) failed(shard int) { f.part.Failed(shard) }

func (f *fold) commit() (commit, bool) {
	c, ok := f.part.Commit()
	if ok && f.world.has(CommitUnheard) {
		c = f.part.Checkpoint()
	}
	return commit{low: c.LowWater, fold: c}, ok
}

func (f *fold) pending() int {
	cells, _ := f.part.Pending()
	return cells
}

func (f *fold) at() int64 {
	if f.next == 0 {
		return -1
	}
	return f.log.records[f.next-1].Offset
}
