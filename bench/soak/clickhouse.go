package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/internal/embedded"
)

// clickhousePart is ClickHouse's engine, in a process of its own.
const clickhousePart = "soak-clickhouse"

// playClickHouse is that process: it says where it listens, and ends in order by SIGTERM or with its input.
func playClickHouse(ctx context.Context, folder string, in io.Reader, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	server, err := embedded.StartClickHouse(embedded.ClickHouseOptions{Path: folder, Log: os.Stderr})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, server.Addr()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	<-ctx.Done()
	return server.Close()
}

// history is a ClickHouse that can be killed and started again with its data.
type history struct {
	folder, log string

	mu      sync.Mutex
	child   *child
	address string
}

// start starts it, and returns when it answers.
func (h *history) start() error {
	command, err := process.Command(clickhousePart, h.folder)
	if err != nil {
		return err
	}
	c, address, err := announced(command, h.log)
	if err != nil {
		return fmt.Errorf("ClickHouse: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.child, h.address = c, address
	return nil
}

// announced starts a program that says in its first line where it listens.
func announced(command *exec.Cmd, log string) (*child, string, error) {
	if _, err := command.StdinPipe(); err != nil { // it ends with its input: this process keeps it open
		return nil, "", err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer out.Close() //nolint:errcheck // it is only read
	command.Stdout = in
	c, err := startChild(command, log)
	_ = in.Close() // the process has its own
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.Kill()
		return nil, "", fmt.Errorf("it did not say where it listens (%w); its log is %s", err, log)
	}
	return c, strings.TrimSpace(line), nil
}

// addr returns where it listens now.
func (h *history) addr() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child.ended() {
		return "", fmt.Errorf("ClickHouse is down")
	}
	return h.address, nil
}

func (h *history) running() *child {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.child
}

func (h *history) stop() error { return h.running().Stop(time.Minute) }
