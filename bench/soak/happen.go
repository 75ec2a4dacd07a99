package main

import (
	"fmt"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/tcpproxy"
)

func (g *rig) kill(f fault) error {
	g.fleet.kill(f.Slot)
	g.wait(f.Length)
	return g.fleet.start(f.Slot)
}

func (g *rig) terminate(f fault) error {
	g.fleet.terminate(f.Slot)
	g.wait(f.Length)
	return g.fleet.start(f.Slot)
}

// freeze stops a process for longer than its session, so that others take over while it thinks that it still has its partitions.
func (g *rig) freeze(f fault) error {
	for _, m := range g.fleet.all() {
		if m.slot == f.Slot {
			m.signal(syscall.SIGSTOP)
			g.wait(f.Length)
			m.signal(syscall.SIGCONT)
		}
	}
	return nil
}

// join has one process more for a while.
func (g *rig) join(f fault) error {
	slot := g.config.Processes
	if err := g.fleet.start(slot); err != nil {
		return err
	}
	g.wait(f.Length)
	g.fleet.terminate(slot)
	g.fleet.leave(slot)
	return nil
}

func (g *rig) freezeRedis(f fault) error {
	g.redis.Pause()
	g.wait(f.Length)
	g.redis.Continue()
	return nil
}

func (g *rig) killRedis(f fault) error {
	g.redis.Kill()
	g.wait(f.Length)
	return g.redis.Restart(g.ctx, redisserver.Keep)
}

func (g *rig) emptyRedis(f fault) error {
	g.redis.Kill()
	g.wait(f.Length)
	return g.redis.Restart(g.ctx, redisserver.Erase)
}

func (g *rig) flushRedis(fault) error {
	return g.askRedis(func(c *goredis.Client) error { return c.FlushAll(g.ctx).Err() })
}

func (g *rig) flushScripts(fault) error {
	return g.askRedis(func(c *goredis.Client) error { return c.ScriptFlush(g.ctx).Err() })
}

// askRedis asks it directly, not by way of the proxy.
func (g *rig) askRedis(ask func(*goredis.Client) error) error {
	client := goredis.NewClient(&goredis.Options{Addr: g.redis.Addr(), ContextTimeoutEnabled: true})
	defer client.Close() //nolint:errcheck // it was asked
	if err := ask(client); err != nil {
		return fmt.Errorf("Redis: %w", err)
	}
	return nil
}

func (g *rig) freezeClickHouse(f fault) error {
	c := g.history.running()
	c.signal(syscall.SIGSTOP)
	g.wait(f.Length)
	c.signal(syscall.SIGCONT)
	return nil
}

func (g *rig) stopClickHouse(f fault) error {
	if err := g.history.stop(); err != nil {
		return fmt.Errorf("ClickHouse: %w", err)
	}
	g.wait(f.Length)
	return g.history.start()
}

func (g *rig) killClickHouse(f fault) error {
	g.history.running().Kill()
	g.wait(f.Length)
	return g.history.start()
}

func (g *rig) freezeBroker(f fault) error {
	g.kafka.Pause()
	g.wait(f.Length)
	g.kafka.Resume()
	return nil
}

func (g *rig) cutKafka(fault) error      { return g.cut(g.proxies.kafka) }
func (g *rig) cutRedis(fault) error      { return g.cut(g.proxies.redis) }
func (g *rig) cutClickHouse(fault) error { return g.cut(g.proxies.clickhouse) }

func (g *rig) cut(p *tcpproxy.Proxy) error {
	p.Cut()
	return nil
}

// wait waits; the end of the run cuts it short, so that what comes after it is done all the same.
func (g *rig) wait(length time.Duration) {
	select {
	case <-time.After(length):
	case <-g.ctx.Done():
	case <-g.produced:
	}
}
