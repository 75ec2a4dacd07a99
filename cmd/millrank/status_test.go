package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/microbatch"
)

const worldPartitions = 4

// world is a stream that 'millrank run' counts, on an embedded Kafka and an embedded Redis.
type world struct {
	*testing.T
	kafka  *embedded.Kafka
	redis  *embedded.Redis
	file   string
	client *kgo.Client
	sent   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"events": worldPartitions, "other": 3}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	redis, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	w := &world{T: t, kafka: kafka, redis: redis, file: filepath.Join(t.TempDir(), "millrank.yaml")}
	text := fmt.Sprintf(`name: shop
kafka: {bootstrap_servers: [%q], session_timeout: 2s}
source: {topic: events}
time: {idle_timeout: 300ms}
topics: {updates: {partitions: 2}, rankings: {partitions: 2}, dead_letters: {partitions: 2}}
redis: {addresses: [%q], prefix: "shop:"}
flush: {updates: 20ms, rankings: 20ms, redis: 20ms}
http: {address: %q}
log: {level: error}
boards:
  - {name: likes, window: 1m, k: 10}
  - {name: worst, window: 1m, k: 10, order: bottom, by: [global]}
`, kafka.Brokers()[0], redis.Addr(), address)
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.client, err = kafkaclient.New(microbatch.Connection{BootstrapServers: kafka.Brokers()}, kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

// runs starts 'millrank run', and stops it with the test or when the function is called.
func (w *world) runs() (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var errs bytes.Buffer
	go func() {
		defer close(ended)
		if code := execute(ctx, []string{"run", "--config", w.file}, nil, &errs, &errs); code != exitOK {
			w.Errorf("run: exit code %d\n%s", code, &errs)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	w.Cleanup(stop)
	return stop
}

// says runs a command that must succeed, and returns what it writes.
func (w *world) says(args ...string) string {
	w.Helper()
	out, errs, code := w.tries(args...)
	if code != exitOK {
		w.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

func (w *world) tries(args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	code = execute(w.Context(), append(args, "--config", w.file), strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// eventually repeats a command until it says what it must.
func (w *world) eventually(is func(out string) bool, args ...string) string {
	w.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(30 * time.Second)
	for {
		out, errs, _ := w.tries(args...)
		if is(out) {
			return out
		}
		select {
		case <-ticker.C:
		case <-late:
			w.Fatalf("%v never said what it must; last:\n%s%s", args, out, errs)
		}
	}
}

func (w *world) sends(partition int, stamp time.Time, key, value string, headers ...kgo.RecordHeader) {
	w.Helper()
	r := &kgo.Record{Topic: "events", Partition: int32(partition), Timestamp: stamp, Key: []byte(key), Value: []byte(value), Headers: headers}
	if err := w.client.ProduceSync(w.Context(), r).FirstErr(); err != nil {
		w.Fatal(err)
	}
	w.sent++
}

func likes(id, item, region string, at time.Time) string {
	text, err := json.Marshal(map[string]any{"event_id": id, "item_id": item, "region": region, "timestamp": at.UTC()})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// stateIs waits until status says so.
func (w *world) stateIs(is func(progress.State) bool) progress.State {
	w.Helper()
	var st progress.State
	w.eventually(func(out string) bool {
		st = progress.State{}
		return json.Unmarshal([]byte(out), &st) == nil && is(st)
	}, "status", "--json")
	return st
}

func hasCounted(n int64) func(progress.State) bool {
	return func(st progress.State) bool { return st.Verdict.Lag == 0 && st.Decisions["counted"] == n }
}

// TestStatus: before, while and after it runs.
func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if out := w.says("status"); !strings.Contains(out, "has never run") || !strings.Contains(out, "never heard") || !strings.Contains(out, "nobody") {
		t.Error(out)
	}
	stop := w.runs()
	began := time.Now().Add(-time.Hour)
	for p := range worldPartitions {
		w.sends(p, began, "k", likes(fmt.Sprint(p), "a", "eu", began))
	}
	w.sends(0, began, "k", likes("0", "a", "eu", began))
	st := w.stateIs(func(st progress.State) bool {
		return st.Verdict.OK && hasCounted(worldPartitions)(st) && st.Decisions["duplicate"] == 1
	})
	if st.Active != 1 || len(st.Processes) != 1 || len(st.Unreachable) != 0 || len(st.Groups) != 4 || len(st.Processes[0].Handlers) != 4 || len(st.Rankings) != 2 || st.Rankings[0].Owner == "" {
		t.Errorf("%+v", st)
	}
	out := w.says("status")
	for _, want := range []string{"All is well: 4 partitions, 0 records behind", "shop, generation 1: readers see it.", "shop.g1.leaderboard", "Records since 1 of the processes started: 1 duplicate, 4 counted; 0 conflicts."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	t.Log("\n" + out)
	if out := w.says("status", "--process", "http://127.0.0.1:1", "--watch"); !strings.Contains(out, "Not asked: http://127.0.0.1:1: no answer") {
		t.Error(out)
	}
	stop()
	if out := w.eventually(func(out string) bool { return strings.Contains(out, "Empty") }, "status"); !strings.Contains(out, "No process runs intake, rank, leaderboard, late of generation 1") {
		t.Error(out)
	}
	w.kafka.Close()
	if _, errs, code := w.tries("status", "--set", "kafka.request_timeout=100ms"); code != exitFailed || !strings.Contains(errs, "kafka.bootstrap_servers") {
		t.Errorf("without Kafka: exit code %d\n%s", code, errs)
	}
}
