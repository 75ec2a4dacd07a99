package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/bench/internal/trial"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
)

// steadyRig is everything that takes part in a steady run.
type steadyRig struct {
	kafka, redis, history process.Server
	client                *goredis.Client
	admin                 *kadm.Client
	processed             []int64 // by partition of the events
	program               *process.Measured
	address               string // of the program's own server
	load                  *process.Child
	notes                 <-chan note
	progress              *log.Logger
}

// startSteady makes a steady run and reports it.
func startSteady(ctx context.Context, c config, out, output io.Writer) error {
	r, err := runSteady(ctx, c, output)
	if err != nil {
		return err
	}
	if err := r.write(c.folder); err != nil {
		return err
	}
	if c.json {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("result: %w", err)
		}
	} else if _, err := io.WriteString(out, r.markdown()); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return r.wrong()
}

// runSteady starts everything, has the load produce, and looks on.
func runSteady(ctx context.Context, c config, output io.Writer) (r *steady, err error) {
	g := &steadyRig{progress: log.New(output, "", log.Ltime)}
	folder, err := os.MkdirTemp("", "millrank-steady-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	g.progress.Print("building Millrank, as releases are")
	program, err := trial.Build(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.stop()) }()
	g.progress.Printf("starting Kafka (%s), Redis (%s), ClickHouse's engine and Millrank", c.Broker, c.Redis)
	if err := g.start(ctx, c, program, folder); err != nil {
		return nil, err
	}
	load, notes, err := startLoad(job{Config: c, Brokers: g.kafka.Addresses, Redis: g.redis.Addresses[0]})
	if err != nil {
		return nil, err
	}
	g.load, g.notes = load, follow(notes)
	return g.measure(ctx, c)
}

// start starts the servers and the program, and returns when that is ready.
func (g *steadyRig) start(ctx context.Context, c config, program, folder string) (err error) {
	if g.kafka, err = process.StartKafka(ctx, c.Broker); err != nil {
		return err
	}
	if g.redis, err = process.StartRedis(ctx, c.Redis); err != nil {
		return err
	}
	if g.history, err = process.StartClickHouse(); err != nil {
		return err
	}
	g.client = goredis.NewClient(&goredis.Options{Addr: g.redis.Addresses[0], ContextTimeoutEnabled: true})
	_, err = microbatch.EnsureTopics(ctx, microbatch.Connection{BootstrapServers: g.kafka.Addresses}, microbatch.Topic{Name: eventsTopic, Partitions: c.Partitions})
	if err != nil {
		return err
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(g.kafka.Addresses...))
	if err != nil {
		return fmt.Errorf("a client of Kafka: %w", err)
	}
	g.admin, g.processed = kadm.NewClient(kafka), make([]int64, c.Partitions)
	if g.address, err = trial.FreeAddress(); err != nil {
		return err
	}
	file := filepath.Join(folder, "millrank.yaml")
	if err := os.WriteFile(file, []byte(g.settings(c).String()), 0o600); err != nil {
		return fmt.Errorf("Millrank's settings: %w", err)
	}
	//nolint:noctx // stop ends it
	command := exec.Command(program, "run", "--config", file)
	command.Stderr = os.Stderr
	if g.program, err = process.Measure(command); err != nil {
		return err
	}
	ready, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("Millrank is not ready after a minute"))
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := g.ask(ready, "/readyz"); err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-g.program.Done:
			return fmt.Errorf("Millrank has ended: %w", g.program.Err())
		case <-ready.Done():
			return context.Cause(ready)
		}
	}
}

// settings returns the program's settings: the boards of this benchmark, and else the defaults.
func (g *steadyRig) settings(c config) settings.Settings {
	s := settings.Default()
	s.Name, s.Kafka.BootstrapServers, s.Source.Topic, s.Source.Fields.TimeFormat = "steady", g.kafka.Addresses, eventsTopic, "unix_ms"
	s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions = c.Shards, c.Lanes
	s.Redis.Addresses = g.redis.Addresses
	s.ClickHouse.Addresses, s.ClickHouse.Protocol = g.history.Addresses, "http"
	s.HTTP.Address, s.Log.Level = g.address, "warn"
	for _, b := range boards().Boards {
		board := settings.DefaultBoard()
		board.Name, board.Measure, board.K = b.Name, b.Measure.String(), b.K
		board.Window, board.Slide = settings.Duration(b.Window.Size), settings.Duration(b.Window.Slide)
		s.Boards = append(s.Boards, board)
	}
	return s
}

// ask asks the program's own server.
func (g *steadyRig) ask(ctx context.Context, path string) (p progress.Process, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.address+path, http.NoBody)
	if err != nil {
		return p, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return p, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return p, fmt.Errorf("%s: %s", path, response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&p)
	return p, err
}

// stop ends everything, the program first.
func (g *steadyRig) stop() error {
	var errs []error
	if g.load != nil {
		errs = append(errs, g.load.Stop())
	}
	if g.program != nil {
		errs = append(errs, g.program.Stop(30*time.Second))
	}
	if g.admin != nil {
		g.admin.Close()
	}
	if g.client != nil {
		errs = append(errs, g.client.Close())
	}
	for _, s := range []process.Server{g.history, g.redis, g.kafka} {
		if s.Stop != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}
