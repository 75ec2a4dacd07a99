package apachekafka

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
)

// process is a Java process that was started.
type process struct {
	done chan struct{} // closed when it has ended
	pid  int
}

// launch starts the broker's process.
func (b *Broker) launch() (*process, error) {
	heap := b.options.HeapMiB
	if heap == 0 {
		heap = 512
	}
	command, err := b.java("kafka.Kafka", []string{fmt.Sprintf("-Xms%dm", heap), fmt.Sprintf("-Xmx%dm", heap), "-XX:+ExitOnOutOfMemoryError"}, b.settingsFile())
	if err != nil {
		return nil, err
	}
	return b.run(command)
}

// run starts a command that writes to the broker's log.
func (b *Broker) run(command *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(b.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	command.Stdout, command.Stderr = log, log
	p, err := startProcess(command)
	if closeErr := log.Close(); err == nil && closeErr != nil { // the process has its own
		p.kill()
		return nil, closeErr
	}
	return p, err
}

// java returns the command that runs one of Kafka's programs.
func (b *Broker) java(class string, flags []string, args ...string) (*exec.Cmd, error) {
	lib, err := libFolder()
	if err != nil {
		return nil, err
	}
	all := append(slices.Clip(flags), "-Dlog4j2.configurationFile="+filepath.Join(b.folder, "log4j2.xml"), "-cp", filepath.Join(lib, "*"), class)
	//nolint:noctx // the process outlives the call that starts it; Stop, Kill and Close end it
	return exec.Command("java", append(all, args...)...), nil
}

// startProcess starts a command that is killed when this process ends, however it does:
// a test that panics must not leave a broker behind.
func startProcess(command *exec.Cmd) (*process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the process ends. So this
		// goroutine keeps its thread until the process has ended.
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

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to a process that runs.
func (p *process) signal(s syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(p.pid, s) // it may have ended just now
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// format writes into the data folder what a node needs before its first start: its IDs,
// the features' versions, and the users of SCRAM.
func (b *Broker) format(ctx context.Context) error {
	args := []string{"format", "--cluster-id", randomID(), "--config", b.settingsFile()}
	for _, user := range b.options.Users {
		if user.Mechanism != plain {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", user.Mechanism, user.Name, user.Password))
		}
	}
	// A short program: compiling it well takes longer than it does.
	command, err := b.java("kafka.tools.StorageTool", []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}, args...)
	if err != nil {
		return fmt.Errorf("Apache Kafka: %w", err)
	}
	p, err := b.run(command)
	if err != nil {
		return fmt.Errorf("Apache Kafka: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("Apache Kafka's folder was not formatted: %w", context.Cause(ctx))
	}
	if !command.ProcessState.Success() {
		return fmt.Errorf("Apache Kafka's folder was not formatted: %v\n%s", command.ProcessState, b.LogTail())
	}
	return nil
}
