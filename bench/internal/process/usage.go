package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"
)

// CPU returns the time that this process has spent on CPUs.
func CPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// CPUOf returns the time that a process has spent on CPUs (proc_pid_stat(5)), to a hundredth of a second.
func CPUOf(pid int) (time.Duration, error) {
	const user, system = 11, 12 // fields after the name, which is in parentheses and may hold anything
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("a process's CPU time: %w", err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("a process's CPU time: %q has too few fields", stat)
	}
	inUser, err := ticks(fields[user])
	inSystem, errSystem := ticks(fields[system])
	if err := errors.Join(err, errSystem); err != nil {
		return 0, fmt.Errorf("a process's CPU time: %w", err)
	}
	return inUser + inSystem, nil
}

// MachineCPU returns the time that all of the machine's CPUs together were not idle (proc_stat(5)), to a hundredth of a second. It says whether
// others took part of the machine meanwhile.
func MachineCPU() (time.Duration, error) {
	const user, idle, ioWait, steal = 1, 4, 5, 8 // fields after "cpu"; those after steal are in user
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("the machine's CPU time: %w", err)
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= steal {
		return 0, fmt.Errorf("the machine's CPU time: %q has too few fields", line)
	}
	var all time.Duration
	for i := user; i <= steal; i++ {
		if i == idle || i == ioWait {
			continue
		}
		took, err := ticks(fields[i])
		if err != nil {
			return 0, fmt.Errorf("the machine's CPU time: %w", err)
		}
		all += took
	}
	return all, nil
}

// ticks returns the time that a number of the kernel's ticks stands for, a hundredth of a second on all that Go runs on.
func ticks(text []byte) (time.Duration, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return time.Duration(n) * (time.Second / 100), err
}

// ResetPeakRSS has the kernel begin anew with this process's peak (proc_pid_clear_refs(5)).
func ResetPeakRSS() error {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return fmt.Errorf("resetting the peak of memory: %w", err)
	}
	return nil
}

// PeakRSS returns the most memory that this process has had since then, in bytes.
func PeakRSS() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("the peak of memory: %w", err)
	}
	_, rest, found := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, errors.New("the peak of memory: no VmHWM in /proc/self/status")
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the peak of memory: %w", err)
	}
	return kib * 1024, nil
}

// Profile begins a CPU profile of this process; what it returns ends it.
func Profile(file string) (stop func() error, err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("CPU profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
