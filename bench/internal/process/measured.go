package process

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Measured is another program whose needs are measured while it runs. It ends with this process, however that ends.
type Measured struct {
	// Done is closed when it has ended.
	Done chan struct{}

	command *exec.Cmd
	started time.Time

	mu     sync.Mutex
	needs  []Need
	result error // of the program, once Done is closed
}

// Need is what a program has needed up to a moment.
type Need struct {
	At     time.Time
	CPU    time.Duration
	Memory int64 // bytes
	Peak   int64 // the most memory so far
}

// measureEvery is how often it is looked at.
const measureEvery = 50 * time.Millisecond

// Measure starts a program. The caller stops it.
func Measure(command *exec.Cmd) (*Measured, error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	m := &Measured{Done: make(chan struct{}), command: command, started: time.Now()}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the program ends, so this goroutine keeps it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		stop := make(chan struct{})
		var looking sync.WaitGroup
		looking.Go(func() { m.look(stop) })
		err = command.Wait()
		now := time.Now()
		close(stop)
		looking.Wait()
		m.mu.Lock()
		last := m.last()
		m.needs = append(m.needs, Need{now, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), 0, last.Peak})
		m.result = err
		m.mu.Unlock()
		close(m.Done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Path, err)
	}
	return m, nil
}

func (m *Measured) look(stop <-chan struct{}) {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		cpu, errCPU := CPUOf(m.command.Process.Pid)
		memory, peak, errMemory := Memory(m.command.Process.Pid)
		if errCPU == nil && errMemory == nil { // else it is ending
			m.mu.Lock()
			m.needs = append(m.needs, Need{time.Now(), cpu, memory, peak})
			m.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-stop:
			return
		}
	}
}

// last returns the last need; the caller holds the lock.
func (m *Measured) last() Need {
	if len(m.needs) == 0 {
		return Need{At: m.started}
	}
	return m.needs[len(m.needs)-1]
}

// Started returns when it was started.
func (m *Measured) Started() time.Time { return m.started }

// Needs returns what it has needed so far, in order.
func (m *Measured) Needs() []Need {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clip(m.needs)
}

// Until returns what it had needed at a moment: the CPU time between two looks is taken in proportion, the peak is that of the look after.
func (m *Measured) Until(at time.Time) Need {
	before := Need{At: m.started}
	for _, n := range m.Needs() {
		if n.At.Before(at) {
			before = n
			continue
		}
		share := float64(at.Sub(before.At)) / float64(max(1, n.At.Sub(before.At)))
		return Need{at, before.CPU + time.Duration(share*float64(n.CPU-before.CPU)), n.Memory, n.Peak}
	}
	return before
}

// Err returns how it has ended, once Done is closed.
func (m *Measured) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.result
}

// Kill ends it at once, as a crash would, and waits for that.
func (m *Measured) Kill() {
	_ = m.command.Process.Kill() // it may have ended just now
	<-m.Done
}

// Stop asks it to end (SIGTERM), and returns when it has; after so long, it is killed, and that is an error.
func (m *Measured) Stop(patience time.Duration) error {
	select {
	case <-m.Done:
		return nil
	default:
	}
	_ = m.command.Process.Signal(syscall.SIGTERM) // it may have ended just now
	select {
	case <-m.Done:
		return nil
	case <-time.After(patience):
		m.Kill()
		return errors.New("it had to be killed: it did not end within " + patience.String())
	}
}
