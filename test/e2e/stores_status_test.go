//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/test/world"
)

// address returns where a process answers, by its log.
func (w *run) address(p *world.Process) (address string) {
	w.T.Helper()
	w.Eventually("the process says where it listens", func() bool {
		log, err := os.ReadFile(p.LogFile)
		if err != nil {
			w.T.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			var said struct{ Msg, Address string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "HTTP server" {
				address = said.Address
			}
		}
		return address != ""
	})
	return address
}

// status asks a process how it is.
func (w *run) status(p *world.Process) progress.Process {
	w.T.Helper()
	request, err := http.NewRequestWithContext(w.T.Context(), http.MethodGet, "http://"+w.address(p)+"/status", http.NoBody)
	if err != nil {
		w.T.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.T.Fatalf("/status: %v", err)
	}
	defer response.Body.Close()
	var status progress.Process
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		w.T.Fatalf("/status: %v", err)
	}
	return status
}

// state returns how a process says that one of its handlers is.
func (w *run) state(p *world.Process, handler string) string {
	w.T.Helper()
	for _, h := range w.status(p).Handlers {
		if h.Name == handler {
			return h.State
		}
	}
	return "not there"
}

// awaitState waits until a handler is so.
func (w *run) awaitState(p *world.Process, handler, state string) {
	w.T.Helper()
	w.EventuallyOr(handler+" is "+state, func() bool { return w.state(p, handler) == state }, func() string { return w.state(p, handler) })
}

// memory returns a figure of /proc/PID/status, in bytes: VmRSS is what a process uses, VmHWM the most that it has used.
func memory(t testing.TB, p *world.Process, figure string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == figure+":" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s of process %d", figure, p.Cmd.Process.Pid)
	return 0
}

func peakMemory(t testing.TB, p *world.Process) int64 {
	t.Helper()
	return memory(t, p, "VmHWM")
}
