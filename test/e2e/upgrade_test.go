//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/testserver"
	sink "github.com/millrank/millrank/sinks/redis"
	"github.com/millrank/millrank/test/world"
)

// oldCommit is the version that the upgrade begins with.
const oldCommit = "b0deb748a1feb3c94f17497d0185e9ef71c0e4b6"

// oldProgram is the program as it was then. A clone without that much history has the present one instead, by another version's name.
var oldProgram = testserver.NewShared(func() error { return nil }, func(ctx context.Context) (*built, error) {
	if err := exec.CommandContext(ctx, "git", "cat-file", "-e", oldCommit+"^{commit}").Run(); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: an upgrade from %.7s, which this clone has not: the old version is the present one under another name\n\n", oldCommit)
		return build(ctx, "../..", "-ldflags", "-X main.linkedVersion=v0.0.0-old")
	}
	sources, err := os.MkdirTemp("", "millrank-old-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(sources)
	unpack := exec.CommandContext(ctx, "sh", "-c", `git -C ../.. archive "$1" | tar -x -C "$2"`, "sh", oldCommit, sources)
	if out, err := unpack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w\n%s", oldCommit, err, out)
	}
	return build(ctx, sources)
})

// freshness notes for how long the newest lists of all boards have stayed as they were.
type freshness struct {
	w       *run
	last    string
	since   time.Time
	longest time.Duration
}

func (f *freshness) look() {
	f.w.T.Helper()
	var metas []*goredis.SliceCmd
	if _, err := f.w.Redis.Pipelined(f.w.T.Context(), func(p goredis.Pipeliner) error {
		for _, board := range f.w.Config.Boards.Boards {
			metas = append(metas, p.HMGet(f.w.T.Context(), sink.Meta(f.w.Config.Prefix+"global:top_k:"+board.Name), "start", "revision"))
		}
		return nil
	}); err != nil {
		f.w.T.Logf("a look at the newest lists: %v", err) // what it would have seen, the next one does
		return
	}
	var now strings.Builder
	for _, m := range metas {
		fmt.Fprint(&now, m.Val(), " ")
	}
	if f.since.IsZero() || now.String() != f.last {
		f.last, f.since = now.String(), time.Now()
	}
	f.longest = max(f.longest, time.Since(f.since))
}

// TestRollingUpgrade (fault 25): under load, three processes of an older version are replaced one by one by the present one, in the same groups, on the same topics
// and keys. Nothing is lost or counted twice, and lists stay fresh.
func TestRollingUpgrade(t *testing.T) {
	oldPath, newPath := oldProgram.Get(t).path, program.Get(t).path
	w, rng := liveRunOn(t, kafka.Broker(t).Brokers(), redisserver.StartTest(t, redisserver.Options{}).Addr())
	w.Watch()
	olds := []*world.Process{w.startOf(oldPath), w.startOf(oldPath), w.startOf(oldPath)}
	w.awaitMembers(3)

	const bits, calm = 3000, 100
	logs := w.LiveLogs(rng.Uint64(), 45_000)
	fresh := &freshness{w: w}
	var before time.Duration // how fresh lists are when nothing happens
	next, wait := 0, calm    // which of the old ones goes next, and in how many ticks
	stopping, joining := false, false
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	bit := 0
	for ; bit < bits-1 && next < len(olds); bit++ {
		<-tick.C
		w.ProducePart(logs, bit, bits)
		fresh.look()
		switch {
		case wait > 0:
			if wait--; wait == 0 && next == 0 {
				before, fresh.longest = fresh.longest, 0
			}
		case joining:
			if ready, _ := w.members(len(olds)); ready {
				joining, wait = false, calm
				next++
			}
		case stopping:
			select {
			case <-olds[next].Exited:
				if code := olds[next].Cmd.ProcessState.ExitCode(); code != 0 {
					t.Errorf("the old version's exit code is %d after SIGTERM, want 0", code)
				}
				w.startOf(newPath)
				stopping, joining = false, true
			default:
			}
		default:
			olds[next].Signal(syscall.SIGTERM)
			stopping = true
		}
	}
	t.Logf("freshness gap: lists were unchanged for %v at most while processes were replaced, and for %v before", fresh.longest.Round(time.Millisecond), before.Round(time.Millisecond))
	if next < len(olds) {
		t.Fatalf("%d of the old processes were replaced while records came", next)
	}
	for ; bit < bits; bit++ {
		w.ProducePart(logs, bit, bits)
	}
	w.finish(true) // whoever loses a partition between a dead letter and its commit lets it come again
	old, err := os.ReadFile(oldPath)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(newPath); err != nil || bytes.Equal(old, now) {
		t.Errorf("the two versions are the same program (%v)", err)
	}
}
