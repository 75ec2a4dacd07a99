//go:build !nochdb

package chdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

func supported() error { return nil }

// load opens the library. It stays in the process for ever; loading it again gives the same.
func load(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, missing("libchdb does not load, which needs glibc (a Debian, Ubuntu or Fedora, no Alpine): %w", err)
	}
	l := &library{}
	for name, function := range map[string]any{
		"chdb_connect":                    &l.connect,
		"chdb_close_conn":                 &l.closeConn,
		"chdb_query_with_params_n":        &l.query,
		"chdb_stream_query_with_params_n": &l.stream,
		"chdb_stream_fetch_result":        &l.fetch,
		"chdb_stream_cancel_query":        &l.cancel,
		"chdb_destroy_query_result":       &l.destroy,
		"chdb_result_buffer":              &l.buffer,
		"chdb_result_length":              &l.length,
		"chdb_result_error":               &l.failure,
		"chdb_result_storage_rows_read":   &l.rowsRead,
		"chdb_result_storage_bytes_read":  &l.bytesRead,
		"chdb_result_rows_written":        &l.rowsWritten,
		"chdb_result_bytes_written":       &l.bytesWritten,
	} {
		purego.RegisterLibFunc(function, handle, name)
	}
	return l, nil
}

// action is how the kernel keeps what a signal does.
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// lastSignal is the last of the ordinary signals. Those above belong to the C library.
const lastSignal = 31

// signals is what each of them does, by number.
type signals [lastSignal + 1]action

// signalActions returns what signals do now.
func signalActions() (s signals) {
	for number := 1; number <= lastSignal; number++ {
		s[number], _ = sigaction(number, nil)
	}
	return s
}

// restore makes signals do what they did.
func (s *signals) restore() error {
	for number := 1; number <= lastSignal; number++ {
		now, err := sigaction(number, nil)
		if err == nil && now != s[number] {
			_, err = sigaction(number, &s[number])
		}
		if err != nil {
			return fmt.Errorf("signal %d: %w", number, err)
		}
	}
	return nil
}

// sigaction asks the kernel itself: the C library's function would keep what the kernel has of Go's to itself.
func sigaction(number int, wanted *action) (was action, err error) {
	//nolint:gosec // the kernel's interface
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(wanted)), uintptr(unsafe.Pointer(&was)), unsafe.Sizeof(was.mask), 0, 0)
	if errno != 0 {
		return was, errno
	}
	return was, nil
}

// tryLock takes a file for this process, and returns nil if somebody else has it, also in this process. It is held until the
// file is closed, however that comes about.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // it has nothing in it
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = nil
	} else {
		err = fmt.Errorf("locking %s: %w", path, err)
	}
	return nil, errors.Join(err, file.Close())
}

// lockFile takes a file for this process, when it is free.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		file, err := tryLock(path)
		if file != nil || err != nil {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process that has %s: %w", path, ctx.Err())
		case <-ticker.C:
		}
	}
}

// dataFile returns a file in memory that has these bytes, and a path by which this process can open it.
func dataFile(data []byte) (*os.File, string, error) {
	const name = "millrank-insert"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", fmt.Errorf("memory for an INSERT's data: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(data); err != nil {
		return nil, "", errors.Join(fmt.Errorf("memory for an INSERT's data: %w", err), file.Close())
	}
	return file, fmt.Sprintf("/proc/self/fd/%d", fd), nil
}
