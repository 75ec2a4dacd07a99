package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // one for the process
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// engine is a running pipeline with its servers.
type engine struct {
	t        *testing.T
	kafka    *embedded.Kafka
	redis    *embedded.Redis
	settings settings.Settings
	stop     context.CancelFunc
	ended    chan error
	client   *goredis.Client
	like     *microbatch.Publisher
	liked    int
	logger   *slog.Logger
}

// newEngine starts servers, but no pipeline yet. more are settings, over the test's own.
func newEngine(t *testing.T, more ...string) *engine {
	t.Helper()
	e := &engine{t: t}
	var err error
	if e.kafka, err = embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"likes": 2}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.kafka.Close)
	if e.redis, err = embedded.StartRedis(embedded.RedisOptions{Clock: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.redis.Close)
	e.settings = load(t, append([]string{
		"name=likes", "source.topic=likes", "kafka.bootstrap_servers=" + e.kafka.Brokers()[0], "redis.addresses=" + e.redis.Addr(), "redis.timeout=1s", "topics.replication_factor=1",
		"boards=[{name: likes, window: 1h, k: 10}]", "http.address=" + freeAddress(t), "shutdown_timeout=5s",
		"kafka.session_timeout=10s", // long, since nobody dies; but less than patience, where one ends without leaving its group
	}, more...)...)
	e.client = goredis.NewClient(&goredis.Options{Addr: e.redis.Addr()})
	t.Cleanup(func() { _ = e.client.Close() })
	return e
}

func load(t *testing.T, set ...string) settings.Settings {
	t.Helper()
	s, err := settings.Load(settings.From{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run runs the pipeline, and ends it with the test.
func (e *engine) run() {
	e.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	e.stop, e.ended = stop, make(chan error, 1)
	go func() { e.ended <- pipeline.Run(ctx, e.settings, pipeline.Options{Version: "test", Logger: e.logger}) }()
	e.t.Cleanup(stop)
}

// end ends the pipeline, and returns what Run does.
func (e *engine) end() error {
	e.t.Helper()
	e.stop()
	select {
	case err := <-e.ended:
		return err
	case <-time.After(patience):
		e.t.Fatal("it doesn't end")
		return nil
	}
}

// get asks the pipeline's own server.
func (e *engine) get(path string) (int, string) { return e.getAs(path, "") }

// getAs asks it for a format.
func (e *engine) getAs(path, format string) (int, string) {
	request, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, "http://"+e.settings.HTTP.Address+path, http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	request.Header.Set("Accept", format)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// health asks how the handlers are.
func (e *engine) health() (int, pipeline.Health) {
	e.t.Helper()
	code, body := e.get("/readyz")
	var h pipeline.Health
	if code != 0 {
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			e.t.Fatalf("%s: %v", body, err)
		}
	}
	return code, h
}

// handler returns how one handler is.
func (e *engine) handler(name string) pipeline.HandlerHealth {
	_, h := e.health()
	i := slices.IndexFunc(h.Handlers, func(one pipeline.HandlerHealth) bool { return one.Name == name })
	if i < 0 {
		return pipeline.HandlerHealth{}
	}
	return h.Handlers[i]
}

// send sends an event, or what else value is, of an item.
func (e *engine) send(item, value string) {
	e.t.Helper()
	if e.like == nil {
		var err error
		if e.like, err = microbatch.NewPublisher(microbatch.DefaultPublisherConfig(e.settings.Connection()), nil); err != nil {
			e.t.Fatal(err)
		}
		e.t.Cleanup(func() { _ = e.like.Close() })
	}
	if value == "" {
		e.liked++
		value = fmt.Sprintf(`{"event_id":"%d","item_id":%q,"region":"eu","timestamp":%q}`, e.liked, item, time.Now().Format(time.RFC3339))
	}
	m := message.NewMessage("", []byte(value))
	m.Metadata.Set(microbatch.MetadataKey, item)
	if err := e.like.Publish("likes", m); err != nil {
		e.t.Fatal(err)
	}
}

// score returns an item's score in Redis.
func (e *engine) score(item string) float64 {
	return e.client.ZScore(e.t.Context(), "global:top_k", item).Val()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it took more than %v until %s", patience, what)
		}
	}
}

// TestRun: it counts, says that it is ready, and ends when it is told to, with all committed: the next run replays nothing that it publishes again.
func TestRun(t *testing.T) {
	e := newEngine(t)
	e.run()
	eventually(t, "it is ready", func() bool { code, _ := e.health(); return code == http.StatusOK })
	e.send("tea", "")
	e.send("tea", "")
	eventually(t, "tea has two likes", func() bool { return e.score("tea") == 2 })
	if code, body := e.get("/livez"); code != http.StatusOK || !strings.Contains(body, "alive") {
		t.Errorf("/livez: %d %s", code, body)
	}
	if code, body := e.get("/status"); code != http.StatusOK || !strings.Contains(body, `"counted": 2`) || !strings.Contains(body, `"version": "test"`) {
		t.Errorf("/status: %d %s", code, body)
	}
	if code, _ := e.get("/nothing"); code != http.StatusNotFound {
		t.Errorf("/nothing: %d, want 404", code)
	}
	if code, body := e.get("/debug/pprof/goroutine"); code != http.StatusForbidden || !strings.Contains(body, "http.profiles") {
		t.Errorf("a profile without leave: %d %s", code, body)
	}
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if code, _ := e.get("/livez"); code != 0 {
		t.Errorf("the HTTP server answers still: %d", code)
	}
	e.settings.HTTP.Profiles = true
	e.run()
	e.send("tea", "")
	eventually(t, "tea has three likes", func() bool { return e.score("tea") == 3 })
	if code, body := e.get("/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("a profile: %d %.100s", code, body)
	}
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestKafkaAway: a Kafka that can't be reached at the start is waited for; it is alive, and not ready, and says so. It can be stopped meanwhile.
func TestKafkaAway(t *testing.T) {
	e := newEngine(t)
	e.settings.Kafka.BootstrapServers = []string{freeAddress(t)}
	e.run()
	eventually(t, "it says that it is starting", func() bool {
		code, h := e.health()
		return code == http.StatusServiceUnavailable && strings.Contains(h.Error, "starting")
	})
	if code, _ := e.get("/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d, want 200", code)
	}
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v, want nothing: it was told to", err)
	}
}

// TestWrongTopics: what doesn't pass by itself ends it at once, and says what to do.
func TestWrongTopics(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"no source":         {"source.topic=nothing", "topic nothing: it is missing, but must be there"},
		"wrong partitions":  {"topics.updates.partitions=5", "the number of partitions is 4, but must be 5"},
		"address is in use": {"http.address=", "http.address"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			if _, err := pipeline.EnsureTopics(t.Context(), e.settings); err != nil {
				t.Fatal(err)
			}
			more := newEngine(t, c.set)
			more.settings.Kafka = e.settings.Kafka
			if name == "address is in use" {
				l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				more.settings.HTTP.Address = l.Addr().String()
			}
			err := pipeline.Run(t.Context(), more.settings, pipeline.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it ended with %v, want %q", err, c.want)
			}
		})
	}
}

// TestOnePartStops: a handler that can't go on stops alone. Health says which, and why; the others go on, and when it is the last, Run says why.
func TestOnePartStops(t *testing.T) {
	e := newEngine(t)
	e.run()
	e.send("tea", "")
	eventually(t, "tea is liked", func() bool { return e.score("tea") == 1 })
	if err := e.end(); err != nil {
		t.Fatal(err)
	}
	e.damage("likes.g1.leaderboard", "likes.g1.rankings")
	e.run()
	eventually(t, "the leaderboard has stopped", func() bool {
		h := e.handler("leaderboard")
		return h.State == "stopped" && strings.Contains(h.Error, "damaged")
	})
	eventually(t, "the intake runs", func() bool { return e.handler("intake").State == "running" })
	if code, _ := e.health(); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d with a handler that has stopped, want 503", code)
	}
	e.send("tea", "")
	eventually(t, "the intake counts", func() bool { _, body := e.get("/status"); return strings.Contains(body, `"counted": 1`) })
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v; it was told to", err)
	}
	e.settings = load(t, "name=likes", "source.topic=likes", "kafka.bootstrap_servers="+e.kafka.Brokers()[0], "redis.addresses="+e.redis.Addr(),
		"topics.replication_factor=1", "boards=[{name: likes, window: 1h, k: 10}]", "handlers=leaderboard", "http.address=")
	e.run()
	select {
	case err := <-e.ended:
		if err == nil || !errors.Is(err, microbatch.ErrDamaged) {
			t.Errorf("it ended with %v, want %v", err, microbatch.ErrDamaged)
		}
	case <-time.After(patience):
		t.Error("it goes on, though all that it runs has stopped")
	}
}

// TestRedisAway: without Redis the others go on, health says what is waited for, and lists are there when it is back.
func TestRedisAway(t *testing.T) {
	e := newEngine(t)
	e.run()
	e.send("tea", "")
	eventually(t, "tea is liked", func() bool { return e.score("tea") == 1 })
	e.redis.Server().SetError("LOADING it is not there")
	e.send("tea", "")
	eventually(t, "the leaderboard waits", func() bool { e.send("tea", ""); return e.handler("leaderboard").State == "waiting" })
	eventually(t, "the intake counts", func() bool {
		_, body := e.get("/status")
		return strings.Contains(body, fmt.Sprintf(`"counted": %d`, e.liked))
	})
	e.redis.Server().SetError("")
	eventually(t, "all likes are there", func() bool { return e.score("tea") == float64(e.liked) })
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestPaused: when a producer goes wild, reading pauses, and health says so.
func TestPaused(t *testing.T) {
	e := newEngine(t, "limits.dead_letter_min=10", "limits.dead_letter_pause=1h")
	e.run()
	for range 50 {
		e.send("tea", "{")
	}
	eventually(t, "it pauses", func() bool { return e.handler("intake").State == "paused" })
	if err := e.end(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestGenerationsTopicMadeAnew: when the topic that says what is active was lost, Redis's memory of later activations doesn't keep the lists from readers.
func TestGenerationsTopicMadeAnew(t *testing.T) {
	e := newEngine(t)
	e.run()
	e.send("tea", "")
	eventually(t, "tea is liked", func() bool { return e.score("tea") == 1 })
	if err := e.end(); err != nil {
		t.Fatal(err)
	}
	second := e.settings
	second.Generation = 2
	if _, err := pipeline.EnsureTopics(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if a, err := pipeline.Activate(t.Context(), e.settings, 2); err != nil || a.Epoch != 2 {
		t.Fatalf("activated: %+v, %v", a, err)
	}
	if n := e.score("tea"); n != 0 {
		t.Fatalf("readers see %v likes in generation 2, want none", n)
	}
	if _, err := e.admin().DeleteTopics(t.Context(), "likes.generations"); err != nil {
		t.Fatal(err)
	}
	e.run()
	e.send("tea", "")
	eventually(t, "tea has two likes", func() bool { return e.score("tea") == 2 })
	if a, err := pipeline.ActiveGeneration(t.Context(), e.settings); err != nil || a.Generation != 1 || a.Epoch != 3 {
		t.Errorf("active is %+v (%v), want generation 1, epoch 3", a, err)
	}
	if err := e.end(); err != nil {
		t.Error(err)
	}
}

// TestRebuild: what somebody has deleted or changed in Redis is there again when a rebuild is done; it is right with nothing running, too, as far as it says so.
func TestRebuild(t *testing.T) {
	e := newEngine(t)
	if _, err := pipeline.EnsureTopics(t.Context(), e.settings); err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.RebuildRedis(t.Context(), e.settings, time.Second, func(int, int) {}); !errors.Is(err, pipeline.ErrNoGeneration) {
		t.Errorf("rebuilding before anything has run: %v, want %v", err, pipeline.ErrNoGeneration)
	}
	e.run()
	for range 3 {
		e.send("tea", "")
	}
	eventually(t, "tea has three likes", func() bool { return e.score("tea") == 3 })
	key := "global:top_k:likes"
	e.client.Del(t.Context(), key)
	e.client.ZIncrBy(t.Context(), "global:top_k", 39, "tea")
	partitions, err := pipeline.RebuildRedis(t.Context(), e.settings, patience, func(int, int) {})
	if err != nil || partitions != 4 {
		t.Fatalf("%d partitions, %v", partitions, err)
	}
	for _, key := range []string{key, "global:top_k"} {
		if n := e.client.ZScore(t.Context(), key, "tea").Val(); n != 3 {
			t.Errorf("%s: tea has %v likes, want 3", key, n)
		}
	}
	if err := e.end(); err != nil {
		t.Error(err)
	}
	if _, err := pipeline.RebuildRedis(t.Context(), e.settings, time.Second, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "is 'millrank run' running") {
		t.Errorf("rebuilding with nothing that runs: %v", err)
	}
}
