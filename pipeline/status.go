package pipeline

import (
	"time"

	"github.com/millrank/millrank/internal/progress"
)

// status is what the process says of itself.
func (w *server) status(p *Pipeline) progress.Process {
	status := progress.Process{Name: w.settings.Name, Generation: w.settings.Generation, Version: w.options.Version, Started: w.started}
	if p == nil {
		status.Error = notYet
		return status
	}
	for _, h := range p.Health().Handlers {
		status.Handlers = append(status.Handlers, progress.Handler(h))
	}
	if p.intake != nil {
		status.Intake(p.intake)
	}
	if p.rank != nil {
		status.Rank(p.rank)
	}
	if p.leaderboard != nil {
		status.Leaderboard(p.leaderboard)
	}
	if p.late != nil {
		status.LateWrong = p.late.Foreign()
	}
	if p.history != nil {
		status.Historian(p.history.Stats())
	}
	if p.sink != nil {
		status.Sink(p.sink.Stats())
	}
	return status
}

const notYet = "starting: the log says what it waits for"

// begun returns the time at which the process began, to the second.
func begun() time.Time { return time.Now().UTC().Truncate(time.Second) }
