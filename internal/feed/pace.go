package feed

import (
	"context"
	"time"
)

// pace says when the next event is due.
type pace struct {
	rate  float64 // events per second, or 0
	speed float64 // event time per time, or 0

	began bool
	start time.Time
	first int64 // the first arrival
	sent  int64
}

// shortest is the shortest wait: at high rates several events go together.
const shortest = time.Millisecond

// await waits until an event that arrives at an event time is due, or ctx is done.
func (p *pace) await(ctx context.Context, arrival int64) {
	if p.rate == 0 && p.speed == 0 {
		return
	}
	if !p.began {
		p.began, p.start, p.first = true, time.Now(), arrival
	}
	after := float64(p.sent) / p.rate
	if p.rate == 0 {
		after = float64(arrival-p.first) / 1000 / p.speed
	}
	p.sent++
	if ctx.Err() != nil {
		return
	}
	wait := time.Until(p.start.Add(time.Duration(after * float64(time.Second))))
	if wait < shortest {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
