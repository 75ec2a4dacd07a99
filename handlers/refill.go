package handlers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// A store that was emptied, or replaced by an older copy, is filled in from two sides: the windows that are kept are written once more
// as they are now, and the rankings topic is read from its start for the final lists of those that have been dropped.
//
// In the second, a list is right only if every shard's last word on it is in the log still, the start of which retention has cut off. A shard publishes
// all its lists of a window when that closes, so lists are whole whose window closed, in every shard, after that shard's first flush in the log. Others
// are left out. Interim lists are never taken from there: a shard doesn't repeat one that hasn't changed.

// refill has the store filled in, in the background, unless that is being done. What the store loses meanwhile the writer finds when it is told that
// all is filled in.
func (p *part) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refilling {
		return
	}
	p.refilling = true
	p.logger.Error("the leaderboards' store lacks what was written before; filling it in again", errors.New("it was emptied, or replaced by an older copy"), nil)
	kept := p.republish()
	go func() {
		if p.fillIn() && p.awaitFlush(p.claim.Context(), kept) {
			p.writer.Filled()
		}
		sleep(p.claim.Context(), p.board.config.RefillMin)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refilling = false
	}()
}

// republish has all kept lists written once more. It returns which flush they are in, or the one before. mu is held.
func (p *part) republish() int64 {
	p.merge.Republish()
	return p.lanes.flushes
}

// awaitFlush waits until a flush after this one has been written; false where the claim, or ctx, ends first.
func (p *part) awaitFlush(ctx context.Context, after int64) bool {
	for {
		p.mu.Lock()
		arrived, landed := p.lanes.arrived, p.lanes.landed
		p.mu.Unlock()
		if arrived > after {
			return true
		}
		select {
		case <-landed:
		case <-p.claim.Context().Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// fillIn fills the store in from the topic, again until that has succeeded; false where the claim ends first.
func (p *part) fillIn() bool {
	ctx, began, wait := p.claim.Context(), p.now(), newBackOff(time.Second)
	for {
		lists, err := p.board.refillPartition(ctx, p.claim.Partition)
		if err == nil {
			p.logger.Info("filled in", watermill.LogFields{"final_lists": lists, "took": p.now().Sub(began).String()})
			return true
		}
		after := wait.NextBackOff()
		p.logger.Error("filling in the leaderboards' store; will try again", err, watermill.LogFields{"after": after.String()})
		if !sleep(ctx, after) {
			return false
		}
	}
}

// sleep waits; it reports false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// RebuildRedis fills the store in, whatever is there: it reads all partitions of the rankings topic, and has the windows that this
// process keeps written once more. It returns how many final lists were written from the topic. It does no harm to run it at any time, and in several processes.
func (l *Leaderboard) RebuildRedis(ctx context.Context) (lists int, err error) {
	if l.config.Fill == nil {
		return 0, fmt.Errorf("%s: it has neither Fill nor Read, so there is nothing to fill its store in from", l.config.Name)
	}
	kept := map[*part]int64{}
	for _, p := range l.parts.all() {
		p.mu.Lock()
		kept[p] = p.republish()
		p.mu.Unlock()
	}
	var mu sync.Mutex
	var errs []error
	var running sync.WaitGroup
	for partition := range int32(l.config.Lanes) {
		running.Go(func() {
			n, err := l.refillPartition(ctx, partition)
			mu.Lock()
			defer mu.Unlock()
			lists, errs = lists+n, append(errs, err)
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return lists, err
	}
	for p, flush := range kept {
		if !p.awaitFlush(ctx, flush) {
			errs = append(errs, fmt.Errorf("partition %d: it went to another member, or this was stopped, before the windows that are kept were written; run it again", p.claim.Partition))
		}
	}
	return lists, errors.Join(errs...)
}

// refillLists is how many lists are written at a time.
const refillLists = 1000

// refillPartition writes the final lists of one partition that its log still holds, and returns how many.
func (l *Leaderboard) refillPartition(ctx context.Context, partition int32) (lists int, err error) {
	select {
	case l.filling <- struct{}{}:
		defer func() { <-l.filling }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	f := &filler{board: l, partition: int(partition), begins: make([]int64, l.config.Shards)}
	for i := range f.begins {
		f.begins[i] = math.MaxInt64
	}
	if err := recovered(func() error {
		f.writer = l.config.Fill()
		if err := l.config.Read(ctx, partition, func(r microbatch.Record) error { return f.take(ctx, &r) }); err != nil {
			return err
		}
		return f.flush(ctx)
	}); err != nil {
		return f.written, fmt.Errorf("filling in partition %d of the rankings: %w", partition, err)
	}
	l.refills.Add(1)
	return f.written, nil
}

// filler merges one partition's log anew.
type filler struct {
	board     *Leaderboard
	partition int
	writer    ListWriter
	merge     *operators.Merge // nil before the first record
	written   int

	cut    bool    // records have been deleted from the log's start
	until  int64   // record time up to which begins is gathered
	begins []int64 // by shard: the greatest closed-through of its first flushes; math.MaxInt64: none yet
}

func (f *filler) take(ctx context.Context, r *microbatch.Record) error {
	c := &f.board.config
	if f.merge == nil {
		f.merge = operators.NewMerge(c.Boards, c.Shards, operators.ResumeAt(r.Offset))
		f.cut = r.Offset > 0
	}
	rankings, err := f.board.decode(r.Offset, r.Value, f.partition)
	if errors.Is(err, errForeign) {
		return nil
	}
	if f.until == 0 {
		f.until = r.Time + c.RefillGrace.Milliseconds()
	}
	if err == nil {
		f.begin(r.Time, &rankings.Part)
		err = f.merge.Take(r.Offset, &rankings)
	}
	if err != nil || f.merge.Pending() < refillLists {
		return err
	}
	return f.flush(ctx)
}

// begin notes a shard's first flushes. There can be more than one: a zombie's, whose closed-through is behind that of what was deleted, may come first.
func (f *filler) begin(time int64, part *event.Part) {
	switch shard := part.Source; {
	case f.begins[shard] == math.MaxInt64:
		f.begins[shard] = part.ClosedThrough
	case time <= f.until:
		f.begins[shard] = max(f.begins[shard], part.ClosedThrough)
	}
}

// flush writes what is final and whole.
func (f *filler) flush(ctx context.Context) (err error) {
	if f.merge == nil {
		return nil
	}
	whole := int64(math.MinInt64)
	if f.cut {
		for _, closed := range f.begins {
			whole = max(whole, closed)
		}
	}
	lateness := f.board.config.Boards.AllowedLateness.Milliseconds()
	asOf := f.merge.Checkpoint().PublishedThrough
	f.merge.Flush(func(lists []event.Ranking) {
		final := lists[:0]
		for _, list := range lists {
			if list.Final && list.End+lateness > whole {
				final = append(final, list)
			}
		}
		err = f.write(ctx, asOf, final)
	})
	f.merge.Acked()
	return err
}

// write writes lists, again and again until that has succeeded: to begin with the log anew would take longer.
func (f *filler) write(ctx context.Context, asOf int64, lists []event.Ranking) error {
	if len(lists) == 0 {
		return nil
	}
	for wait := newBackOff(f.board.config.FlushInterval); ; {
		_, err := f.board.write(ctx, f.writer, asOf, f.merge.ClosedThrough(), lists)
		if err == nil {
			f.written += len(lists)
			return nil
		}
		after := wait.NextBackOff()
		f.board.config.Logger.Error("filling in the leaderboards' store; will try again", err, watermill.LogFields{"partition": f.partition, "after": after.String()})
		if !sleep(ctx, after) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
