package handlers

import (
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
)

// pause stops the reading of a partition whose records are mostly no events: a producer, or the mapping, is broken, and the dead letters
// would fill up with what is better read once that is mended. It looks at malformed records and at those from the future; late
// ones are right to come, as after an outage. As a circuit breaker does, it lets one batch through from time to time, and goes on when that is fine.
type pause struct {
	until   time.Time // zero: it reads; past: the next batch is a probe
	records int64     // since it has judged last,
	bad     int64     // and how many of those were no events
}

// pausedError is the error of a batch that is not read for now. It comes again.
type pausedError struct{ until time.Time }

func (e pausedError) Error() string {
	return fmt.Sprintf("reading pauses until %s: too many records are malformed or from the future (limits.dead_letter_share). See the dead letters; mend the producer, or the mapping in a new generation. To read on all the same, restart with limits.dead_letter_share=1",
		e.until.UTC().Format(time.RFC3339))
}

// paused returns an error while reading pauses. Batches without records, such as a claim's last one, go on.
func (f *fold) paused(payload []byte) error {
	if f.claim != nil {
		if head, err := microbatch.Open(payload); err != nil || head.Count == 0 {
			return nil // the handler says so itself
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := &f.pause; f.intake.config.Now().Before(p.until) {
		return pausedError{p.until}
	}
	return nil
}

// judge notes a batch's decisions, and pauses reading if too many are bad. mu is held.
func (f *fold) judge(decided [event.Decisions]int64) {
	c, p := &f.intake.config, &f.pause
	if c.DeadLetterShare <= 0 || c.DeadLetterShare >= 1 {
		return
	}
	for d, n := range decided {
		switch event.Decision(d) {
		case event.Repeated, event.Replayed: // judged when they came first
		case event.Malformed, event.Future:
			p.bad += n
			p.records += n
		default:
			p.records += n
		}
	}
	probing := !p.until.IsZero()
	if p.records == 0 || p.records < int64(c.DeadLetterMin) && !probing {
		return
	}
	share := float64(p.bad) / float64(p.records)
	fields := watermill.LogFields{"records": p.records, "share": share, "limit": c.DeadLetterShare}
	p.records, p.bad = 0, 0
	switch {
	case share > c.DeadLetterShare:
		p.until = c.Now().Add(c.DeadLetterPause)
		fields["until"] = p.until.UTC().Format(time.RFC3339)
		f.logger.Error("reading of this partition pauses: too many records are malformed or from the future (limits.dead_letter_share)", pausedError{p.until}, fields)
	case probing:
		p.until = time.Time{}
		f.logger.Info("reading of this partition goes on", fields)
	}
}
