package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end after SIGTERM: shutdown_timeout, and a little.
const stopPatience = 30 * time.Second

// fleet is the processes of Millrank, by their numbers.
type fleet struct {
	program, settings, folder string

	mu       sync.Mutex
	members  map[int]*member
	problems []string
	started  int // so far
}

// member is a process of Millrank, from a start to its end.
type member struct {
	*child
	slot     int
	log      string
	expected bool // it is to end
	address  string
}

// name is how the member is called: those that take the place of others have their number, and one more.
func slotName(slot int) string { return fmt.Sprintf("process %d", slot+1) }

// start starts a process in a place that is free.
func (f *fleet) start(slot int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started++
	log := filepath.Join(f.folder, fmt.Sprintf("millrank-%d-%03d.log", slot+1, f.started))
	//nolint:noctx,gosec // it ends when it is told to; the command line says which program
	command := exec.Command(f.program, "run", "--config", f.settings, "--set", fmt.Sprintf("kafka.client_id=%s-%d", name, slot+1))
	c, err := startChild(command, log)
	if err != nil {
		return fmt.Errorf("%s: %w", slotName(slot), err)
	}
	f.members[slot] = &member{child: c, slot: slot, log: log}
	return nil
}

// all returns the processes there are.
func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*member
	for slot := range 64 {
		if m := f.members[slot]; m != nil {
			all = append(all, m)
		}
	}
	return all
}

// expect says that a process is to end, and returns it.
func (f *fleet) expect(slot int) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[slot]
	if m != nil {
		m.expected = true
	}
	return m
}

// leave frees a place.
func (f *fleet) leave(slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, slot)
}

// kill kills a process.
func (f *fleet) kill(slot int) {
	if m := f.expect(slot); m != nil {
		m.Kill()
	}
}

// terminate asks a process to end. That it must be killed, or says that it has failed, is a problem.
func (f *fleet) terminate(slot int) {
	m := f.expect(slot)
	if m == nil {
		return
	}
	begun := time.Now()
	if err := m.Stop(stopPatience); err != nil || m.command.ProcessState.ExitCode() != 0 {
		f.problemf("%s did not end in order after SIGTERM, but with %s after %v; see %s", slotName(slot), m.exit(), time.Since(begun).Round(time.Second), m.log)
	}
}

// revive starts those anew that have ended by themselves, and notes that they did.
func (f *fleet) revive() error {
	for _, m := range f.all() {
		f.mu.Lock()
		expected := m.expected
		f.mu.Unlock()
		if expected || !m.ended() {
			continue
		}
		f.problemf("%s has ended by itself, with %s; see %s", slotName(m.slot), m.exit(), m.log)
		if err := f.start(m.slot); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) problemf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// found returns the problems so far.
func (f *fleet) found() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.problems...)
}

// stop ends all.
func (f *fleet) stop() {
	var ending sync.WaitGroup
	for _, m := range f.all() {
		m.signal(syscall.SIGCONT) // in case
		ending.Go(func() { f.terminate(m.slot) })
	}
	ending.Wait()
}

// errNoAddress says that a process hasn't said yet where its HTTP server is.
var errNoAddress = errors.New("it has not said yet where it listens")

// url returns where a process's HTTP server is, which it logs when it starts.
func (m *member) url() (string, error) {
	if m.address != "" {
		return m.address, nil
	}
	file, err := os.Open(m.log)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it is only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "HTTP server" && line.Address != "" {
			m.address = "http://" + line.Address
			return m.address, nil
		}
	}
	return "", errNoAddress
}
