package redis_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sinks/redis"
)

// TestMasterLosesItsData empties one master of a cluster at a time.
func TestMasterLosesItsData(t *testing.T) {
	cluster := redisserver.StartClusterTest(t, 3, redisserver.Options{})
	w := &world{addrs: cluster.Addrs(), kind: "cluster", client: connect(t, cluster.Addrs())}
	sink := w.sink(t, nil)
	writer := sink.Writer(0, -1)
	revision := int64(1)
	write(t, writer, lists(revision)...)
	notice := func(what string) {
		t.Helper()
		if !write(t, writer) || !write(t, sink.Writer(0, revision)) {
			t.Errorf("%s: nothing noticed", what)
		}
		revision++
		write(t, writer, lists(revision)...)
		writer.Filled()
		if write(t, writer) {
			t.Errorf("%s: still behind", what)
		}
		w.check(t, "global:top_k", lists(revision)[1])
		w.check(t, "region:eu:top_k", lists(revision)[0])
	}
	for i, node := range cluster.Nodes() {
		if err := connect(t, []string{node.Addr()}).FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		notice(fmt.Sprintf("master %d emptied", i))
	}
	node := cluster.Nodes()[1]
	node.Kill()
	if behind, err := writer.Write(t.Context(), revision, base, lists(revision)); behind || err == nil {
		t.Errorf("behind: %v (%v)", behind, err)
	}
	if err := node.Restart(t.Context(), redisserver.Erase); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	notice("master restarted")
}

// TestSlotMoves moves a list's slot, key by key, from one master to another while it is written.
func TestSlotMoves(t *testing.T) {
	cluster := redisserver.StartClusterTest(t, 2, redisserver.Options{})
	w := &world{addrs: cluster.Addrs(), kind: "cluster", client: connect(t, cluster.Addrs())}
	sink := w.sink(t, nil)
	writer, m, failed := sink.Writer(0, -1), model{}, 0
	r := rand.New(rand.NewPCG(3, 3))
	revision := int64(0)
	next := func() {
		t.Helper()
		revision++
		l := random(r, "worst", "eu", base, revision)
		l.Entries = append(l.Entries, entry("last", 1000))[:min(5, len(l.Entries)+1)]
		for {
			behind, err := writer.Write(t.Context(), revision, base, []event.Ranking{l})
			if behind {
				t.Fatal("behind")
			}
			if err == nil {
				break
			}
			if !errors.Is(err, redis.ErrClusterDown) { // as one key of two has moved: TRYAGAIN
				t.Fatal(err)
			}
			if failed++; failed > 3 {
				return
			}
		}
		m.take(sink, l)
		w.checkModel(t, m)
	}
	next()
	key := sink.Keys("worst", "region", event.NewGroup("eu")).Window(base)
	slot := int(w.client.ClusterKeySlot(t.Context(), key).Val())
	from, to := cluster.Nodes()[0], cluster.Nodes()[1]
	if slot >= 8192 {
		from, to = to, from
	}
	source, target := connect(t, []string{from.Addr()}), connect(t, []string{to.Addr()})
	do := func(client goredis.UniversalClient, args ...any) {
		t.Helper()
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	sourceID, targetID := nodeID(t, source), nodeID(t, target)
	do(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
	do(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID)
	for i := range 10 { // it is there still
		if i%3 == 0 {
			writer = sink.Writer(0, revision) // which sends it as a whole
		}
		next()
	}
	host, port, err := net.SplitHostPort(to.Addr())
	if err != nil {
		t.Fatal(err)
	}
	keys := w.keysInSlot(t, source, slot)
	for i, key := range keys {
		if i == 1 {
			failed = 0
			next() // one of two keys has moved
		}
		do(source, "MIGRATE", host, port, key, 0, 5000)
	}
	next() // ASK
	do(target, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
	do(source, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
	next() // MOVED
	next()
	if len(keys) != 2 {
		t.Errorf("%q moved", keys)
	}
	if s := sink.Stats(); s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

func nodeID(t *testing.T, client goredis.UniversalClient) string {
	t.Helper()
	id, err := client.ClusterMyID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) keysInSlot(t *testing.T, client goredis.UniversalClient, slot int) []string {
	t.Helper()
	keys, err := client.ClusterGetKeysInSlot(t.Context(), slot, 100).Result()
	if err != nil {
		t.Fatal(err, strconv.Itoa(slot))
	}
	return keys
}
