package security_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/testserver"
	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

const (
	// patience bounds every wait for something that must happen.
	patience = 60 * time.Second
	// toldWithin is what docs/security.md promises: what keeps a connection from being made is said so soon.
	toldWithin = 15 * time.Second
	// busy is how many times slower than that a machine may be on which other tests run, too.
	busy = 3
)

// stream is a source topic of its own, with the settings that reach it.
type stream struct {
	t    *testing.T
	name string
	set  []string
}

// newStream makes a topic, and settings of how to reach it.
func newStream(t *testing.T, set ...string) *stream {
	t.Helper()
	k := kafka.Get(t)
	s := &stream{t: t, name: fmt.Sprintf("s%d", time.Now().UnixNano())}
	if err := k.CreateTopic(t.Context(), s.name, 2, nil); err != nil {
		t.Fatal(err)
	}
	s.set = append([]string{
		"name=" + s.name, "source.topic=" + s.name, "boards=[{name: likes, window: 1h, k: 10}]", "topics.replication_factor=1", "topics.updates.partitions=2", "topics.rankings.partitions=1",
		"topics.dead_letters.partitions=1", "http.address=127.0.0.1:0", "shutdown_timeout=10s", "kafka.session_timeout=6s", "flush.updates=50ms", "flush.rankings=50ms", "flush.redis=50ms",
	}, set...)
	return s
}

func (s *stream) settings(set ...string) settings.Settings {
	s.t.Helper()
	loaded, err := settings.Load(settings.From{Set: append(slices.Clone(s.set), set...)})
	if err != nil {
		s.t.Fatal(err)
	}
	return loaded
}

// scram returns how millrank, or another user, logs in over encryption.
func scram(k *guarded, user string) []string {
	return []string{
		"kafka.bootstrap_servers=" + k.BrokersSASLTLS()[0], "kafka.security_protocol=SASL_SSL", "kafka.ssl_ca_location=" + k.ca(),
		"kafka.sasl_mechanism=SCRAM-SHA-512", "kafka.sasl_username=" + user, "kafka.sasl_password=" + kafkaPassword,
	}
}

// mutual returns how millrank comes by a certificate.
func mutual(t *testing.T, k *guarded) []string {
	t.Helper()
	certificate, key := pem(t, k.issue(t, "millrank"))
	return []string{
		"kafka.bootstrap_servers=" + k.BrokersTLS()[0], "kafka.security_protocol=SSL", "kafka.ssl_ca_location=" + k.ca(),
		"kafka.ssl_certificate_location=" + certificate, "kafka.ssl_key_location=" + key,
	}
}

// guardedRedis starts a Redis that wants certificates, and has the user of deployments/acl/redis.acl; it returns the settings that reach it.
func guardedRedis(t *testing.T, k *guarded) (server *redisserver.Server, set []string) {
	t.Helper()
	own := k.issue(t, "redis", "127.0.0.1")
	server = redisserver.StartTest(t, redisserver.Options{TLS: &own, ClientAuthority: k.authority.CertificatePEM})
	text, err := os.ReadFile("../../deployments/acl/redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	admin := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer admin.Close()
	for line := range strings.Lines(strings.Replace(string(text), ">PASSWORD", ">"+redisPassword, 1)) {
		do := []any{"ACL", "SETUSER"}
		for field := range strings.FieldsSeq(strings.TrimPrefix(line, "user ")) {
			do = append(do, field)
		}
		if err := admin.Do(t.Context(), do...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := pem(t, k.issue(t, "millrank"))
	return server, []string{
		"redis.addresses=" + server.AddrTLS(), "redis.tls.enabled=true", "redis.tls.ca_file=" + k.ca(), "redis.tls.certificate_file=" + certificate, "redis.tls.key_file=" + key,
		"redis.username=millrank", "redis.password=" + redisPassword, "redis.prefix=shop:", "redis.timeout=4s",
	}
}

// running is a pipeline that runs.
type running struct {
	t     *testing.T
	log   *output
	stop  context.CancelFunc
	ended chan error
}

// run runs a pipeline with all that it logs kept, until the test is over.
func run(t *testing.T, s settings.Settings) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{t: t, log: &output{}, stop: stop, ended: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- pipeline.Run(ctx, s, pipeline.Options{Logger: logger, Version: "test"})
	}()
	t.Cleanup(func() {
		stop()
		<-done
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// end ends it, and returns what Run returns.
func (r *running) end() error {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("it doesn't end")
		return nil
	}
}

// address returns where its HTTP server listens.
func (r *running) address() string {
	r.t.Helper()
	var found string
	eventually(r.t, "it has an HTTP server", func() bool {
		_, rest, ok := strings.Cut(r.log.String(), `msg="HTTP server" address=`)
		found, rest, _ = strings.Cut(rest, " ")
		return ok && strings.Contains(rest, "\n")
	})
	return found
}

func (r *running) ready() bool {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.address()+"/readyz", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// output is what something has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it took more than %v until %s", limit, what)
		}
	}
}

// produce sends n events of some items, each twice, and one that is malformed, and returns how often each item comes, without the repeats.
func (s *stream) produce(n int) map[string]float64 {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Get(s.t).Brokers()...), kgo.DefaultProduceTopic(s.name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	want := map[string]float64{}
	var records []*kgo.Record
	for i := range n {
		item := "item" + strconv.Itoa(i%7*i%5)
		want[item]++
		value := fmt.Appendf(nil, `{"event_id":"%d","item_id":%q,"region":"eu","timestamp":"2026-01-31T08:00:%02dZ"}`, i, item, i%5)
		records = append(records, &kgo.Record{Key: []byte(item), Value: value}, &kgo.Record{Key: []byte(item), Value: value})
	}
	records = append(records, &kgo.Record{Key: []byte("x"), Value: []byte("broken")})
	if err := client.ProduceSync(s.t.Context(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
	return want
}

// scores returns the list of all regions together.
func scores(t *testing.T, server *redisserver.Server) map[string]float64 {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	found := map[string]float64{}
	for _, z := range client.ZRangeWithScores(t.Context(), "shop:global:top_k", 0, -1).Val() {
		name, _ := z.Member.(string)
		found[name] = z.Score
	}
	return found
}

func (s *stream) counts(server *redisserver.Server, want map[string]float64) {
	s.t.Helper()
	var found map[string]float64
	defer func() {
		if s.t.Failed() {
			s.t.Errorf("the list is %v, want %v", found, want)
		}
	}()
	eventually(s.t, "the list is exact", func() bool {
		found = scores(s.t, server)
		return maps.Equal(found, want)
	})
}

// built is the program, in a folder of its own.
type built struct{ path string }

// Close removes it.
func (b *built) Close() error { return os.RemoveAll(filepath.Dir(b.path)) }

var program = testserver.NewShared(func() error { return nil }, func(ctx context.Context) (*built, error) {
	folder, err := os.MkdirTemp("", "millrank-built-")
	if err != nil {
		return nil, err
	}
	b := &built{filepath.Join(folder, "millrank")}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.path, "../../cmd/millrank").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building the program: %w\n%s", err, out), b.Close())
	}
	return b, nil
})

// command runs a command of the program, and returns all that it writes, its exit code, and how long it took.
func (s *stream) command(set []string, args ...string) (out string, code int, took time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	args = append(args, "--config", "")
	for _, one := range append(slices.Clone(s.set), set...) {
		args = append(args, "--set", one)
	}
	began := time.Now()
	c := exec.CommandContext(ctx, program.Get(s.t).path, args...)
	text, _ := c.CombinedOutput() // how it ended is the exit code
	return string(text), c.ProcessState.ExitCode(), time.Since(began)
}

// letters returns the dead letters, with their headers.
func (s *stream) letters(t *testing.T) []string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Get(t).Brokers()...), kgo.ConsumeTopics(s.settings("kafka.bootstrap_servers="+kafka.Get(t).Brokers()[0], "kafka.security_protocol=PLAINTEXT",
		"kafka.sasl_mechanism=", "kafka.sasl_username=", "kafka.ssl_ca_location=").DeadLettersTopic()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all []string
	eventually(t, "there are dead letters", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, r := range client.PollFetches(ctx).Records() {
			text := string(r.Key) + string(r.Value)
			for _, h := range r.Headers {
				text += h.Key + string(h.Value)
			}
			all = append(all, text)
		}
		return len(all) > 0
	})
	return all
}
