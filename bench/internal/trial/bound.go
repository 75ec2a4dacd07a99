package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/millrank/millrank/bench/internal/bound"
	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/microbatch"
)

// Bound is the job in plain Go: what no engine with guarantees is asked to reach.
type Bound struct {
	Workers int
	// Profiles are of the whole run.
	Profiles Profiles
}

// boundPart is the part of the process that does it.
const boundPart = "bound"

// Parts are what this program does in other processes: see process.Play.
func Parts() map[string]process.Part {
	return map[string]process.Part{boundPart: playBound}
}

// boundOrder is what that process is told.
type boundOrder struct {
	Job     bound.Job `json:"job"`
	Profile string    `json:"profile"`
}

// Name is Engine's.
func (b Bound) Name() string { return "bound" }

// What is Engine's.
func (b Bound) What() string { return "plain Go: franz-go and hash maps, in memory, no recovery" }

// Launch is Engine's.
func (b Bound) Launch(ctx context.Context, r Round) (Launch, error) {
	out := r.Name + ".out"
	if err := createOutput(ctx, r.Brokers, microbatch.Topic{Name: out, Partitions: 1}); err != nil {
		return Launch{}, err
	}
	var profile string
	if b.Profiles.Folder != "" {
		profile = filepath.Join(b.Profiles.Folder, r.Name+".prof")
	}
	order, err := json.Marshal(boundOrder{bound.Job{Brokers: r.Brokers, Topic: r.Topic, Out: out, Workers: b.Workers, Workload: r.Workload}, profile})
	if err != nil {
		return Launch{}, fmt.Errorf("the bound's job: %w", err)
	}
	command, err := process.Command(boundPart, string(order))
	if err != nil {
		return Launch{}, err
	}
	return Launch{Commands: []*exec.Cmd{command}, Out: out, Decode: jsonRows, Total: true}, nil
}

func playBound(ctx context.Context, argument string, _ io.Reader, out io.Writer) (err error) {
	var o boundOrder
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return err
	}
	if o.Profile != "" {
		stop, err := process.Profile(o.Profile)
		if err != nil {
			return err
		}
		defer func() { err = stop() }()
	}
	result, err := bound.Run(ctx, o.Job)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// createOutput creates a topic whose records have the broker's time, which says when a table stood.
func createOutput(ctx context.Context, brokers []string, t microbatch.Topic) error {
	t.TimestampType = microbatch.LogAppendTime
	_, err := microbatch.EnsureTopics(ctx, microbatch.Connection{BootstrapServers: brokers}, t)
	return err
}
