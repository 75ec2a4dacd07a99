package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/tcpproxy"
	"github.com/millrank/millrank/pipeline/settings"
)

// rig is all that runs.
type rig struct {
	config   config
	ctx      context.Context //nolint:containedctx // it is the run's, and faults get no other
	folder   string          // of the report
	work     string          // of data, removed at the end
	settings settings.Settings

	kafka   *apachekafka.Broker
	redis   *redisserver.Server
	history *history
	proxies struct{ kafka, redis, clickhouse *tcpproxy.Proxy }
	fleet   *fleet

	producer *producer
	produced chan struct{} // closed when it has ended
	begun    time.Time
	closers  []func() error // to be called at the end, the last one first
}

// since returns how long the run has been, in seconds.
func (g *rig) since() float64 { return time.Since(g.begun).Seconds() }

// newRig starts everything but the events. The caller closes it, also after an error.
func newRig(ctx context.Context, c config, s *screen) (*rig, error) {
	g := &rig{config: c, ctx: ctx, produced: make(chan struct{}), begun: time.Now()}
	g.folder = filepath.Join(c.folder, fmt.Sprintf("%s-seed-%d", g.begun.UTC().Format("20060102T150405Z"), c.Seed))
	if err := os.MkdirAll(filepath.Join(g.folder, "logs"), 0o750); err != nil {
		return g, fmt.Errorf("-out: %w", err)
	}
	var err error
	if g.work, err = os.MkdirTemp("", "millrank-soak-"); err != nil {
		return g, fmt.Errorf("a folder for data: %w", err)
	}
	if !c.keep {
		g.closers = append(g.closers, func() error { return os.RemoveAll(g.work) })
	}
	program := c.program
	if program == "" {
		s.sayf("building Millrank, as releases are")
		if program, err = trial.Build(ctx, g.work); err != nil {
			return g, err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return g, fmt.Errorf("-program: %w", err)
	}
	s.sayf("starting Apache Kafka, Redis and ClickHouse, each behind a proxy")
	if err := g.startServers(ctx); err != nil {
		return g, err
	}
	file := filepath.Join(g.folder, "millrank.yaml")
	if g.settings, err = c.writeSettings(file, servers{g.kafka.Brokers(), g.proxies.redis.Addr(), g.proxies.clickhouse.Addr()}); err != nil {
		return g, err
	}
	if g.producer, err = newProducer(c, g.kafka.Brokers()); err != nil {
		return g, err
	}
	g.closers = append(g.closers, func() error { g.producer.client.Close(); return nil })
	if err := c.createEvents(ctx, g.producer.client); err != nil {
		return g, err
	}
	g.fleet = &fleet{program: program, settings: file, folder: filepath.Join(g.folder, "logs"), members: map[int]*member{}}
	g.closers = append(g.closers, func() error { g.fleet.stop(); return nil })
	s.sayf("starting %d processes of Millrank", c.Processes)
	for slot := range c.Processes {
		if err := g.fleet.start(slot); err != nil {
			return g, err
		}
	}
	err = g.ready(ctx)
	return g, err
}

func (g *rig) startServers(ctx context.Context) (err error) {
	if g.kafka, g.proxies.kafka, err = startKafka(ctx); err != nil {
		return err
	}
	g.closers = append(g.closers, g.proxies.kafka.Close, g.kafka.Close)
	// What it has acknowledged is on its disk, so that a restart with its data has it.
	if g.redis, err = redisserver.Start(ctx, redisserver.Options{AppendOnly: true, Settings: map[string]string{"appendfsync": "everysec"}}); err != nil {
		return err
	}
	g.closers = append(g.closers, g.redis.Close)
	if g.proxies.redis, err = tcpproxy.Start(func() (string, error) { return g.redis.Addr(), nil }); err != nil {
		return err
	}
	g.closers = append(g.closers, g.proxies.redis.Close)
	g.history = &history{folder: filepath.Join(g.work, "clickhouse"), log: filepath.Join(g.folder, "logs", "clickhouse.log")}
	if err := g.history.start(); err != nil {
		return err
	}
	g.closers = append(g.closers, g.history.stop)
	if g.proxies.clickhouse, err = tcpproxy.Start(g.history.addr); err != nil {
		return err
	}
	g.closers = append(g.closers, g.proxies.clickhouse.Close)
	return nil
}

// ready returns when all processes are.
func (g *rig) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("not within 3 minutes"))
	defer cancel()
	for _, m := range g.fleet.all() {
		ended := false
		err := await(ctx, 200*time.Millisecond, func() error {
			if ended = m.ended(); ended {
				return nil
			}
			return m.ready(ctx)
		})
		if ended {
			err = fmt.Errorf("it has ended with %s", m.exit())
		}
		if err != nil {
			return fmt.Errorf("%s does not get ready: %w; see %s", slotName(m.slot), err, m.log)
		}
	}
	return nil
}

func (m *member) ready(ctx context.Context) error {
	url, err := m.url()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // its code says it
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

// await returns when there is no error any more, or when ctx ends, with the last one.
func await(ctx context.Context, interval time.Duration, try func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

func (g *rig) close() error {
	var errs []error
	for _, closer := range slices.Backward(g.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
