//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/internal/testserver"
	"github.com/millrank/millrank/test/world"
)

// wrongClock is a package that the program of TestPermuted has instead of time's clock: off by so many seconds.
const wrongClock = `package wrongclock

import (
	"os"
	"strconv"
	"time"
)

var text = os.Getenv("MILLRANK_TEST_CLOCK")

// Now returns the time by a wrong clock.
func Now() time.Time {
	seconds, err := strconv.Atoi(text)
	if err != nil {
		panic("MILLRANK_TEST_CLOCK: " + err.Error())
	}
	return time.Now().Add(time.Duration(seconds) * time.Second)
}
`

// wrongClockProgram is the program, built with a clock that can be wrong: wherever its own packages ask for the time. Timers, which have no date, and libraries go right.
var wrongClockProgram = testserver.NewShared(func() error { return nil }, buildWrongClock)

func buildWrongClock(ctx context.Context) (*built, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "millrank-clock-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	replace := map[string]string{}
	put := func(path, text string) error {
		replace[path] = filepath.Join(folder, fmt.Sprint(len(replace), ".go"))
		return os.WriteFile(replace[path], []byte(text), 0o600)
	}
	if err := put(filepath.Join(root, "wrongclock", "wrongclock.go"), wrongClock); err != nil {
		return nil, err
	}
	for _, dir := range []string{"handlers", "microbatch", "pipeline", "sinks"} {
		found := len(replace)
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), "time.Now") {
				return err
			}
			wrong := strings.ReplaceAll(string(text), "time.Now", "wrongclock.Now")
			wrong = strings.Replace(wrong, "import (", "import (\n\t\"github.com/millrank/millrank/wrongclock\"", 1)
			return put(path, wrong+"\nvar _ time.Duration\n")
		})
		if err != nil {
			return nil, err
		}
		if len(replace) == found {
			return nil, fmt.Errorf("nobody asks for the time in %s", dir)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return nil, err
	}
	return build(ctx, root, "-overlay", file)
}

// TestPermuted (faults 16, 17): several runs of the same records, each with limits of its own, so that batches are as large and flushes come when they like, and
// some with a clock that is an hour ahead, an hour behind, or, between one process and its successor, first this and then that: all decide each record alike, and have the same cells, dead letters and lists.
func TestPermuted(t *testing.T) {
	first, rng := liveRun(t, kafka.Broker(t).Brokers())
	runs := []*run{first}
	for range 5 {
		w := newRun(first.Again(1+rng.IntN(4)), fmt.Sprint(first.Program, "-", len(runs)), world.LiveBoards(), 1+rng.IntN(3), first.Config.Redis...)
		w.flags = first.flags
		runs = append(runs, w)
	}
	for _, w := range runs[:5] {
		w.flags = nobodyDies
	}
	draw := func() []string {
		return []string{
			"--set", fmt.Sprint("limits.batch_records=", 1+rng.IntN(2000)), "--set", fmt.Sprint("limits.batch_bytes=", 1024<<rng.IntN(10)),
			"--set", fmt.Sprint("limits.pending_cells=", 1000+rng.IntN(3000)), "--set", fmt.Sprintf("flush.updates=%dms", 1+rng.IntN(200)),
			"--set", fmt.Sprintf("flush.rankings=%dms", 1+rng.IntN(200)), "--set", fmt.Sprintf("flush.redis=%dms", 1+rng.IntN(200)),
		}
	}
	var last *world.Process
	var lastFlags []string
	for i, w := range runs {
		flags := draw()
		switch i {
		case 0:
			flags = []string{"--set", "limits.batch_records=1", "--set", "flush.updates=1ms", "--set", "flush.rankings=1ms", "--set", "flush.redis=1ms"}
		case 1:
			flags = []string{"--set", "limits.batch_records=100000", "--set", "flush.updates=2s", "--set", "flush.rankings=1s", "--set", "flush.redis=1s"}
		}
		clock, path := []string{3: "3600", 4: "-3600", 5: "3600"}[i], program.Get(t).path
		if clock != "" {
			t.Setenv("MILLRANK_TEST_CLOCK", clock)
			path = wrongClockProgram.Get(t).path
		}
		t.Logf("run %d: %d shards, %d lanes, clock %q, %q", i, w.Shards, w.Config.Lanes, clock, flags)
		last, lastFlags = w.startOf(path, flags...), flags
	}
	first.Chaos(rng, first.LiveLogs(rng.Uint64(), 4000), 6, func(step int) {
		runs[rng.IntN(len(runs))].AwaitProgress(first.Total())
		if step == 2 {
			last.Kill()
			t.Setenv("MILLRANK_TEST_CLOCK", "-3600")
			runs[5].startOf(wrongClockProgram.Get(t).path, lastFlags...)
		}
	})
	first.Close()
	for i, w := range runs {
		w.CheckLists(w.Expected())
		w.AwaitDone()
		w.Check(i == 5)
		if t.Failed() {
			t.Fatalf("run %d is wrong", i)
		}
	}
}
