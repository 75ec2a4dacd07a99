package world

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Process is a member in a process of its own, or the built program.
type Process struct {
	t       testing.TB
	w       *World
	ID      string // client.id
	Cmd     *exec.Cmd
	Exited  chan struct{}
	LogFile string
}

// NewID returns an ID for a process that nobody else has.
func NewID(kind string) string { return fmt.Sprintf("%s-%08x", kind, rand.Uint32()) }

// Launch starts a process with an ID of NewID, and kills it with the test at the latest. Its output goes to a file, whose end is shown when the test fails.
func (w *World) Launch(id, log string, cmd *exec.Cmd) *Process {
	w.T.Helper()
	p := &Process{t: w.T, w: w, ID: id, Cmd: cmd, Exited: make(chan struct{}), LogFile: log}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.T.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.Exited)
	}()
	w.T.Cleanup(func() {
		p.Kill()
		if w.T.Failed() {
			p.ShowLog()
		}
	})
	return p
}

// ShowLog logs the end of its output.
func (p *Process) ShowLog() {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		p.t.Log(err)
	}
	p.t.Logf("log of process %d, its end:\n%s", p.Cmd.Process.Pid, b[max(0, len(b)-3000):])
}

// Signal sends it a signal, if it still runs.
func (p *Process) Signal(s syscall.Signal) {
	if err := p.Cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// Kill kills it, and returns when it is dead.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Exited
	p.w.bury(p.ID)
}

// bury has the dead leave their groups, some time later, if they are there still. A real broker throws them out when their session times out; the
// embedded one forgets to where one dies just while it joins, and then its partitions are nobody's (internal/embedded, TestDifferenceDeadJoiner).
func (w *World) bury(clientID string) {
	w.burials.Go(func() {
		select {
		case <-time.After(3 * time.Second):
		case <-w.ended:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		groups, err := w.Admin.DescribeGroups(ctx, w.GroupOf("intake"), w.GroupOf("rank"), w.GroupOf("leaderboard"), w.GroupOf("late"))
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
				_, _ = request.RequestWith(ctx, w.Client)
			}
		}
	})
}

// Term asks it to end, and returns its exit code; it fails the test when that takes longer than the deadline.
func (p *Process) Term(deadline time.Duration) int {
	p.t.Helper()
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited:
	case <-time.After(Patience):
		p.t.Fatalf("a member did not end within %v of SIGTERM", Patience)
	}
	if took := time.Since(began); took > deadline {
		p.t.Errorf("a member took %v to end after SIGTERM, more than %v", took, deadline)
	}
	return p.Cmd.ProcessState.ExitCode()
}
