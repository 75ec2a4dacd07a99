package main

import (
	"fmt"
	"os"
	"time"

	"github.com/millrank/millrank/pipeline/settings"
)

// Names.
const (
	name        = "soak"
	eventsTopic = "events"
)

// sessionTimeout is how long Kafka waits for a process that is silent.
const sessionTimeout = 10 * time.Second

// addresses is where the servers are, as Millrank is told: by way of the proxies.
type servers struct {
	kafka             []string
	redis, clickhouse string
}

// settings returns what Millrank is told. What isn't said is as it is by default.
func (c config) settings(at servers) settings.Settings {
	w := c.workload()
	s := settings.Default()
	s.Name, s.Source.Topic, s.Source.Cluster = name, eventsTopic, "soak"
	s.Kafka.BootstrapServers, s.Kafka.SessionTimeout = at.kafka, settings.Duration(sessionTimeout)
	s.Source.Fields.Time, s.Source.Fields.TimeFormat = "ts", "unix_ms"
	s.Time.Pane, s.Time.OutOfOrderness, s.Time.AllowedLateness = settings.Duration(w.Window), settings.Duration(w.OutOfOrderness), settings.Duration(w.AllowedLateness)
	s.Dedup.Horizon = settings.Duration(time.Minute)
	s.Topics.ReplicationFactor = 1
	s.Redis.Addresses, s.Redis.Prefix = []string{at.redis}, name+":"
	s.ClickHouse.Addresses, s.ClickHouse.Protocol = []string{at.clickhouse}, "http"
	s.HTTP.Address, s.Log.Format = "127.0.0.1:0", "json"
	both := []string{"global", "region"}
	minute := settings.Duration(time.Minute)
	s.Boards = []settings.Board{
		{Name: "views", Measure: "count", Window: settings.Duration(w.Window), K: 50, Order: "top", By: both},
		{Name: "sales", Measure: "sum", Window: minute, K: 20, Order: "top", By: both},
		{Name: "trending", Measure: "sum", Window: minute, Slide: settings.Duration(w.Window), K: 20, Order: "top", By: both},
		{Name: "least", Measure: "sum", Window: minute, K: 10, Order: "bottom", MinCount: 2, By: both},
	}
	return s
}

// writeSettings writes the file that the processes read.
func (c config) writeSettings(file string, at servers) (settings.Settings, error) {
	//nolint:gosec // the command line says which folder
	if err := os.WriteFile(file, []byte(c.settings(at).String()), 0o600); err != nil {
		return settings.Settings{}, fmt.Errorf("Millrank's settings: %w", err)
	}
	s, err := settings.Load(settings.From{File: file})
	if err != nil {
		return s, fmt.Errorf("Millrank's settings: %w", err)
	}
	return s, nil
}
