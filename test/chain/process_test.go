package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// process is a member in a process of its own.
type process struct {
	t      *testing.T
	w      *world
	id     string // client.id
	cmd    *exec.Cmd
	exited chan struct{}
	log    string
}

var processes atomic.Int64

// startProcess starts a member in a process of its own, and kills it with the test at the latest.
func (w *world) startProcess(c memberConfig) *process {
	w.t.Helper()
	c.ClientID = fmt.Sprint("process-", processes.Add(1))
	p := &process{t: w.t, w: w, id: c.ClientID, exited: make(chan struct{}), log: filepath.Join(w.t.TempDir(), "member.log")}
	c.Log = p.log
	text, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
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

func (p *process) showLog() {
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Log(err)
	}
	p.t.Logf("log of process %d, its end:\n%s", p.cmd.Process.Pid, b[max(0, len(b)-3000):])
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// kill kills it, and returns when it is dead.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
	p.w.bury(p.id)
}

// bury has the dead leave their groups, some time later, if they are there still. A real broker throws them out when their session times out; the
// embedded one forgets to where one dies just while it joins, and then its partitions are nobody's (internal/embedded, TestDifferenceDeadJoiner).
func (w *world) bury(clientID string) {
	w.burials.Go(func() {
		select {
		case <-time.After(3 * time.Second):
		case <-w.ended:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		groups, err := w.admin.DescribeGroups(ctx, w.topics.Group, w.topics.Group+"-rank", w.topics.Group+"-leaderboard", w.topics.Group+"-late")
		if err != nil {
			return
		}
		for _, g := range groups {
			for _, m := range g.Members {
				if m.ClientID != clientID {
					continue
				}
				request := kmsg.NewPtrLeaveGroupRequest()
				request.Group = g.Group
				dead := kmsg.NewLeaveGroupRequestMember()
				dead.MemberID = m.MemberID
				request.Members = append(request.Members, dead)
				_, _ = request.RequestWith(ctx, w.client)
			}
		}
	})
}

// term asks it to end, and returns its exit code; it fails the test when that takes longer than the deadline.
func (p *process) term(deadline time.Duration) int {
	p.t.Helper()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("a member did not end within %v of SIGTERM", patience)
	}
	if took := time.Since(began); took > deadline {
		p.t.Errorf("a member took %v to end after SIGTERM, more than %v", took, deadline)
	}
	return p.cmd.ProcessState.ExitCode()
}

// liveSettings are the defaults, twelve times as fast: panes of 5 s.
func liveSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead, s.DedupSegment = 5*time.Second, time.Second, 2500*time.Millisecond, 5*time.Second, 1250*time.Millisecond
	s.DedupRecords = 10_000
	return s
}

// liveLogs returns logs of a stream with everything in it that can be.
func (w *world) liveLogs(seed uint64, records int) [][]sim.Record {
	o := sim.LiveOptions()
	o.Settings, o.Partitions, o.Records, o.Categories = w.settings, w.partitions, records, 0
	o.Disorder, o.GapMax = 300*time.Millisecond, 30*time.Second
	return sim.Generate(seed, o)
}

// chaos produces logs bit by bit, and after each bit lets something happen.
func (w *world) chaos(rng *rand.Rand, logs [][]sim.Record, steps int, happen func(step int)) {
	w.t.Helper()
	at := make([]int, len(logs))
	for step := range steps {
		bit := make([][]sim.Record, len(logs))
		for p, log := range logs {
			until := min(len(log), at[p]+rng.IntN(2*len(log)/steps+1))
			if step == steps-1 {
				until = len(log)
			}
			bit[p], at[p] = log[at[p]:until], until
		}
		w.produce(bit)
		happen(step)
	}
}

// newRand returns a source of randomness, and prints its seed.
func newRand(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}
