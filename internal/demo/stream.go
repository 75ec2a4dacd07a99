package demo

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrank/millrank/data"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sim"
)

// stream is a data set as a stream of its own, with its leaderboards.
type stream struct {
	name    string // of its settings, file and keys
	topic   string
	title   string
	data    string // folder of package data
	events  int    // in it
	shown   string // the board that is looked at
	unit    string // what its scores are
	answers []answer
	yaml    string // but for names, and where the servers are

	settings settings.Settings // of yaml
	file     string            // that holds yaml
	sent     atomic.Int64      // records
	report   feed.Report       // once all are sent
}

// answer says which known lists a board is compared with.
type answer struct {
	board, measure, window string
}

// streams are what the demo runs. The event times of the data lie years back, and pass in seconds: disorder and lateness are in their time.
func streams() []*stream {
	return []*stream{
		{
			name: "wikipedia", topic: "wikipedia.edits",
			title: "Wikipedia, 12 September 2015: most edited pages", data: "wikipedia-edits", events: 39_244, shown: "edits", unit: "edits",
			answers: []answer{{"edits", "count", "1h"}, {"edits-day", "count", "1d"}},
			yaml: `time:
  pane: 10m
  out_of_orderness: 10m
  allowed_lateness: 10m
dedup:
  horizon: 8h
boards:
  - {name: edits, measure: count, window: 1h, k: 10}
  - {name: edits-day, measure: count, window: 1d, k: 10}
`,
		},
		{
			name: "retail", topic: "retail.sales",
			title: "A UK web shop, December 2010 to December 2011: units sold, less what was sent back", data: "online-retail", events: 541_909, shown: "units", unit: "units",
			answers: []answer{{"units", "sum", "1d"}},
			yaml: `time:
  pane: 1h
  out_of_orderness: 10m
  allowed_lateness: 10m
dedup:
  horizon: 32d
boards:
  - {name: units, measure: sum, window: 1d, k: 10}
`,
		},
	}
}

// write writes the file of settings into a folder, and loads it.
func (s *stream) write(folder string, kafka []string, redis, clickhouse string) error {
	s.file = filepath.Join(folder, s.name+".yaml")
	text := fmt.Sprintf(`name: %s
source:
  topic: %s
%skafka:
  bootstrap_servers: [%s]
topics:
  replication_factor: 1
redis:
  addresses: [%s]
  prefix: "%s:"
  timeout: 30s
http:
  address: 127.0.0.1:0
flush:
  history: 2s
clickhouse:
  addresses: [%s]
  protocol: http
`, s.name, s.topic, s.yaml, strings.Join(kafka, ", "), redis, s.name, clickhouse)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	var err error
	s.settings, err = settings.Load(settings.From{File: s.file})
	return err
}

// open opens the events.
func (s *stream) open() (io.ReadCloser, error) {
	zipped, err := data.Files.Open(s.data + "/events.ndjson.gz")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	lines, err := gzip.NewReader(zipped)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), zipped.Close())
	}
	return lines, nil
}

// known returns the lists that are known to be right.
func (s *stream) known() (map[event.ListKey]sim.ExpectedList, error) {
	known := map[event.ListKey]sim.ExpectedList{}
	for _, a := range s.answers {
		lists, err := sim.Expected(s.data, a.measure, a.window)
		if err != nil {
			return nil, err
		}
		for _, l := range lists {
			key := event.ListKey{Board: a.board, Start: l.Start.UnixMilli()}
			if l.Region != nil {
				key.By, key.Group = "region", event.NewGroup(*l.Region)
			}
			known[key] = l
		}
	}
	return known, nil
}

// key returns where a list is in Redis.
func (s *stream) key(k event.ListKey) string {
	group := "global"
	if k.By != "" {
		group = k.By + ":" + strings.NewReplacer("%", "%25", ":", "%3A", "{", "%7B", "}", "%7D").Replace(k.Group.Values()[0])
	}
	return s.settings.Redis.Prefix + group + ":top_k:" + k.Board + ":" + time.UnixMilli(k.Start).UTC().Format("20060102T150405Z")
}

// after waits, unless ctx is done.
func after(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
