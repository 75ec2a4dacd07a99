package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMeasured: a program that is busy for a while has needed that, and it ends when it is told to.
func TestMeasured(t *testing.T) {
	m, err := Measure(exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	<-m.Done
	if m.Err() == nil {
		t.Error("how it ended is not told")
	}
	needs := m.Needs()
	last := needs[len(needs)-1]
	if last.CPU < 10*time.Millisecond || last.Peak < 100<<10 {
		t.Errorf("it needed %+v", last)
	}
	if !slices.IsSortedFunc(needs, func(a, b Need) int { return int(a.CPU - b.CPU + 10*time.Millisecond) }) && len(needs) > 1 {
		t.Errorf("its CPU time went back: %+v", needs)
	}
	if before := m.Until(m.Started().Add(-time.Second)); before.CPU > 0 {
		t.Errorf("before it was started it had needed %+v", before)
	}
	if after := m.Until(time.Now().Add(time.Hour)); after.CPU != last.CPU {
		t.Errorf("in the end it had needed %v, but then %v", last.CPU, after.CPU)
	}
}

func TestMeasuredStop(t *testing.T) {
	m, err := Measure(exec.CommandContext(t.Context(), "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	ready, ignores, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", "trap '' TERM; echo; exec sleep 1000")
	command.Stdout = ignores
	stubborn, err := Measure(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := stubborn.Stop(100 * time.Millisecond); err == nil {
		t.Error("it ignores the signal, and yet it ended in order")
	}
	if _, err := Measure(exec.CommandContext(t.Context(), "/there/is/no/such/program")); err == nil {
		t.Error("what isn't there was started")
	}
}

func TestChildWith(t *testing.T) {
	const word = "a-word-of-this-test"
	m, err := Measure(exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000; true", word))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	if pid, err := ChildWith(word); err != nil || pid != m.command.Process.Pid {
		t.Errorf("it is process %d, not %d: %v", m.command.Process.Pid, pid, err)
	}
	if pid, err := ChildWith("no-" + word); err == nil {
		t.Errorf("process %d has a word that nobody has", pid)
	}
	if now, peak, err := Memory(os.Getpid()); err != nil || now < 1<<20 || peak < now {
		t.Errorf("this process has %d bytes, had %d at most: %v", now, peak, err)
	}
}

// TestThisMachine: a report without these would be of little use.
func TestThisMachine(t *testing.T) {
	m := ThisMachine(t.Context())
	if m.CPU == "" || m.CPUs < 1 || m.Memory < 1<<28 || m.Kernel == "" || m.Go == "" || strings.Count(m.String(), ";") < 3 {
		t.Errorf("%+v", m)
	}
	lib := t.TempDir()
	for _, jar := range []string{"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar"} {
		if err := os.WriteFile(filepath.Join(lib, jar), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := versionOf(lib, "kafka_"); got != "4.3.1" {
		t.Errorf("Kafka's version is %q", got)
	}
}
