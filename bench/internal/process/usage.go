package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
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
	_, peak, err := Memory(os.Getpid())
	return peak, err
}

// Memory returns how much memory a process has, and the most that it has had (proc_pid_status(5): VmRSS, VmHWM), in bytes.
func Memory(pid int) (now, peak int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("a process's memory: %w", err)
	}
	read := func(name string) (int64, error) {
		_, rest, found := bytes.Cut(status, []byte(name))
		fields := bytes.Fields(rest)
		if !found || len(fields) == 0 {
			return 0, fmt.Errorf("a process's memory: no %s in its status", name)
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return kib * 1024, err
	}
	now, err = read("VmRSS:")
	if err != nil {
		return 0, 0, err
	}
	peak, err = read("VmHWM:")
	return now, peak, err
}

// ChildWith returns the process that this one has started and that has a word among its arguments.
func ChildWith(word string) (pid int, err error) {
	const parent = 1 // field after the name
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, fmt.Errorf("looking for the process of %s: %w", word, err)
	}
	for _, folder := range folders {
		stat, errStat := os.ReadFile(filepath.Join(folder, "stat"))
		arguments, errArguments := os.ReadFile(filepath.Join(folder, "cmdline"))
		if errStat != nil || errArguments != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) <= parent || string(fields[parent]) != strconv.Itoa(os.Getpid()) {
			continue
		}
		if slices.Contains(strings.Split(string(arguments), "\x00"), word) {
			return strconv.Atoi(filepath.Base(folder))
		}
	}
	return 0, fmt.Errorf("no process of %s", word)
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
