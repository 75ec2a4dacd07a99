// Package trial has an engine do the job of package workload once, in a process of its own, on a topic that is there already, and says how long it took, what
// it needed, and whether all that it has published is right.
package trial

import (
	"context"
	"os/exec"

	"github.com/millrank/millrank/bench/internal/workload"
)

// Round is one run of an engine.
type Round struct {
	Brokers  []string
	Topic    string
	Workload workload.Settings
	Folder   string // its own, empty
	Name     string // names of topics and groups begin with it: nobody has used it before, and the topics are deleted afterwards
}

// Launch is how an engine is started for a round.
type Launch struct {
	Commands []*exec.Cmd // all but one engine need one
	Out      string      // the topic of its output
	Decode   decode
	Total    bool // its rows say how many events were counted
	// Beside is done while it runs; nil for nothing.
	Beside func(ctx context.Context) error
}

// Engine does the job.
type Engine interface {
	Name() string
	// What says what it is, in a line of a table.
	What() string
	// Launch makes ready what the engine needs, its topics among it.
	Launch(ctx context.Context, r Round) (Launch, error)
}

// jsonRows reads what workload.AppendRow writes.
func jsonRows(value []byte) ([]row, error) {
	key, table, err := workload.ParseRow(value)
	return []row{{key: key, final: true, table: table}}, err
}
