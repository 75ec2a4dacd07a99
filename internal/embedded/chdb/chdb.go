// Package chdb is ClickHouse's engine in this process: libchdb, a C library, opened without cgo. Install fetches
// it, once per machine, by npm; Open opens it at a folder; a Conn runs statements. internal/embedded has the server
// around it, and most of what one needs to know of it.
//
// The library is made for one engine per process, so Open refuses a second one until the first is closed. Any
// number of connections may be open at once, each used by one goroutine at a time: they run side by side, and
// each is a session of its own (USE, SET, temporary tables).
//
// What it would do to this process is put right: it takes Go's signal handlers for its own, with which a nil
// pointer hangs a program rather than panic, so Open gives them back; and it doesn't start its cleaners
// in a folder that is new, with which DROP ... SYNC waits for ever, so Open makes the folder look used.
//
// A binary that has this package in it loads the C library's dynamic linker, though cgo is off. The
// build tag nochdb leaves it out, for a binary that needs nothing; Available says so then.
package chdb

import (
	"context"
	"errors"
	"fmt"
)

// ErrMissing is in errors that say that the engine can't be had on this machine, or isn't installed.
var ErrMissing = errors.New("embedded ClickHouse can't be started here")

// ErrBusy is in the error of Open when this process has an engine open, or when another process has the folder.
var ErrBusy = errors.New("embedded ClickHouse is open already")

// Error is what the engine says of a statement that failed.
type Error struct {
	// Code is ClickHouse's number of the error, such as 60 for an unknown table; 0 where it gave none.
	Code int
	// Text is the whole text, which begins with "Code: 60. DB::Exception: ".
	Text string
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Options says how to open the engine. Path is needed.
type Options struct {
	// Path is the folder of its data, which is made if it isn't there.
	Path string
	// Threads is how many threads one statement may use; 0 means 2.
	Threads int
	// MemoryMax is how many bytes all statements together may use; 0 means 2 GiB. One that needs more fails.
	MemoryMax int64
	// LogFile is where the engine writes what it does; "" means nowhere.
	LogFile string
}

// Param is the value of a {name:Type} in a statement.
type Param struct{ Name, Value string }

// Progress is how far an installation is.
type Progress struct {
	// Stage is Downloading or Unpacking.
	Stage Stage
	// Done and Total are bytes. While downloading, Done is an estimate.
	Done, Total int64
}

// Stage is a part of an installation.
type Stage string

// The stages, in their order.
const (
	Downloading Stage = "downloading"
	Unpacking   Stage = "unpacking"
)

// Available returns nil if the library is installed or Install can fetch it, and otherwise an error that wraps
// ErrMissing and says what to do.
func Available() error {
	if err := supported(); err != nil {
		return err
	}
	if _, err := Find(); err == nil {
		return nil
	}
	_, err := findNPM()
	return err
}

// missing is an error that says why the engine can't be had, and what else there is.
func missing(format string, args ...any) error {
	return fmt.Errorf("%w: %w; a ClickHouse server in a container does the same (docker compose), or one that you have", ErrMissing, fmt.Errorf(format, args...))
}

// Ensure returns the library's path, having installed it if it wasn't.
func Ensure(ctx context.Context, progress func(Progress)) (string, error) {
	if path, err := Find(); err == nil {
		return path, nil
	}
	return Install(ctx, progress)
}
