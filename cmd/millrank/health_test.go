package main

import (
	"net"
	"strings"
	"testing"
)

// TestHealth: what a container's health check sees, before a process is there, while it waits for Kafka, and when it is ready.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	if _, errs, code := w.tries("health"); code != exitFailed || !strings.Contains(errs, "is 'millrank run' running") {
		t.Errorf("before the start: exit code %d, %s", code, errs)
	}
	stop := w.runs()
	w.eventually(func(out string) bool { return out == "ok\n" }, "health")
	if out := w.says("health", "--live"); out != "ok\n" {
		t.Errorf("--live says %q", out)
	}
	stop()
	if _, errs, code := w.tries("health", "--live"); code != exitFailed {
		t.Errorf("after the stop: exit code %d, %s", code, errs)
	}
	if _, errs, code := w.tries("health", "--set", "http.address="); code != exitUsage || !strings.Contains(errs, "http.address is empty") {
		t.Errorf("without a server: exit code %d, %s", code, errs)
	}
}

// TestHealthNotReady: a process that lives, but can't begin, says so.
func TestHealthNotReady(t *testing.T) {
	w := newWorld(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	_ = dead.Close() // nobody is there
	t.Setenv("MILLRANK_KAFKA_BOOTSTRAP_SERVERS", address)
	w.runs()
	w.eventually(func(out string) bool { return out == "ok\n" }, "health", "--live")
	if _, errs, code := w.tries("health"); code != exitFailed || !strings.Contains(errs, "not ready: starting") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
