package deployments

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
)

// stack is what docker-compose.yml runs, without containers: its commands, with its settings, on embedded servers.
type stack struct {
	*testing.T
	project *types.Project
	environ []string
	address string // of the HTTP server
	redis   *goredis.Client
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{T: t, project: project(t)}
	source := s.project.Services["source-topic"].Command
	if i := slices.Index(source, "--partitions"); i < 0 || source[i+1] != "4" || !slices.Contains(source, "wikipedia.edits") {
		t.Fatalf("source-topic: %v", source)
	}
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"wikipedia.edits": 4}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	redis, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	s.redis = goredis.NewClient(&goredis.Options{Addr: redis.Addr()})
	t.Cleanup(func() { _ = s.redis.Close() })
	clickhouse := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = free.Addr().String()
	_ = free.Close()
	s.environ = append(os.Environ(),
		"MILLRANK_KAFKA_BOOTSTRAP_SERVERS="+kafka.Brokers()[0], "MILLRANK_REDIS_ADDRESSES="+redis.Addr(), "MILLRANK_HTTP_ADDRESS="+s.address,
		"MILLRANK_CLICKHOUSE_ADDRESSES="+clickhouse.Addr(), "MILLRANK_CLICKHOUSE_PROTOCOL=http", "MILLRANK_CLICKHOUSE_USERNAME=default", "MILLRANK_FLUSH_HISTORY=1s")
	return s
}

// command returns a service's command. What it mounts stands where it is on this machine; change is for what a test can't wait for.
func (s *stack) command(ctx context.Context, service string, change ...string) *exec.Cmd {
	s.Helper()
	one := s.project.Services[service]
	args, folder := slices.Clone(one.Command), ""
	for _, v := range one.Volumes {
		for i := range args {
			if args[i] == v.Target {
				args[i] = v.Source
			}
		}
		if v.Target == "/etc/millrank/millrank.yaml" {
			folder = filepath.Dir(v.Source) // the image's folder
		}
	}
	for i := 0; i < len(change); i += 2 {
		at := slices.Index(args, change[i])
		if at < 0 {
			s.Fatalf("%s has no argument %s: %v", service, change[i], args)
		}
		args[at] = change[i+1]
	}
	c := exec.CommandContext(ctx, millrankPath(s.T), args...)
	c.Dir, c.Env = folder, s.environ
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 30 * time.Second
	return c
}

// ends runs a one-shot service.
func (s *stack) ends(service string, change ...string) {
	s.Helper()
	if out, err := s.command(s.Context(), service, change...).CombinedOutput(); err != nil {
		s.Fatalf("%s: %v\n%s", service, err, out)
	}
}

// goes starts a service that goes on until the test ends, and waits until its health check is content.
func (s *stack) goes(service string) {
	s.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := s.command(ctx, service)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		stop()
		if err := c.Wait(); err != nil && c.ProcessState.ExitCode() != 0 {
			s.Errorf("%s: %v\n%s", service, err, &log)
		}
	})
	check := s.project.Services[service].HealthCheck.Test
	if check[0] != "CMD" || check[1] != "/usr/local/bin/millrank" {
		s.Fatalf("%s: its health check is %v", service, check)
	}
	s.until(service+" is healthy", func() bool {
		health := exec.CommandContext(s.Context(), millrankPath(s.T), check[2:]...)
		health.Dir, health.Env = c.Dir, s.environ
		return health.Run() == nil
	})
}

func (s *stack) until(what string, is func() bool) {
	s.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-ticker.C:
		case <-late:
			s.Fatalf("it never came about that %s", what)
		}
	}
}

// scrape returns what Prometheus gets; nothing where the process is too busy to answer in time, as on a machine that does much else.
func (s *stack) scrape() (text []byte, contentType string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.address+"/metrics", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	if response.StatusCode == http.StatusServiceUnavailable {
		s.Logf("/metrics: %s, %s", response.Status, text)
		return nil, ""
	}
	if err != nil || response.StatusCode != http.StatusOK {
		s.Fatalf("/metrics: %s, %v", response.Status, err)
	}
	return text, response.Header.Get("Content-Type")
}

// entries returns what a key of Redis has, best first.
func (s *stack) entries(key string) (list [][2]any) {
	s.Helper()
	all, err := s.redis.ZRevRangeWithScores(s.Context(), key, 0, -1).Result()
	if err != nil {
		s.Fatal(err)
	}
	for _, z := range all {
		list = append(list, [2]any{z.Member, z.Score})
	}
	return list
}
