//go:build e2e

package e2e_test

import (
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/test/world"
)

// says is status, of a process that is to answer.
func (w *run) says(p *world.Process) (status progress.Process) {
	w.T.Helper()
	w.Eventually("the process says how it is", func() (ok bool) {
		status, ok = w.status(p)
		return ok
	})
	return status
}

// state returns how a process says that one of its handlers is.
func (w *run) state(p *world.Process, handler string) string {
	w.T.Helper()
	for _, h := range w.says(p).Handlers {
		if h.Name == handler {
			return h.State
		}
	}
	return "not there"
}

// awaitState waits until a handler is so.
func (w *run) awaitState(p *world.Process, handler, state string) {
	w.T.Helper()
	w.EventuallyOr(handler+" is "+state, func() bool { return w.state(p, handler) == state }, func() string { return w.state(p, handler) })
}
