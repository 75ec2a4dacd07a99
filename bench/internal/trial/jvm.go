package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/microbatch"
)

// JVM is a peer that runs in Java: its program is in bench/peers, and scripts/peers.sh makes it.
type JVM struct {
	name, what string
	peer       string // its folder
	class      string
	flags      []string // of java
	arguments  func(r Round, out string) []string
}

// Name is Engine's.
func (j JVM) Name() string { return j.name }

// What is Engine's.
func (j JVM) What() string { return j.what }

// Peers returns all of them. They know one job only: the windows, out-of-orderness and lateness of workload.Default.
func Peers() []JVM {
	flink := func(name, mode, what string) JVM {
		return JVM{
			name: name, what: "Apache Flink, DataStream, checkpoints every 10 s: " + what + ". It judges lateness by the least watermark over all partitions, so it admits late events that the job's rule drops, and its tables differ", peer: "flink", class: "bench.FlinkTopK",
			flags: []string{"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.time=ALL-UNNAMED"},
			arguments: func(r Round, out string) []string {
				return []string{"--brokers", r.Brokers[0], "--topic", r.Topic, "--out", out, "--mode", mode, "--checkpoints", filepath.Join(r.Folder, "checkpoints")}
			},
		}
	}
	streams := func(name, store, exactlyOnce, what string) JVM {
		return JVM{
			name: name, what: "Kafka Streams, Processor API, changelogs: " + what, peer: "kstreams", class: "bench.KsTopK",
			arguments: func(r Round, out string) []string {
				return []string{
					"--brokers", r.Brokers[0], "--topic", r.Topic, "--out", out, "--store", store, "--eos", exactlyOnce, "--app", r.Name,
					"--partitions", strconv.Itoa(r.Workload.Partitions), "--state", filepath.Join(r.Folder, "state"),
				}
			},
		}
	}
	return []JVM{
		flink("flink-fused", "fused", "deduplicated and counted in one operator"),
		flink("flink", "keyed", "deduplicated by event ID, then counted in windows"),
		streams("streams", "mem", "false", "stores in memory, at least once"),
		streams("streams-rocksdb", "rocksdb", "true", "stores in RocksDB, exactly_once_v2"),
	}
}

// heap is how much a JVM may have for its objects.
const heap = "-Xmx4g"

// Launch is Engine's.
func (j JVM) Launch(ctx context.Context, r Round) (Launch, error) {
	d, w := workload.Default(), r.Workload
	if w.Window != d.Window || w.OutOfOrderness != d.OutOfOrderness || w.AllowedLateness != d.AllowedLateness {
		return Launch{}, fmt.Errorf("it has windows of %v, out-of-orderness %v and allowed lateness %v built in", d.Window, d.OutOfOrderness, d.AllowedLateness)
	}
	root, err := process.Root(ctx)
	if err != nil {
		return Launch{}, err
	}
	at := filepath.Join(root, ".tools", "peers", j.peer)
	if _, err := os.Stat(filepath.Join(at, "made")); err != nil {
		return Launch{}, errors.Join(err, errors.New("it isn't there: scripts/peers.sh makes it"))
	}
	out := r.Name + ".out"
	if err := createOutput(ctx, r.Brokers, microbatch.Topic{Name: out, Partitions: 1}); err != nil {
		return Launch{}, err
	}
	arguments := append([]string{heap, "-Dlog4j2.configurationFile=" + filepath.Join(root, "bench", "peers", "log4j2.xml")}, j.flags...)
	arguments = append(arguments, "-cp", filepath.Join(at, "classes")+":"+filepath.Join(at, "lib", "*"), j.class)
	//nolint:noctx // whoever launches it ends it
	command := exec.Command("java", append(arguments, j.arguments(r, out)...)...)
	return Launch{Commands: []*exec.Cmd{command}, Out: out, Decode: jsonRows, Total: true}, nil
}
