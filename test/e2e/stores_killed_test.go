//go:build e2e

package e2e_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/tcpproxy"
	"github.com/millrank/millrank/test/world"
)

// TestStoresKilled (faults 2, 3): the built program is killed when Redis has been written and ClickHouse not, and when one of them has and its answer was lost, so that
// nothing of it is committed. What the next one writes is the same, or newer: no list goes back, or says two things at one revision. In the end both have everything, once.
func TestStoresKilled(t *testing.T) {
	server, redis := clickhousetest.StartTest(t, embedded.ClickHouseOptions{}), redisserver.StartTest(t, redisserver.Options{})
	toRedis, toClickHouse := proxyTo(t, redis.Addr), proxyTo(t, server.Addr)
	const redisWrite = ":top_k:" // in each request that writes a list: of their keys
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.LiveSettings(), 4, 3), "stores-killed", world.LiveBoards(), 2, redis.Addr()).withHistory(server)
	through := []string{"--set", "redis.addresses=" + toRedis.Addr(), "--set", "redis.timeout=2s", "--set", "clickhouse.addresses=" + toClickHouse.Addr(), "--set", "clickhouse.timeout=2s"}
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	lost := func(g *tcpproxy.Proxy) func() bool { // writes arrive, and nobody knows
		before := g.AnswersLost()
		return func() bool { return g.AnswersLost() > before }
	}
	kills := []struct {
		name  string
		begin func() (when func() bool)
	}{
		{"after Redis, before ClickHouse", func() func() bool {
			toClickHouse.Shut()
			return func() bool { w.AwaitLists(); return true }
		}},
		{"after Redis, before its answer", func() func() bool { toRedis.LoseAnswers(redisWrite); return lost(toRedis) }},
		{"after ClickHouse, before its answer", func() func() bool { toClickHouse.LoseAnswers(historyWrite); return lost(toClickHouse) }},
		{"after both, before their answers", func() func() bool {
			toRedis.LoseAnswers(redisWrite)
			toClickHouse.LoseAnswers(historyWrite)
			one, other := lost(toRedis), lost(toClickHouse)
			return func() bool { return one() && other() }
		}},
	}
	logs := w.LiveLogs(rng.Uint64(), 1200*(len(kills)+1))
	w.Watch()
	for i, kill := range kills {
		p := w.start(through...)
		w.awaitState(p, "leaderboard", "running")
		w.awaitState(p, "history-cells", "running")
		when := kill.begin()
		w.ProducePart(logs, i, len(kills)+1)
		w.Eventually("the time has come: "+kill.name, when)
		p.Kill()
		t.Logf("killed %s", kill.name)
		toRedis.Open()
		toClickHouse.Open()
	}
	w.start(through...)
	w.ProducePart(logs, len(kills), len(kills)+1)
	w.Close()
	want := w.Expected()
	w.CheckLists(want)
	w.checkHistory(want)
	w.Check(true)
}
