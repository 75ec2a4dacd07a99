package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/redisserver"
)

// Server is a server in a process of its own.
type Server struct {
	Addresses []string
	// Stop ends it.
	Stop func() error
	// CPU returns the time that it has spent on CPUs; nil where that isn't known.
	CPU func() (time.Duration, error)
	// Memory returns how much it has, in bytes; nil where that isn't known.
	Memory func() (int64, error)
}

// Kinds of servers.
const (
	Kfake = "kfake"    // a Kafka: the embedded one
	Real  = "real"     // a Kafka: Apache's
	Redis = "server"   // a Redis: the real one
	Mini  = "embedded" // a Redis: miniredis

	clickHouse = "clickhouse" // its own engine, in a process of this program's
)

// StartKafka starts a Kafka: Kfake or Real. The caller stops it.
func StartKafka(ctx context.Context, kind string) (Server, error) {
	if kind == Kfake {
		return startChild(Kfake)
	}
	b, err := apachekafka.Start(ctx, apachekafka.Options{HeapMiB: 1024})
	if err != nil {
		return Server{}, err
	}
	pid, err := ChildWith("kafka.Kafka")
	if err != nil {
		return Server{}, errors.Join(err, b.Close())
	}
	return Server{Addresses: b.Brokers(), Stop: b.Close, CPU: func() (time.Duration, error) { return CPUOf(pid) }}, nil
}

// StartRedis starts a Redis: Redis or Mini. The caller stops it.
func StartRedis(ctx context.Context, kind string) (Server, error) {
	if kind == Mini {
		return startChild(Mini)
	}
	s, err := redisserver.Start(ctx, redisserver.Options{})
	if err != nil {
		return Server{}, err
	}
	return Server{Addresses: []string{s.Addr()}, Stop: s.Close}, nil
}

// StartClickHouse starts ClickHouse's own engine, which speaks HTTP. The caller stops it.
func StartClickHouse() (Server, error) {
	if err := embedded.ClickHouseAvailable(); err != nil {
		return Server{}, err
	}
	return startChild(clickHouse)
}

// startChild starts this program as a server, which says where it listens.
func startChild(kind string) (Server, error) {
	c, err := Start(kind, "")
	if err != nil {
		return Server{}, err
	}
	line, err := c.Out.ReadString('\n')
	if err != nil {
		return Server{}, errors.Join(fmt.Errorf("%s did not start: %w", kind, err), c.Stop())
	}
	return Server{Addresses: strings.Split(strings.TrimSpace(line), ","), Stop: c.Stop, CPU: c.CPU, Memory: c.Memory}, nil
}

// servers are the parts that are servers.
func servers() map[string]Part {
	return map[string]Part{
		Kfake: func(_ context.Context, _ string, in io.Reader, out io.Writer) error {
			kafka, err := embedded.StartKafka(embedded.KafkaOptions{})
			if err != nil {
				return err
			}
			defer kafka.Close()
			return serve(kafka.Brokers(), in, out)
		},
		clickHouse: func(_ context.Context, _ string, in io.Reader, out io.Writer) (err error) {
			server, err := embedded.StartClickHouse(embedded.ClickHouseOptions{})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, server.Close()) }()
			return serve([]string{server.Addr()}, in, out)
		},
		Mini: func(_ context.Context, _ string, in io.Reader, out io.Writer) error {
			redis, err := embedded.StartRedis(embedded.RedisOptions{Clock: true})
			if err != nil {
				return err
			}
			defer redis.Close()
			return serve([]string{redis.Addr()}, in, out)
		},
	}
}

// serve says where a server listens, and returns when the input ends.
func serve(addresses []string, in io.Reader, out io.Writer) error {
	if _, err := fmt.Fprintln(out, strings.Join(addresses, ",")); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}
