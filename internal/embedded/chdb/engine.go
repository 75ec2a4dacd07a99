package chdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// slot is taken while this process has an engine: the library has no room for two.
var slot = make(chan struct{}, 1)

// Engine is the open engine. Its methods are safe for concurrent use.
type Engine struct {
	library *library
	argv    []string
	lock    *os.File

	mu    sync.Mutex // guards main's use
	main  *Conn      // keeps the engine open, and kills
	conns sync.WaitGroup
}

// Open opens the engine at a folder, which takes 0.1 s and some 190 MB of memory. The library must be installed. The
// caller closes it.
func Open(options Options) (*Engine, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	select {
	case slot <- struct{}{}:
	default:
		return nil, fmt.Errorf("%w in this process, which can have one at a time: use that one, or close it first", ErrBusy)
	}
	e, err := open(path, options)
	if err != nil {
		<-slot
		return nil, err
	}
	return e, nil
}

func open(path string, options Options) (*Engine, error) {
	folder, err := filepath.Abs(options.Path)
	if err != nil || options.Path == "" {
		return nil, fmt.Errorf("embedded ClickHouse: the folder %q: %w", options.Path, errors.Join(err, errors.New("it needs one")))
	}
	// A folder without this one is new to the engine, and it would not start its cleaners.
	if err := os.MkdirAll(filepath.Join(folder, "metadata"), 0o700); err != nil {
		return nil, fmt.Errorf("embedded ClickHouse: %w", err)
	}
	lock, err := tryLock(filepath.Join(folder, "millrank.lock"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("embedded ClickHouse: %w", err)
	case lock == nil:
		return nil, fmt.Errorf("%w: another process has the folder %s: end it, or take another folder", ErrBusy, folder)
	}
	e := &Engine{lock: lock, argv: arguments(folder, options)}
	if e.library, err = load(path); err == nil {
		before := signalActions()
		e.main, err = e.Connect()
		err = errors.Join(err, before.restore())
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return e, nil
}

// arguments is what the library is called with, which is made for a command line.
func arguments(folder string, options Options) []string {
	threads, memory := options.Threads, options.MemoryMax
	if threads == 0 {
		threads = 2
	}
	if memory == 0 {
		memory = 2 << 30
	}
	args := []string{
		"chdb", "--path=" + folder,
		"--max_threads=" + strconv.Itoa(threads), "--max_insert_threads=1",
		"--max_server_memory_usage=" + strconv.FormatInt(memory, 10),
		// Caches and pools for a laptop.
		"--mark_cache_size=" + strconv.FormatInt(memory/16, 10), "--uncompressed_cache_size=0",
		"--background_pool_size=4", "--background_schedule_pool_size=8", "--max_thread_pool_size=1000",
	}
	if options.LogFile != "" {
		args = append(args, "--log-level=information", "--logger.log="+options.LogFile, "--logger.size=10M", "--logger.count=1")
	}
	return args
}

// Connect opens a session, which takes 0.2 ms. The caller closes it, before the engine.
func (e *Engine) Connect() (*Conn, error) {
	values := make([][]byte, len(e.argv))
	argv := make([]*byte, len(e.argv), len(e.argv)+1)
	var pinned runtime.Pinner
	defer pinned.Unpin()
	for i, arg := range e.argv {
		values[i] = append([]byte(arg), 0)
		argv[i] = &values[i][0]
		pinned.Pin(argv[i])
	}
	argv = append(argv, nil)
	handle := e.library.connect(int32(len(values)), &argv[0])
	if handle == nil {
		return nil, fmt.Errorf("embedded ClickHouse does not open %s; it says why on the standard error", strings.TrimPrefix(e.argv[1], "--path="))
	}
	e.conns.Add(1)
	return &Conn{engine: e, handle: handle}, nil
}

// Kill asks the statements that run with this setting log_comment to end, and doesn't wait for it. They then fail with code 394.
func (e *Engine) Kill(ctx context.Context, comment string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil || e.main == nil {
		return err
	}
	result, err := e.main.Query([]byte("KILL QUERY WHERE Settings['log_comment'] = {comment:String} ASYNC"), "Null", []Param{{"comment", comment}})
	if err != nil {
		return err
	}
	result.Close()
	return nil
}

// Close waits for the connections to be closed, and closes the engine, which takes some 30 ms. The library's code, and
// some of its threads, stay. It may be called more than once.
func (e *Engine) Close() error {
	e.mu.Lock()
	main := e.main
	e.main = nil
	e.mu.Unlock()
	if main == nil {
		return nil
	}
	// All others first: the last one to close shuts the engine down, and takes the time for it.
	e.conns.Done() // main's
	e.conns.Wait()
	e.conns.Add(1)
	main.Close()
	err := e.lock.Close()
	<-slot
	return err
}
