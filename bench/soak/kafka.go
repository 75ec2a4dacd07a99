package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/bench/internal/process"
	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/tcpproxy"
)

// kafkaClass is the word in the broker's command line that it is known by.
const kafkaClass = "kafka.Kafka"

// startKafka starts a broker that sends its clients to a proxy.
func startKafka(ctx context.Context) (*apachekafka.Broker, *tcpproxy.Proxy, error) {
	p, err := tcpproxy.Start(kafkaAddress)
	if err != nil {
		return nil, nil, err
	}
	b, err := apachekafka.Start(ctx, apachekafka.Options{HeapMiB: 1024, Properties: map[string]string{
		"advertised.listeners": "PLAINTEXT://" + p.Addr(),
		// Small segments, so that retention can take them.
		"log.segment.bytes": strconv.Itoa(64 << 20), "log.retention.check.interval.ms": "30000",
	}})
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return b, p, nil
}

// kafkaAddress finds out where the broker listens, by its own settings: its port is found when it starts, and it advertises the proxy's from then on.
func kafkaAddress() (string, error) {
	pid, err := process.ChildWith(kafkaClass)
	if err != nil {
		return "", err
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", fmt.Errorf("Kafka's settings: %w", err)
	}
	words := strings.Split(strings.TrimRight(string(arguments), "\x00"), "\x00")
	//nolint:gosec // this process has written it, by package apachekafka
	file, err := os.Open(filepath.Clean(words[len(words)-1]))
	if err != nil {
		return "", fmt.Errorf("Kafka's settings: %w", err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if all, ok := strings.CutPrefix(lines.Text(), "listeners="); ok {
			first, _, _ := strings.Cut(all, ",")
			return strings.TrimPrefix(first, "PLAINTEXT://"), nil
		}
	}
	return "", errors.New("Kafka's settings: no listeners")
}

// eventBytes is about what a record takes in the log, compressed.
const eventBytes = 80

// keptSeconds is how long the events topic keeps what it has. A restart needs far less; a stream that is further behind fails.
const keptSeconds = 20 * 60

// createEvents makes the events topic.
func (c config) createEvents(ctx context.Context, client *kgo.Client) error {
	bytes := strconv.FormatInt(max(256<<20, c.Rate*eventBytes*keptSeconds/int64(c.Partitions)), 10)
	_, err := kadm.NewClient(client).CreateTopic(ctx, int32(c.Partitions), 1, map[string]*string{"retention.bytes": &bytes}, eventsTopic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", eventsTopic, err)
	}
	return nil
}
