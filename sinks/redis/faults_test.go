package redis_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sinks/redis"
)

// single is a world of one real server.
func single(t *testing.T, addr string) *world {
	t.Helper()
	return &world{addrs: []string{addr}, kind: "single", client: connect(t, []string{addr})}
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

func TestFull(t *testing.T) {
	w := single(t, redisserver.StartTest(t, redisserver.Options{Settings: map[string]string{"maxmemory-policy": "noeviction"}}).Addr())
	writer := w.sink(t, nil).Writer(0, -1)
	write(t, writer, lists(1)...)
	for _, next := range []int64{2, 3} { // a delta, and a whole list since the writer isn't sure any more
		if err := w.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		behind, err := writer.Write(t.Context(), next, base, lists(next))
		if behind || !errors.Is(err, redis.ErrFull) {
			t.Errorf("behind: %v (%v)", behind, err)
		}
		w.client.ConfigSet(t.Context(), "maxmemory", "0") // a transaction would be refused, too
		w.check(t, "global:top_k", lists(1)[1])
		w.check(t, "region:eu:top_k:views:20260918T140000Z", lists(1)[0])
	}
	if write(t, writer, lists(4)...) {
		t.Error("behind")
	}
	w.check(t, "global:top_k", lists(4)[1])
}

func TestCrash(t *testing.T) {
	for name, appendOnly := range map[string]bool{"with its data": true, "without its data": false} {
		t.Run(name, func(t *testing.T) {
			server := redisserver.StartTest(t, redisserver.Options{AppendOnly: appendOnly})
			w := single(t, server.Addr())
			sink := w.sink(t, nil)
			writer := sink.Writer(0, -1)
			write(t, writer, lists(1)...)
			server.Kill()
			if behind, err := writer.Write(t.Context(), 2, base, lists(2)); behind || err == nil {
				t.Errorf("behind: %v (%v)", behind, err)
			}
			if behind, err := sink.Writer(0, 1).Check(t.Context()); behind || err == nil {
				t.Errorf("behind: %v (%v)", behind, err)
			}
			if err := server.Restart(t.Context(), redisserver.Keep); err != nil {
				t.Fatal(err)
			}
			if behind := write(t, writer, lists(2)...); behind == appendOnly {
				t.Errorf("behind: %v", behind)
			}
			w.check(t, "global:top_k", lists(2)[1])
		})
	}
}

// TestStaleReplica fails over to a replica that has got all, or not.
func TestStaleReplica(t *testing.T) {
	for name, test := range map[string]struct {
		stale, restarted bool
		last             int64 // as of where the last write is; the first is as of 1
	}{
		"in step":                     {false, false, 2},
		"in step, by the next writer": {false, true, 2},
		"stale":                       {true, false, 2},
		"stale, by the next writer":   {true, true, 2},
		"stale, at the same offset":   {true, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			master := redisserver.StartTest(t, redisserver.Options{})
			replica := redisserver.StartTest(t, redisserver.Options{ReplicaOf: master.Addr()})
			var at atomic.Pointer[string] // where the name of the master leads
			addr := master.Addr()
			at.Store(&addr)
			client := goredis.NewClient(&goredis.Options{ContextTimeoutEnabled: true, DialerRetries: 1, Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", *at.Load())
			}})
			t.Cleanup(func() { _ = client.Close() })
			w := &world{addrs: []string{replica.Addr()}, client: client}
			clock := newClock()
			sink := w.sink(t, clock.in)
			writer := sink.Writer(0, -1)
			write(t, writer, lists(1)...)
			copied := connect(t, []string{replica.Addr()})
			has := func(revision string) func() bool {
				return func() bool {
					return copied.HGet(t.Context(), "{mr"+sentinelTag(t, copied)+"}:millrank:written:0", "through").Val() == revision
				}
			}
			until(t, has("1"))
			if test.stale {
				copied.SlaveOf(t.Context(), "NO", "ONE")
			}
			second := list("views", "us", base, test.last, entry("a", 1))
			write(t, writer, second)
			if !test.stale {
				until(t, has("2"))
				copied.SlaveOf(t.Context(), "NO", "ONE")
			}
			addr2 := replica.Addr()
			at.Store(&addr2)
			master.Kill()
			if test.restarted {
				writer = sink.Writer(0, test.last)
			}
			clock.pass(time.Second)
			if behind, err := writer.Check(t.Context()); behind != test.stale || err != nil {
				t.Errorf("behind: %v (%v)", behind, err)
			}
			if behind := write(t, writer, lists(3)[:1]...); behind != test.stale { // not what has been lost
				t.Errorf("behind: %v", behind)
			}
		})
	}
}

// sentinelTag returns what the tag of the only sentinel ends with.
func sentinelTag(t *testing.T, client goredis.UniversalClient) string {
	t.Helper()
	for _, key := range client.Keys(t.Context(), "*millrank:written*").Val() {
		return key[len("{mr") : len(key)-len("}:millrank:written:0")]
	}
	return ""
}

func TestReplicaRefuses(t *testing.T) {
	master := redisserver.StartTest(t, redisserver.Options{})
	w := single(t, redisserver.StartTest(t, redisserver.Options{ReplicaOf: master.Addr()}).Addr())
	if _, err := w.sink(t, nil).Writer(0, -1).Write(t.Context(), 1, base, lists(1)); !errors.Is(err, redis.ErrReadOnly) {
		t.Error(err)
	}
}

func TestPasswordMissing(t *testing.T) {
	w := single(t, redisserver.StartTest(t, redisserver.Options{Settings: map[string]string{"requirepass": "secret"}}).Addr())
	if _, err := w.sink(t, nil).Writer(0, -1).Write(t.Context(), 1, base, lists(1)); !errors.Is(err, redis.ErrRefused) {
		t.Error(err)
	}
}

func TestSilent(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	w := single(t, server.Addr())
	writer := w.sink(t, func(c *redis.Config) { c.Timeout = 200 * time.Millisecond }).Writer(0, -1)
	write(t, writer, lists(1)...)
	server.Pause()
	began := time.Now()
	behind, err := writer.Write(t.Context(), 2, base, lists(2))
	if took := time.Since(began); behind || !errors.Is(err, redis.ErrTimeout) || took > 5*time.Second {
		t.Errorf("behind: %v after %v (%v)", behind, took, err)
	}
	server.Continue() // and what was sent may be done now, or not
	if write(t, writer, lists(2)...) || write(t, writer, lists(3)...) {
		t.Error("behind")
	}
	w.check(t, "global:top_k", lists(3)[1])
}

// TestConnectionsCut cuts connections at any place, also when the server has done what it was asked: what is
// written is repeated until it succeeds, and is right then.
func TestConnectionsCut(t *testing.T) {
	server := redisserver.StartTest(t, redisserver.Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cutter := &cutter{dice: rand.New(rand.NewPCG(seed, 0))}
	client := goredis.NewClient(&goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.Addr())
		return &cutConn{conn, cutter}, err
	}})
	t.Cleanup(func() { _ = client.Close() })
	w := single(t, server.Addr())
	sink := w.sink(t, func(c *redis.Config) { c.Client = client })
	writer, m, failed := sink.Writer(0, -1), model{}, 0
	r := rand.New(rand.NewPCG(seed, 1))
	for revision := int64(0); revision < 200; revision++ {
		lists := []event.Ranking{random(r, "views", "eu", base+minute*r.Int64N(2), revision), random(r, "worst", "us", base, revision)}
		for {
			behind, err := writer.Write(t.Context(), revision, base, lists)
			if behind {
				t.Fatal("behind")
			}
			if err == nil {
				break
			}
			failed++
			if r.IntN(2) == 0 { // or goes on, with newer ones
				revision++
				lists[0], lists[1] = random(r, "views", "eu", lists[0].Start, revision), random(r, "worst", "us", base, revision)
			}
		}
		for _, l := range lists {
			m.take(sink, l)
		}
		// A list that failed may have been written, where the alias or final one isn't written again.
		w.check(t, sink.Keys("worst", "region", event.NewGroup("us")).Newest(), lists[1])
		w.check(t, sink.Keys("views", "region", event.NewGroup("eu")).Window(lists[0].Start), lists[0])
	}
	if failed < 10 {
		t.Errorf("failed %d times only", failed)
	}
	t.Logf("failed %d times; %+v", failed, sink.Stats())
}

// cutter says when connections are cut.
type cutter struct {
	mu   sync.Mutex
	dice *rand.Rand
}

func (c *cutter) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dice.IntN(n)
}

var errCut = errors.New("cut by the test")

// cutConn is a connection that is cut now and then.
type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.cutter.roll(30) == 0 {
		n, _ := c.Conn.Read(b[:min(len(b), 1+c.cutter.roll(40))]) // the server has answered; some of that arrives
		_ = c.Close()
		return n, errCut
	}
	return c.Conn.Read(b)
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.cutter.roll(30) == 0 {
		n, _ := c.Conn.Write(b[:c.cutter.roll(len(b))])
		_ = c.Close()
		return n, errCut
	}
	return c.Conn.Write(b)
}
