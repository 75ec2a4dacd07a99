//go:build e2e

package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/pipeline/settings"
)

type servers struct {
	kafka      []string
	redis      string
	clickhouse *embedded.ClickHouse
}

// measured is what a run has taken.
type measured struct {
	events, eventBytes int
	took               time.Duration
	processes          map[string]process // by handler
	topics, messages   map[string]float64 // bytes and records, by name
	redis, redisKeys   float64
	rows, bytes        map[string]float64 // of tables of the history; rollups together
	clickhouse         float64
}

// process is a handler in a process of its own.
type process struct {
	command   *exec.Cmd
	log       string
	live, rss int64 // what the collector has left in the end, and the most that the kernel has given
	cpu       time.Duration
}

// run runs a command to its end, and returns what it writes.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// await waits until something holds.
func await(t *testing.T, what string, holds func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	clock := time.NewTicker(100 * time.Millisecond)
	defer clock.Stop()
	for !holds(ctx) {
		select {
		case <-clock.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func measure(t *testing.T, on servers, program, file string, s settings.Settings, sc scale) (m measured) {
	client, err := kgo.NewClient(kgo.SeedBrokers(on.kafka...), kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(200_000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), int32(sc.traffic.Partitions), 1, nil, s.Source.Topic); err != nil {
		t.Fatal(err)
	}
	run(t, program, "topics", "-c", file)
	run(t, program, "migrate", "-c", file)
	m.processes = map[string]process{}
	for _, handler := range []string{settings.Intake, settings.Rank, settings.Leaderboard, settings.History} {
		m.processes[handler] = start(t, program, file, handler)
	}
	await(t, "all handlers have their partitions", func(ctx context.Context) bool {
		parts := []string{settings.Intake, settings.Rank, settings.Leaderboard, settings.HistoryCells, settings.HistoryRankings, settings.HistoryDeadLetters}
		for _, part := range parts {
			groups, err := admin.DescribeGroups(ctx, s.Group(part))
			if err != nil || groups[s.Group(part)].State != "Stable" {
				return false
			}
		}
		return true
	})
	redis := goredis.NewClient(&goredis.Options{Addr: on.redis})
	defer redis.Close()
	keysBefore, memoryBefore := redisHolds(t, redis, s.Redis.Prefix)

	l := newLoad(t, sc.traffic)
	await(t, "a window begins", func(context.Context) bool { // so that there are as many windows as go into the time
		return time.Now().UnixMilli()%sc.begin.Std().Milliseconds() < 200
	})
	m.events, m.took = l.produce(t, client, s.Source.Topic, sc.seconds)
	await(t, "all events are counted and ranked", func(ctx context.Context) bool { return level(ctx, program, file, s) })
	m.topics, m.messages = topicBytes(t, admin, s)
	m.eventBytes = int(m.topics[s.Source.Topic]) / m.events
	keys, memory := redisHolds(t, redis, s.Redis.Prefix)
	m.redisKeys, m.redis = keys-keysBefore, memory-memoryBefore
	for handler, p := range m.processes {
		m.processes[handler] = p.stop(t)
	}
	m.history(t, on.clickhouse, s)
	return m
}

// level reports whether all that was produced has become lists, by 'millrank status'.
func level(ctx context.Context, program, file string, s settings.Settings) bool {
	out, _ := exec.CommandContext(ctx, program, "status", "-c", file, "--json").Output() // its exit code says how things stand
	var status struct {
		Partitions []struct {
			LogEnd    int64 `json:"log_end"`
			Published int64 `json:"published"`
		} `json:"partitions"`
		Groups []struct {
			Group string `json:"group"`
			Lag   int64  `json:"lag"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(out, &status); err != nil || len(status.Partitions) == 0 || len(status.Groups) == 0 {
		return false
	}
	for _, p := range status.Partitions {
		if p.Published < p.LogEnd-1 {
			return false
		}
	}
	const heartbeats = 100 // messages that come while it is asked
	for _, g := range status.Groups {
		if (g.Group == s.Group(settings.Rank) || g.Group == s.Group(settings.Leaderboard)) && g.Lag > heartbeats {
			return false
		}
	}
	return true
}

// start starts a handler, whose collector says what is live (GODEBUG=gctrace=1).
func start(t *testing.T, program, file, handler string) process {
	t.Helper()
	p := process{log: filepath.Join(t.TempDir(), handler+".log"), command: exec.Command(program, "run", "-c", file, "--handlers", handler)}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.command.Stdout, p.command.Stderr, p.command.Env = out, out, append(os.Environ(), "GODEBUG=gctrace=1")
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it may have ended
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("%s, its end:\n%s", handler, text[max(0, len(text)-1500):])
		}
	})
	return p
}

// stop ends it, and returns what it has taken.
func (p process) stop(t *testing.T) process {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	p.rss = most(t, status, `VmHWM:\s+(\d+) kB`) << 10
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("%s: %v", filepath.Base(p.log), err)
	}
	p.cpu = p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.live = lately(t, text) << 20
	return p
}

// most returns the greatest number that a pattern finds.
func most(t *testing.T, text []byte, pattern string) int64 {
	t.Helper()
	return slices.Max(append(numbers(t, text, pattern), 0))
}

// lately returns what is live, MiB: the most of the last third of collections. (Those of the start, when all is read at once that is there, say nothing.)
func lately(t *testing.T, log []byte) int64 {
	t.Helper()
	all := numbers(t, log, `->(\d+) MB, \d+ MB goal`)
	if len(all) == 0 {
		t.Fatal("no collection is in the log")
	}
	return slices.Max(all[len(all)*2/3:])
}

func numbers(t *testing.T, text []byte, pattern string) (all []int64) {
	t.Helper()
	for _, found := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		n, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// topicBytes returns how large the stream's topics are on disk, and how many records they have.
func topicBytes(t *testing.T, admin *kadm.Client, s settings.Settings) (sizes, records map[string]float64) {
	t.Helper()
	logs, err := admin.DescribeAllLogDirs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sizes, records = map[string]float64{}, map[string]float64{}
	ends, err := admin.ListEndOffsets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { records[o.Topic] += float64(o.Offset) })
	logs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { sizes[p.Topic] += float64(p.Size) })
	})
	for _, topic := range []string{s.Source.Topic, s.UpdatesTopic(), s.RankingsTopic(), s.DeadLettersTopic()} {
		if sizes[topic] == 0 {
			t.Fatalf("topic %s has no size in %v", topic, sizes)
		}
	}
	return sizes, records
}

// redisHolds returns how many lists Redis holds under a prefix, and the memory that it uses.
func redisHolds(t *testing.T, redis *goredis.Client, prefix string) (lists, memory float64) {
	t.Helper()
	info, err := redis.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	keys := redis.ScanType(t.Context(), 0, prefix+"*", 1000, "zset").Iterator()
	for keys.Next(t.Context()) {
		lists++
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	return lists, float64(most(t, []byte(info), `used_memory:(\d+)`))
}

// history merges the tables and refreshes the roll-ups, and asks how large they are.
func (m *measured) history(t *testing.T, server *embedded.ClickHouse, s settings.Settings) {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{server.Addr()}, Protocol: clickhouse.HTTP, Auth: clickhouse.Auth{Database: s.ClickHouse.Database}, ReadTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string) {
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, table := range []string{"cells", "rankings", "dead_letters"} {
		exec("OPTIMIZE TABLE " + table + " FINAL")
	}
	for _, period := range []string{"hour", "day", "week", "month", "year"} {
		exec("SYSTEM REFRESH VIEW refresh_" + period)
		exec("SYSTEM WAIT VIEW refresh_" + period)
	}
	for _, period := range []string{"hour", "day", "week", "month", "year"} {
		exec("SYSTEM STOP VIEW refresh_" + period) // one that is due now would write rows anew
		exec("OPTIMIZE TABLE rollup_" + period + " FINAL")
	}
	rows, err := conn.Query(t.Context(), "SELECT table, toFloat64(sum(rows)), toFloat64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	m.rows, m.bytes = map[string]float64{}, map[string]float64{}
	for rows.Next() {
		var table string
		var n, size float64
		if err := rows.Scan(&table, &n, &size); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(table, "rollup_") {
			table = "rollups"
		}
		m.rows[table] += n
		m.bytes[table] += size
		m.clickhouse += size
	}
	if err := rows.Err(); err != nil || m.rows["cells"] == 0 || m.rows["rollups"] == 0 {
		t.Fatalf("%v; rows %v", err, m.rows)
	}
}
