package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Machine is what was measured on, and with.
type Machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Kafka  string `json:"kafka"`
	Java   string `json:"java"`
	// Flink and Streams are versions of peers, as scripts/peers.sh has gathered them; empty where it hasn't.
	Flink   string `json:"flink,omitempty"`
	Streams string `json:"kafka_streams,omitempty"`
	Commit  string `json:"commit"` // of the repository; with a + where files differ from it
}

// ThisMachine finds out; what can't be found out is left empty.
func ThisMachine(ctx context.Context) Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = after("/proc/cpuinfo", "model name")
	_, _ = fmt.Sscan(after("/proc/meminfo", "MemTotal"), &m.Memory)
	m.Memory *= 1024
	m.Kernel = said(ctx, "uname", "-sr")
	java, _, _ := strings.Cut(said(ctx, "java", "--version"), "\n")
	m.Java = java
	if root, err := Root(ctx); err == nil {
		tools := filepath.Join(root, ".tools")
		m.Kafka = versionOf(filepath.Join(tools, "kafka", "lib"), "kafka_")
		m.Flink = versionOf(filepath.Join(tools, "peers", "flink", "lib"), "flink-streaming-java")
		m.Streams = versionOf(filepath.Join(tools, "peers", "kstreams", "lib"), "kafka-streams")
		m.Commit = said(ctx, "git", "-C", root, "rev-parse", "--short", "HEAD")
		if said(ctx, "git", "-C", root, "status", "--porcelain", "--untracked-files=no") != "" {
			m.Commit += "+"
		}
	}
	return m
}

// versionOf returns the version of the only jar in a folder whose name begins like this; empty where there is none.
func versionOf(folder, name string) string {
	jars, _ := filepath.Glob(filepath.Join(folder, name+"*.jar")) // the pattern is fine
	if len(jars) != 1 {
		return ""
	}
	return strings.TrimSuffix(jars[0][strings.LastIndexByte(jars[0], '-')+1:], ".jar")
}

// String returns it in a line.
func (m Machine) String() string {
	peers := ""
	if m.Flink != "" {
		peers = fmt.Sprintf("; Flink %s, Kafka Streams %s", m.Flink, m.Streams)
	}
	return fmt.Sprintf("%d CPUs (%s), %d MiB of memory, %s; %s; Apache Kafka %s on %s%s; commit %s", m.CPUs, m.CPU, m.Memory>>20, m.Kernel, m.Go, m.Kafka, m.Java, peers, m.Commit)
}

// Root returns the repository's folder, from any folder inside of it.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == os.DevNull {
		return "", fmt.Errorf("the repository isn't found (%w): run it inside of it, with go on PATH", err)
	}
	return filepath.Dir(file), nil
}

// after returns what stands behind a name and a colon in a file, in its first line of that name.
func after(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(text, []byte(name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.Trim(string(line), " \t:")
}

// said returns what a program has written, empty where it failed.
func said(ctx context.Context, name string, arguments ...string) string {
	out, err := exec.CommandContext(ctx, name, arguments...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
