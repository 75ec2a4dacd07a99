package handlers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// recorder is a hop that ends in the rows of a store. A row says by itself what it is and as of when, so the store may be given it again, or be given
// an older one after it. So nothing is built up anew after a restart: it begins behind the last row that the store has acknowledged.
type recorder[R any] struct {
	hop
	rows    waiting[R]
	flying  []R  // being written, or to be written again
	missed  bool // a flush was due meanwhile
	breaker breaker
	write   func(ctx context.Context, rows []R) error
}

// waiting holds rows that are to be written.
type waiting[R any] interface {
	size() int
	// soon reports whether some ought not to wait for the flush interval.
	soon() bool
	// give hands all rows over, and is empty then.
	give() []R
	// restore takes rows back that were handed over, but not written: what came since is newer.
	restore(rows []R)
	// reuse takes back the memory of rows that were written.
	reuse(rows []R)
}

// soonPart is how much sooner than the flush interval rows are written that ought not to wait for it; at once would be many small inserts.
const soonPart = 10

// begins sets the recorder up for a claim.
func (r *recorder[R]) begins(claim *microbatch.Claim, handler string, f flushing, logger watermill.LoggerAdapter, now func() time.Time) error {
	if _, err := r.hop.begins(claim, 1, logger, now); err != nil {
		return err
	}
	r.replaying = func() bool { return false }
	r.init(r, handler+": rows", "store", 1, f, now)
	return nil
}

// hasten moves the next flush forward where rows ought not to wait for it. mu is held.
func (r *recorder[R]) hasten() {
	now := r.now()
	at := r.flushAt
	switch {
	case r.rows.size() >= r.flushes.entries:
		at = now
	case r.rows.soon():
		at = now.Add(r.flushes.interval / soonPart)
	}
	if at.Before(r.flushAt) {
		r.flushAt = at
	}
}

// What a stage asks of a recorder.

func (r *recorder[R]) pending() (rows int, urgent bool) { return len(r.flying) + r.rows.size(), false }

// begin gives all rows to the store. Where there are none, there is still an offset to commit.
func (r *recorder[R]) begin(give func(lane, entries int, send func(context.Context) error)) {
	if r.missed = r.told[0].busy; r.missed {
		return
	}
	rows := r.rows.give()
	r.flying = rows
	r.gives(0)
	give(0, len(rows), func(ctx context.Context) error {
		if len(rows) == 0 {
			return nil
		}
		if err := r.breaker.do(func() error { return r.write(ctx, rows) }); err != nil {
			return fmt.Errorf("%d rows: %w", len(rows), err)
		}
		return nil
	})
}

func (r *recorder[R]) acked(int) {
	r.lands(0, true)
	r.rows.reuse(r.flying)
	r.flying = nil
	if r.hasten(); r.missed {
		r.flushAt = r.now()
	}
}

// failed has the rows written again as soon as the lane has rested.
func (r *recorder[R]) failed(int) {
	r.lands(0, false)
	r.rows.restore(r.flying)
	r.flying = nil
	r.flushAt = r.now()
}

func (r *recorder[R]) commit() {
	next := r.told[0].arrived + 1
	r.committed(operators.ResumeAt(next), next > r.durable.LowWater)
}

// RowsStatus is how far a partition is whose records become rows of the history.
type RowsStatus struct {
	HopStatus       // without PendingLists, and ClosedThrough is event.NoTime
	PendingRows int // to be written, or acknowledged
}

// rowsStatus is a recorder's status.
func (r *recorder[R]) rowsStatus() RowsStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RowsStatus{HopStatus: r.status(), PendingRows: len(r.flying) + r.rows.size()}
	s.PendingLists, s.ClosedThrough = 0, event.NoTime
	return s
}

func sortRows(list []RowsStatus) []RowsStatus {
	slices.SortFunc(list, func(a, b RowsStatus) int { return compareHops(a.HopStatus, b.HopStatus) })
	return list
}
