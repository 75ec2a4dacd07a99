// Program soak runs the built program for a long time, at a high rate, while one thing after the other breaks, and compares all that came out with an exact oracle:
//
//	go run ./bench/soak -duration 1h -rate 50000
//
// docs/soak.md says what happens, what is judged, and how to read the report. Its exit code is 0 only if all is well.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/millrank/millrank/bench/internal/process"
)

func main() { process.Exit("soak", play()) }

func parts() map[string]process.Part { return map[string]process.Part{clickhousePart: playClickHouse} }

func play() error {
	if played, err := process.Play(parts()); played {
		return err
	}
	if os.Getenv(behindVariable) == "" {
		return front()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends it at once
	_, err := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	return err
}

// behindVariable tells this program that it is the one behind the front.
const behindVariable = "MILLRANK_SOAK_BEHIND"

// front starts this program again, in a process group of its own: a terminal's interrupt goes to all processes of its group, and would end the servers, too. It
// passes the signal on, which ends the production; the servers are needed for what comes then.
func front() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	//nolint:noctx,gosec // it ends by signals; it is this program, with its arguments
	behind := exec.Command(program, os.Args[1:]...)
	behind.Env = append(os.Environ(), behindVariable+"=1")
	behind.Stdout, behind.Stderr = os.Stdout, os.Stderr
	behind.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread() // that signal comes when the thread ends that started it; this is the program's last deed
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := behind.Start(); err != nil {
		return err
	}
	go func() {
		for range signals {
			_ = behind.Process.Signal(syscall.SIGTERM) // it may have ended just now
		}
	}()
	var failed *exec.ExitError
	if err := behind.Wait(); errors.As(err, &failed) {
		os.Exit(max(1, failed.ExitCode())) // it has said why
	} else if err != nil {
		return err
	}
	return nil
}

// start runs the program. When ctx ends, the soak is shorter: what was produced is judged all the same. What it is doing goes to progress, the verdict to out.
func start(ctx context.Context, args []string, out, progress io.Writer) (report, error) {
	c, err := parse(args, progress)
	if err != nil {
		return report{}, err
	}
	logging.Disable() // Redis is away now and then, as it should be
	s := newScreen(progress, c.Duration)
	r, err := soak(ctx, c, s)
	if err != nil {
		return r, err
	}
	if err := r.write(); err != nil {
		return r, err
	}
	fmt.Fprintln(out, r.text(s))
	if !r.Passed {
		return r, fmt.Errorf("it has failed; the report is in %s, and -seed %d makes the same events and faults", r.folder, c.Seed)
	}
	return r, nil
}
