package operators

import (
	"cmp"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/event"
)

// publish gives a list to its lane.
func (r *Rank) publish(l *leaders) {
	if l.again() {
		l.refs++
		r.out.Changed(Lane(l.key, len(r.out.lanes)), l)
	}
}

// Lane returns the partition of the rankings topic that a list belongs to, whichever
// shard it is of: XXH3-64 of board, grouping, group and window, modulo the number of partitions.
func Lane(k event.ListKey, lanes int) int {
	h := mix(xxh3.HashString(k.Board)) ^ xxh3.HashString(k.By)
	h = mix(h) ^ xxh3.HashString(string(k.Group))
	return int(mix(mix(h)^uint64(k.Start)) % uint64(lanes))
}

// settle ends a replay: what the lists hold now was published before the restart, as
// final where advance has closed their window. But with a budget, what was let go before is not what is
// let go now: the same cells came in another order, mixed with others. Lists of two runs don't go together then, so all are published anew.
func (r *Rank) settle() {
	r.settled = true
	for _, v := range r.views {
		for _, t := range v.windows {
			t.refresh(&r.items, func(*leaders) {})
		}
	}
	if r.room.limit > 0 {
		r.Republish()
	}
}

// Republish makes the next flush hold every list that is kept. In a replay it does nothing.
func (r *Rank) Republish() {
	if !r.settled {
		return
	}
	for _, v := range r.views {
		for _, t := range v.windows {
			for i := range t.groups {
				t.touchAll(&t.groups[i])
			}
		}
	}
}

// Flush begins a flush as of the last message: it makes the lists of what has changed
// anew, and calls send for each lane that has acknowledged its last flush, with the
// lists that changed for it, in the order of their keys, which may be none. Acked or
// Failed must follow for each lane that send was called for.
//
// Flush does nothing and reports false when no lane is free, or during a replay: what
// the lists say there was published before.
func (r *Rank) Flush(shard int, incarnation uint64, send func(lane int, head event.Part, lists []event.Ranking)) bool {
	if !r.settled {
		return false
	}
	for _, v := range r.views {
		for _, t := range v.windows {
			t.refresh(&r.items, r.publish)
		}
	}
	head := event.Part{
		Source: shard, Incarnation: incarnation, AsOf: r.in.At(),
		ClosedThrough: r.in.ClosedThrough(), DroppedThrough: r.in.DroppedThrough(),
	}
	return r.out.Begin(r.in.At(), r.Checkpoint(), func(lane int, changed []*leaders) {
		slices.SortFunc(changed, func(a, b *leaders) int { return cmp.Or(a.key.Compare(b.key), cmp.Compare(b.made, a.made)) })
		lists := make([]event.Ranking, 0, len(changed))
		for i, l := range changed {
			l.changed = false
			if i > 0 && changed[i-1].key == l.key { // what was said of a group before it was let go, and came back
				continue
			}
			lists = append(lists, l.ranking(&r.items, head.AsOf))
		}
		send(lane, head, lists)
	})
}

// Pending returns how many lists wait to be flushed or acknowledged, as of the last flush; and those that have been let go since,
// which Boards.RankItems doesn't bound: flush between messages.
func (r *Rank) Pending() int { return r.out.Pending() }

// Acked notes that a lane has acknowledged its last flush.
func (r *Rank) Acked(lane int) { r.out.Acked(lane) }

// Failed notes that a lane's last flush may not have arrived; its lists join the next one.
func (r *Rank) Failed(lane int) { r.out.Failed(lane) }

// Commit returns the checkpoint to commit: that of the newest flush which, with all before it,
// has been acknowledged by all lanes. It reports false when there is nothing newer than it returned before.
func (r *Rank) Commit() (Resume, bool) { return r.out.Commit(math.MaxInt64) }

// Checkpoint returns the checkpoint as of the last message, as it would stand if everything up to
// there had been acknowledged. It is for flushes and for looking; only Commit's may be committed.
func (r *Rank) Checkpoint() Resume {
	kept := int64(math.MaxInt64)
	for _, p := range r.panes {
		kept = min(kept, p.first)
	}
	return r.in.Resume(kept)
}

// ClosedThrough returns the closing watermark, Unix milliseconds, or event.NoTime.
func (r *Rank) ClosedThrough() int64 { return r.in.ClosedThrough() }

// DroppedThrough returns how far closed windows are dropped, Unix milliseconds, or event.NoTime.
func (r *Rank) DroppedThrough() int64 { return r.in.DroppedThrough() }

// Replaying reports whether messages are still folded in silence, as they were before a restart.
func (r *Rank) Replaying() bool { return !r.settled }

// AfterFinal returns how many cells came for a window that had been dropped. They are in
// the history, but in no list.
func (r *Rank) AfterFinal() int64 { return r.afterFinal }
