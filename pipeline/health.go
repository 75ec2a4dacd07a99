package pipeline

import (
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/pipeline/settings"
)

// Health is how a process's handlers are.
type Health struct {
	Ready    bool            `json:"ready"`           // all handlers run, and none replays
	Handlers []HandlerHealth `json:"handlers"`        // in the order of the data's way
	Error    string          `json:"error,omitempty"` // why there are no handlers yet
}

// HandlerHealth is how a handler is.
type HandlerHealth struct {
	Name  string `json:"name"`
	State string `json:"state"`           // starting, replaying, running, waiting (for its store), paused (too many bad records), stopped
	Error string `json:"error,omitempty"` // why it doesn't run
}

// Health returns how the handlers are.
func (p *Pipeline) Health() Health {
	h := Health{Ready: true}
	for _, part := range p.parts {
		state, err := part.is()
		one := HandlerHealth{Name: part.name, State: string(state)}
		if err != nil {
			one.Error = err.Error()
		}
		if state == running {
			one.State, one.Error = p.doing(part.name)
		}
		h.Ready = h.Ready && state == running && one.State != replaying
		h.Handlers = append(h.Handlers, one)
	}
	return h
}

// Further states, of a part that runs.
const (
	replaying = "replaying"
	waiting   = "waiting"
	paused    = "paused"
)

// doing returns what a handler that runs does.
func (p *Pipeline) doing(name string) (state, reason string) {
	var hops []handlers.HopStatus
	switch name {
	case settings.Intake:
		for _, s := range p.intake.Status() {
			if s.Replaying {
				return replaying, ""
			}
			if !s.PausedUntil.IsZero() {
				state, reason = paused, "too many records are malformed or from the future: see the dead letters, and limits.dead_letter_share"
			}
		}
		if state != "" {
			return state, reason
		}
	case settings.Rank:
		for _, s := range p.rank.Status() {
			hops = append(hops, s.HopStatus)
		}
	case settings.Leaderboard, settings.HistoryRankings:
		board, store := p.leaderboard, "Redis"
		if name == settings.HistoryRankings {
			board, store = p.historyRankings, "ClickHouse"
		}
		parts, breaker := board.Status()
		for _, s := range parts {
			hops = append(hops, s.HopStatus)
		}
		if breaker == "open" {
			return waiting, store + " can't be written to; the log says why. Lists are kept, and written when it is back"
		}
	case settings.HistoryCells, settings.HistoryDeadLetters:
		var breaker string
		if name == settings.HistoryCells {
			_, breaker = p.historyCells.Status()
		} else {
			_, breaker = p.historyLetters.Status()
		}
		if breaker == "open" {
			return waiting, "ClickHouse can't be written to; the log says why. Nothing is committed, and all is written when it is back"
		}
	}
	for _, h := range hops {
		if h.Replaying {
			return replaying, ""
		}
	}
	return string(running), ""
}
