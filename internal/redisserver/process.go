package redisserver

import (
	"os/exec"
	"runtime"
	"syscall"
)

// process is a server's process that was started.
type process struct {
	done chan struct{} // closed when it has ended
	pid  int
}

// startProcess starts a command that is killed when this process ends, however it does: a test that panics must not
// leave a server behind.
func startProcess(command *exec.Cmd) (*process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the process ends. So this goroutine keeps its thread until
		// the process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		if err == nil {
			p.pid = command.Process.Pid
		}
		started <- err
		if err == nil {
			_ = command.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal sends a signal to a process that runs.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.pid, s) // it may have ended just now
	}
}

// end sends a signal that ends it, and returns when it has ended.
func (p *process) end(s syscall.Signal) {
	p.signal(s)
	<-p.done
}
