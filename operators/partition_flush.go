package operators

import (
	"math"
	"sort"

	"github.com/millrank/millrank/event"
)

// changed notes that a cell has changed, unless in silence: then it was published before the restart.
func (p *Partition) changed(pane *pane, i int, silent bool) {
	c := &pane.cells[i]
	if silent || c.changed {
		return
	}
	c.changed = true
	pane.unacked++
	p.sender.Changed(int(c.shard), cellRef{pane, uint32(i)})
}

// mark marks a cell of a failed flush as changed again; false when it is already.
func (p *Partition) mark(ref cellRef) bool {
	c := &ref.pane.cells[ref.cell]
	was := c.changed
	c.changed = true
	return !was
}

// unmark lets go of one entry of a cell, and with the last one of a closed pane, of the pane.
func (p *Partition) unmark(ref cellRef) {
	ref.pane.unacked--
	p.panes.release(ref.pane)
}

// Flush begins a flush as of the last record: it calls send for each shard that has
// acknowledged its last flush, with the cells that changed for it, which may be none.
// The head says how far time has come; idle and idleFor (milliseconds) are the
// caller's to say. Cells and their bytes are send's until it returns. Acked or Failed
// must follow for each shard that send was called for.
//
// Flush does nothing and reports false when no shard is free, or while a replay has not
// reached what was published before: the receivers know better.
func (p *Partition) Flush(source int, incarnation uint64, idle bool, idleFor int64, send func(shard int, head event.Part, cells []event.Cell)) bool {
	if p.counted < p.through {
		return false
	}
	head := event.Part{
		Source: source, Incarnation: incarnation, AsOf: p.counted,
		ClosedThrough: p.verdict.Watermark, DroppedThrough: p.verdict.Watermark,
		Idle: idle, IdleFor: idleFor,
	}
	began := p.sender.Begin(p.counted, p.Checkpoint(), func(shard int, changed []cellRef) {
		p.cells = p.cells[:0]
		for _, ref := range changed {
			ref.pane.cells[ref.cell].changed = false
			p.cells = append(p.cells, ref.pane.view(int(ref.cell)))
		}
		send(shard, head, p.cells)
	})
	if began {
		p.closings = 0
	}
	return began
}

// Acked notes that a shard has acknowledged its last flush.
func (p *Partition) Acked(shard int) { p.sender.Acked(shard) }

// Failed notes that a shard's last flush may not have arrived; its cells join the next one.
func (p *Partition) Failed(shard int) { p.sender.Failed(shard) }

// LettersAcked notes that all dead letters up to an offset have been acknowledged.
func (p *Partition) LettersAcked(through int64) {
	n := sort.Search(len(p.letters), func(i int) bool { return p.letters[i].Offset > through })
	p.letters = p.letters[:copy(p.letters, p.letters[n:])]
}

// Commit returns the checkpoint to commit: that of the newest flush which, with all
// before it and all dead letters up to it, has been acknowledged by all shards. It
// reports false when there is nothing newer than it returned before.
func (p *Partition) Commit() (Checkpoint, bool) {
	limit := int64(math.MaxInt64)
	if len(p.letters) > 0 {
		limit = p.letters[0].Offset - 1
	}
	return p.sender.Commit(limit)
}

// Checkpoint returns the checkpoint as of the last record, as it would stand if everything up to
// there had been acknowledged. It is for flushes and for looking; only Commit's may be committed.
func (p *Partition) Checkpoint() Checkpoint {
	f := p.counted
	low, from := Mark{Offset: f + 1, Watermark: p.verdict.Watermark}, f+1
	if p.verdict.Replay.Offset < low.Offset {
		low = p.verdict.Replay
	}
	for _, pane := range p.panes.open {
		if pane.replay.Offset < low.Offset {
			low = pane.replay
		}
		from = min(from, pane.opened)
	}
	return Checkpoint{LowWater: low.Offset, Watermark: low.Watermark, CountFrom: from, ProcessedThrough: f}
}

// Pending returns how many cells wait to be flushed or acknowledged, and whether a pane
// has closed since the last flush: a reason to flush now.
func (p *Partition) Pending() (cells int, paneClosed bool) {
	return p.sender.Pending(), p.closings > 0
}

// Watermark returns W after the last record, or event.NoTime.
func (p *Partition) Watermark() int64 { return p.verdict.Watermark }

// Replaying reports whether records are still folded in silence, as they were before a restart.
func (p *Partition) Replaying() bool { return p.counted < p.through }
