//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/test/world"
)

// run is a world in which the built program does the work.
type run struct {
	*world.Boards
	file     string           // of settings
	programs []*world.Process // that start has started
}

// newRun has the program work in a world, under a name that no other test has, with leaderboards in a Redis.
func newRun(w *world.World, name string, boards operators.Boards, lanes int, redis ...string) *run {
	w.T.Helper()
	r := &run{Boards: w.AsProgram(name).WithBoards(boards, lanes, redis...)}
	r.settings("")
	return r
}

// settings writes the file of settings, with more at its end.
func (w *run) settings(more string) {
	w.T.Helper()
	s := w.Settings
	var b strings.Builder
	fmt.Fprintf(&b, `name: %s
kafka:
  bootstrap_servers: [%s]
  session_timeout: 6s
source: {topic: %s, cluster: test, record_bytes_max: 1MiB}
time: {pane: %v, out_of_orderness: %v, allowed_lateness: %v, max_ahead: %v, idle_timeout: 2s}
dedup: {horizon: %v, segments: %d, records: %d}
topics:
  replication_factor: 1
  updates: {partitions: %d}
  rankings: {partitions: %d}
  dead_letters: {name: %s, max_message_bytes: 4MiB}
redis:
  addresses: [%s]
  prefix: "%s"
flush: {updates: 50ms, rankings: 50ms, redis: 50ms}
http: {address: "127.0.0.1:0"}
boards:
`, w.Program, strings.Join(w.Brokers, ", "), w.Topics.Events, s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead,
		s.DedupSegment*time.Duration(s.DedupSegments), s.DedupSegments, s.DedupRecords*8,
		w.Shards, w.Config.Lanes, w.Topics.Letters, strings.Join(w.Config.Redis, ", "), w.Config.Prefix)
	for _, board := range w.Config.Boards.Boards {
		order := "top"
		if board.Order == event.Bottom {
			order = "bottom"
		}
		fmt.Fprintf(&b, "  - {name: %s, measure: %v, window: %v, slide: %v, k: %d, order: %s, min_count: %d, by: [global, region]}\n",
			board.Name, board.Measure, board.Window.Size, board.Window.Slide, board.K, order, board.MinCount)
	}
	b.WriteString(more)
	w.file = filepath.Join(w.T.TempDir(), "millrank.yaml")
	if err := os.WriteFile(w.file, []byte(b.String()), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// start starts 'millrank run', and kills it with the test at the latest.
func (w *run) start(args ...string) *world.Process { return w.startOf(program.Get(w.T).path, args...) }

// startOf starts 'run' of a program.
func (w *run) startOf(path string, args ...string) *world.Process {
	w.T.Helper()
	id := world.NewID("program")
	cmd := exec.Command(path, append([]string{"run", "--config", w.file, "--set", "kafka.client_id=" + id}, args...)...)
	p := w.Launch(id, filepath.Join(w.T.TempDir(), "run.log"), cmd)
	w.programs = append(w.programs, p)
	return p
}
