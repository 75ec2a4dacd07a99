//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/test/world"
)

// run is a world in which the built program does the work.
type run struct {
	*world.Boards
	file     string           // of settings
	flags    []string         // of each start
	programs []*world.Process // that start has started
}

// liveRun is a run of a stream with everything in it that can be, for boards of all sorts, on a Kafka and the shared Redis. A process that is dead is missed
// after 2 s.
func liveRun(t *testing.T, brokers []string) (*run, *rand.Rand) {
	t.Helper()
	return liveRunOn(t, brokers, sharedRedis.Get(t).Addr())
}

// nobodyDies are flags for processes that none is to be missed of, however slow the machine is.
var nobodyDies = []string{"--set", "kafka.session_timeout=45s"}

func liveRunOn(t *testing.T, brokers []string, redis string) (*run, *rand.Rand) {
	t.Helper()
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	w := newRun(world.New(t, brokers, world.LiveSettings(), 4, 3), nameOf(t), world.LiveBoards(), 3, redis)
	w.flags = []string{"--set", "kafka.session_timeout=2s"}
	return w, rng
}

// nameOf makes a name of the test's.
func nameOf(t *testing.T) string {
	return strings.NewReplacer("test", "", "/", "-", "#", "-").Replace(strings.ToLower(t.Name()))
}

// newRun has the program work in a world, under a name that no other test has, with leaderboards in a Redis.
func newRun(w *world.World, name string, boards operators.Boards, lanes int, redis ...string) *run {
	w.T.Helper()
	r := &run{Boards: w.AsProgram(name).WithBoards(boards, lanes, redis...)}
	r.settings("")
	return r
}

// idleTimeout is how long a partition may be silent. A day, a year of a data set pass in seconds: a partition that the test is late to write
// would be left behind by more than any window is kept for.
func (w *run) idleTimeout() time.Duration {
	if w.Settings.Pane >= time.Minute {
		return time.Hour
	}
	return 2 * time.Second
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
time: {pane: %v, out_of_orderness: %v, allowed_lateness: %v, max_ahead: %v, idle_timeout: %v}
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
`, w.Program, strings.Join(w.Brokers, ", "), w.Topics.Events, s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead, w.idleTimeout(),
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

// finish closes all windows, and checks that everything that came out is as the oracle has it: lists, cells, dead letters; and what is committed is durable.
// Dead letters may have come again if something has crashed.
func (w *run) finish(crashed bool) {
	w.T.Helper()
	w.Close()
	w.CheckLists(w.Expected())
	w.AwaitDone()
	w.Check(crashed)
	w.CheckDurable()
}

// start starts 'millrank run', and kills it with the test at the latest.
func (w *run) start(args ...string) *world.Process { return w.startOf(program.Get(w.T).path, args...) }

// startOf starts 'run' of a program.
func (w *run) startOf(path string, args ...string) *world.Process {
	w.T.Helper()
	id := world.NewID("program")
	cmd := exec.Command(path, append([]string{"run", "--config", w.file, "--set", "kafka.client_id=" + id}, append(w.flags, args...)...)...)
	p := w.Launch(id, filepath.Join(w.T.TempDir(), "run.log"), cmd)
	w.programs = append(w.programs, p)
	return p
}

// log returns what a process has written so far.
func (w *run) log(p *world.Process) string {
	w.T.Helper()
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		w.T.Fatal(err)
	}
	return string(b)
}

// status asks a process how it is; false while it doesn't answer.
func (w *run) status(p *world.Process) (status progress.Process, ok bool) {
	w.T.Helper()
	found := regexp.MustCompile(`"msg":"HTTP server","address":"([^"]+)"`).FindStringSubmatch(w.log(p))
	if found == nil {
		return status, false
	}
	request, err := http.NewRequestWithContext(w.T.Context(), http.MethodGet, "http://"+found[1]+"/status", http.NoBody)
	if err != nil {
		w.T.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, false
	}
	defer response.Body.Close()
	return status, json.NewDecoder(response.Body).Decode(&status) == nil
}

// members reports whether each group is stable, with so many members, all of which have partitions; and how they are.
func (w *run) members(n int) (ready bool, state string) {
	w.T.Helper()
	groups, err := w.Admin.DescribeGroups(w.T.Context(), w.GroupOf("intake"), w.GroupOf("rank"), w.GroupOf("leaderboard"))
	if err != nil {
		return false, err.Error()
	}
	ready = len(groups) == 3
	for _, g := range groups {
		owners := 0
		for _, m := range g.Members {
			if c, ok := m.Assigned.AsConsumer(); ok && len(c.Topics) > 0 {
				owners++
			}
		}
		state += fmt.Sprintf("%s is %s: %d of %d members have partitions\n", g.Group, g.State, owners, len(g.Members))
		ready = ready && g.State == "Stable" && owners == n && len(g.Members) == n
	}
	return ready, state
}

// awaitMembers waits until it is so.
func (w *run) awaitMembers(n int) {
	w.T.Helper()
	var state string
	w.EventuallyOr(fmt.Sprintf("each group has %d members with partitions", n), func() (ready bool) {
		ready, state = w.members(n)
		return ready
	}, func() string { return state })
}

// refused checks that the intake refuses to start, or to go on, says what to do, and changes no commit.
func (w *run) refused(says string) {
	w.T.Helper()
	before := w.Commits()
	w.ends(w.start("--handlers", "intake"), says)
	if after := w.Commits(); !slices.Equal(before, after) {
		w.T.Errorf("the commits were %+v, and are %+v", before, after)
	}
}

// ends checks that a process ends by itself, with the exit code of what failed, and why.
func (w *run) ends(p *world.Process, says string) {
	w.T.Helper()
	select {
	case <-p.Exited:
	case <-time.After(world.Patience):
		w.T.Fatal("it did not end by itself")
	}
	if code, log := p.Cmd.ProcessState.ExitCode(), w.log(p); code != 1 || !strings.Contains(log[strings.LastIndex(log, "millrank: ")+1:], says) {
		w.T.Errorf("exit code %d, want 1, and what to do: %q", code, says)
		p.ShowLog()
	}
}
