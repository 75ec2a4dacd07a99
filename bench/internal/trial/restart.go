package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrank/millrank/internal/progress"
)

// Restarted is how a restart went.
type Restarted struct {
	// Ready is from the start of the new process until it has all partitions, and has caught up in them with what the one before had done: from then on it goes
	// on where that was.
	Ready   float64 `json:"ready_seconds"`
	Verdict Verdict `json:"verdict"` // of all output, of both
}

// Restart kills Millrank (SIGKILL) in the middle of the job, when so much of the tables is there, starts it again at once, and has it finish.
func (b Bench) Restart(ctx context.Context, m Millrank, share float64) (r Restarted, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.Patience, fmt.Errorf("it did not finish within %v", b.Patience))
	defer cancel()
	round, err := b.round(m)
	if err != nil {
		return r, err
	}
	launch, err := m.Launch(ctx, round)
	if err != nil {
		return r, err
	}
	s, err := m.Settings(round)
	if err != nil {
		return r, err
	}
	shards := s.Topics.Updates.Partitions
	defer func() { err = errors.Join(err, b.remove(round.Name)) }()
	f, err := follow(ctx, b.Kafka.Addresses, launch, newTables(b.Oracle))
	if err != nil {
		return r, err
	}
	defer f.close()
	first, err := launchAll(launch, filepath.Join(round.Folder, "log-first"))
	if err != nil {
		return r, err
	}
	err = poll(ctx, 20*time.Millisecond, func() (bool, error) {
		s, err := f.look(false)
		if err == nil && first.ended() {
			err = first.err()
		}
		return float64(s.seen) >= share*float64(len(b.Oracle.Tables)), err
	})
	first.members[0].Kill()
	if err != nil {
		return r, fmt.Errorf("until it was to be killed: %w\n%s", err, logTail(round.Folder))
	}

	address, err := FreeAddress()
	if err != nil {
		return r, err
	}
	launch.Commands = []*exec.Cmd{m.command(round, "--set", "http.address="+address)}
	second, err := launchAll(launch, filepath.Join(round.Folder, "log-second"))
	if err != nil {
		return r, err
	}
	err = poll(ctx, 10*time.Millisecond, func() (bool, error) {
		if second.ended() {
			return false, fmt.Errorf("the new process has ended: %w", second.err())
		}
		return caughtUp(ctx, address, b.Workload.Partitions, shards), nil
	})
	r.Ready = time.Since(second.started()).Seconds()
	if err == nil {
		r.Verdict, err = b.await(ctx, m, launch, second, f)
	}
	if err = errors.Join(err, second.stop()); err != nil {
		return r, fmt.Errorf("after the restart: %w\n%s", err, logTail(round.Folder))
	}
	return r, nil
}

// caughtUp reports whether a process has all partitions of the events and of the updates, and replays none of them.
func caughtUp(ctx context.Context, address string, partitions, shards int) bool {
	var text bytes.Buffer
	var status progress.Process
	if get(ctx, "http://"+address+"/status", &text) != nil || json.Unmarshal(text.Bytes(), &status) != nil {
		return false // it has only just started
	}
	return len(status.Partitions) == partitions && len(status.Shards) == shards &&
		!slices.ContainsFunc(status.Partitions, func(p progress.Partition) bool { return p.Replaying }) &&
		!slices.ContainsFunc(status.Shards, func(h progress.Hop) bool { return h.Replaying })
}

// poll asks until it is so.
func poll(ctx context.Context, every time.Duration, ask func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		done, err := ask()
		if done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
