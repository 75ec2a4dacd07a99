//go:build e2e

package chain_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
)

// binary returns the path of the program.
func binary(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		folder, err := os.MkdirTemp("", "millrank-built-") //nolint:usetesting // it serves all tests; TestMain removes it
		if err != nil {
			program.err = err
			return
		}
		program.path = filepath.Join(folder, "millrank")
		if out, err := exec.Command("go", "build", "-o", program.path, "../../cmd/millrank").CombinedOutput(); err != nil {
			program.err = fmt.Errorf("building the program: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// asProgram has the world's topics and groups bear the names that the program gives them.
func (w *world) asProgram(name string) *world {
	w.topics.Group = name + ".g1.intake"
	w.topics.Updates, w.topics.Rankings = name+".g1.updates", name+".g1.rankings"
	return w
}

// settingsFile writes the file of settings of a world.
func (w *boardsWorld) settingsFile(name string, more string) string {
	w.t.Helper()
	s := w.settings
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
`, name, strings.Join(w.brokers, ", "), w.topics.Events, s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead,
		s.DedupSegment*time.Duration(s.DedupSegments), s.DedupSegments, s.DedupRecords*8,
		w.shards, w.config.Lanes, w.topics.Letters, strings.Join(w.config.Redis, ", "), w.config.Prefix)
	for _, board := range w.config.Boards.Boards {
		order := "top"
		if board.Order == event.Bottom {
			order = "bottom"
		}
		fmt.Fprintf(&b, "  - {name: %s, measure: %v, window: %v, slide: %v, k: %d, order: %s, min_count: %d, by: [global, region]}\n",
			board.Name, board.Measure, board.Window.Size, board.Window.Slide, board.K, order, board.MinCount)
	}
	b.WriteString(more)
	file := filepath.Join(w.t.TempDir(), "millrank.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// startProgram starts 'millrank run', and kills it with the test at the latest.
func (w *world) startProgram(file string, args ...string) *process {
	w.t.Helper()
	p := &process{t: w.t, w: w, id: fmt.Sprint("program-", processes.Add(1)), exited: make(chan struct{}), log: filepath.Join(w.t.TempDir(), "run.log")}
	out, err := os.Create(p.log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(binary(w.t), append([]string{"run", "--config", file, "--set", "kafka.client_id=" + p.id}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.programs = append(w.programs, p)
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			p.showLog()
		}
	})
	return p
}

// TestProgram: the built program, as three processes on a real Kafka and a real Redis, of which one is killed in the middle and one joins later, makes of
// both data sets, with injected duplicates, late, future and malformed records, exactly the lists that come with them, and the oracle's cells and dead letters.
func TestProgram(t *testing.T) {
	servers := apachekafka.StartTest(t, apachekafka.Options{}).Brokers()
	redis := redisserver.StartTest(t, redisserver.Options{}).Addr()
	for _, name := range []string{"wikipedia-edits", "online-retail"} {
		t.Run(name, func(t *testing.T) {
			facts, err := sim.Facts(name)
			if err != nil {
				t.Fatal(err)
			}
			const partitions = 6
			w := newWorld(t, servers, dataSettings(), partitions, 4).asProgram("program-"+name).withBoards(dataBoards(name), 3, redis)
			file := w.settingsFile("program-"+name, "")
			logs := sim.Arrive(11, facts, sim.Arrival{
				Partitions: partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
				Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: dataSettings(),
			})
			w.watch()
			first, second := w.startProgram(file), w.startProgram(file)
			half := make([][]sim.Record, partitions)
			for p, log := range logs {
				half[p] = log[:len(log)/2]
			}
			w.produce(half)
			w.awaitProgress(w.total() / 3)
			first.signal(syscall.SIGKILL)
			third := w.startProgram(file)
			for p, log := range logs {
				half[p] = log[len(log)/2:]
			}
			w.produce(half)
			w.close()
			w.checkBoards(w.answers(name))
			w.awaitDone()
			w.check(true)
			w.checkDurable()
			for _, p := range []*process{second, third} {
				if code := p.term(25 * time.Second); code != 0 {
					t.Errorf("exit code %d after SIGTERM, want 0", code)
				}
			}
		})
	}
}
