package redisserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/redisserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, addrs ...string) goredis.UniversalClient {
	t.Helper()
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestServerLosesItsDataUnlessItKeepsThem(t *testing.T) {
	for _, test := range []struct {
		name       string
		appendOnly bool
		data       redisserver.Data
		want       int64
	}{
		{"memory", false, redisserver.Keep, 0},
		{"disk", true, redisserver.Keep, 1},
		{"erased", true, redisserver.Erase, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := redisserver.StartTest(t, redisserver.Options{AppendOnly: test.appendOnly})
			client := connect(t, server.Addr())
			if err := client.Set(t.Context(), "a", "1", 0).Err(); err != nil {
				t.Fatal(err)
			}
			server.Kill()
			if err := client.Ping(t.Context()).Err(); err == nil {
				t.Error("a killed server answers")
			}
			if err := server.Restart(t.Context(), test.data); err != nil {
				t.Fatal(err)
			}
			if n, err := client.DBSize(t.Context()).Result(); err != nil || n != test.want {
				t.Errorf("%d keys after a restart (%v), want %d", n, err, test.want)
			}
		})
	}
}

func TestPausedServerIsSilent(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	client := connect(t, server.Addr())
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := client.Ping(ctx).Err(); err == nil {
		t.Error("a paused server answers")
	}
	server.Continue()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	server.Pause()
	server.Stop() // also while it is paused
}

func TestSettings(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{Settings: map[string]string{"maxmemory": "123mb"}})
	got, err := connect(t, server.Addr()).ConfigGet(t.Context(), "maxmemory").Result()
	if err != nil || got["maxmemory"] != "128974848" {
		t.Errorf("maxmemory is %v (%v)", got, err)
	}
	if _, err := redisserver.Start(t.Context(), redisserver.Options{Settings: map[string]string{"no-such": "thing"}}); err == nil || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("a wrong setting gave %v, which doesn't show the log", err)
	}
}

func TestReplicaHasItsMastersKeys(t *testing.T) {
	master := redisserver.StartTest(t, redisserver.Options{})
	if err := connect(t, master.Addr()).Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	replica := connect(t, redisserver.StartTest(t, redisserver.Options{ReplicaOf: master.Addr()}).Addr())
	until(t, func() bool { return replica.Exists(t.Context(), "a").Val() == 1 })
}

func TestCluster(t *testing.T) {
	cluster := redisserver.StartClusterTest(t, 3, redisserver.Options{})
	client := connect(t, cluster.Addrs()...)
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := client.Set(t.Context(), key, "1", 0).Err(); err != nil {
			t.Error(err)
		}
	}
	for _, node := range cluster.Nodes() {
		if n, err := connect(t, node.Addr()).DBSize(t.Context()).Result(); err != nil || n == 0 || n == 6 {
			t.Errorf("a node has %d keys (%v)", n, err)
		}
	}
	if err := cluster.Nodes()[1].Restart(t.Context(), redisserver.Erase); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "b", "2", 0).Err(); err != nil {
		t.Error(err)
	}
}

// until waits for something that must happen.
func until(t *testing.T, happened func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			t.Fatal("it doesn't happen")
		case <-ticker.C:
		}
	}
}
