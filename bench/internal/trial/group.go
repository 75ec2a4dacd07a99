package trial

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
)

// group is the processes of an engine.
type group struct {
	members []*process.Measured
}

// launchAll starts all commands. What they write goes to files that begin with this name.
func launchAll(l Launch, log string) (*group, error) {
	g := &group{}
	for i, command := range l.Commands {
		file, err := os.Create(fmt.Sprintf("%s.%d", log, i))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("its log: %w", err), g.stop())
		}
		command.Stdout, command.Stderr = file, file
		m, err := process.Measure(command)
		if err = errors.Join(err, file.Close()); err != nil { // the process has its own
			return nil, errors.Join(err, g.stop())
		}
		g.members = append(g.members, m)
	}
	return g, nil
}

// started returns when the first of them was.
func (g *group) started() time.Time { return g.members[0].Started() }

// until returns what all together had needed at a moment.
func (g *group) until(at time.Time) (sum process.Need) {
	sum.At = at
	for _, m := range g.members {
		n := m.Until(at)
		sum.CPU, sum.Memory, sum.Peak = sum.CPU+n.CPU, sum.Memory+n.Memory, sum.Peak+n.Peak
	}
	return sum
}

// ended reports whether one of them has ended.
func (g *group) ended() bool {
	for _, m := range g.members {
		select {
		case <-m.Done:
			return true
		default:
		}
	}
	return false
}

// err returns how those that have ended did.
func (g *group) err() error {
	var errs []error
	for _, m := range g.members {
		errs = append(errs, m.Err())
	}
	return errors.Join(errs...)
}

func (g *group) stop() error {
	var errs []error
	for _, m := range g.members {
		errs = append(errs, m.Stop(30*time.Second))
	}
	return errors.Join(errs...)
}
