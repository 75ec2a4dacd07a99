// Package demo runs the whole of Millrank in one process, with nothing installed: an embedded Kafka and an embedded Redis, two real data sets
// that are sent out of order and with repeats, late, future and broken records in between, and at the end a comparison of every list with
// the known answers.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline"
)

// Options say how the demo runs.
type Options struct {
	In       io.Reader
	Out      io.Writer
	Terminal bool          // Out is one
	Exit     bool          // it ends after the comparison, and sends as fast as it can
	Lasts    time.Duration // how long sending takes, unless Exit is set
	Redis    int           // port; 0: any free one
	Kafka    int           // port; 0: any free one

	ClickHouse int  // port; 0: any free one
	NoHistory  bool // without ClickHouse

	Logger  *slog.Logger
	Program string // how it was called, for the commands that it suggests
	Quit    func() // called on q and Ctrl-C, where a terminal gives them as keys
}

// ErrDiffers is the error of lists that are not what they should be.
var ErrDiffers = errors.New("lists differ from the known answers")

// world is what the demo runs.
type world struct {
	options Options
	kafka   *embedded.Kafka
	redis   *embedded.Redis
	client  *goredis.Client
	streams []*stream
	folder  string

	clickhouse *embedded.ClickHouse // nil where there is no history
	history    driver.Conn
}

// Run runs the demo until ctx is done, or, with Exit, until the comparison is made. The error is ErrDiffers if a list differs.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	stopping, stop := context.WithCancel(ctx)
	engines, running := errgroup.WithContext(stopping)
	for _, s := range w.streams {
		engines.Go(func() error {
			if err := pipeline.Run(running, s.settings, pipeline.Options{Logger: o.Logger, Version: "demo"}); err != nil {
				return fmt.Errorf("%s: %w", s.settings.Name, err)
			}
			return nil
		})
	}
	defer func() {
		stop()
		if failed := engines.Wait(); failed != nil {
			err = failed // whatever else there is comes of it
		}
	}()
	results, err = w.play(running)
	if ctx.Err() != nil {
		return nil, nil // it was told to end
	}
	if err != nil || o.Exit || running.Err() != nil {
		return results, err
	}
	w.invite()
	<-running.Done()
	return results, nil
}

func newWorld(ctx context.Context, o Options) (*world, error) {
	w := &world{options: o, streams: streams()}
	var err error
	if w.folder, err = os.MkdirTemp("", "millrank-demo-"); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) open(ctx context.Context) (err error) {
	if w.kafka, err = embedded.StartKafka(embedded.KafkaOptions{Ports: []int{w.options.Kafka}}); err != nil {
		return fmt.Errorf("%w; choose another with --kafka-port", err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(w.options.Redis))
	if w.redis, err = embedded.StartRedis(embedded.RedisOptions{Address: address, Clock: true}); err != nil {
		return fmt.Errorf("%w; choose another with --redis-port", err)
	}
	w.client = goredis.NewClient(&goredis.Options{Addr: w.redis.Addr(), ContextTimeoutEnabled: true})
	if err := w.openHistory(ctx); err != nil {
		return err
	}
	for _, s := range w.streams {
		if err := s.write(w.folder, w.kafka.Brokers(), w.redis.Addr(), w.historyAddress()); err != nil {
			return err
		}
		// Months of events pass in seconds, and a restart would read weeks of them again.
		topic := microbatch.Topic{Name: s.topic, Partitions: partitions, Retention: microbatch.Unlimited}
		if _, err := microbatch.EnsureTopics(ctx, s.settings.Connection(), topic); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) close() error {
	var errs []error
	if w.client != nil {
		errs = append(errs, w.client.Close())
	}
	if w.history != nil {
		errs = append(errs, w.history.Close())
	}
	if w.clickhouse != nil {
		errs = append(errs, w.clickhouse.Close())
	}
	if w.redis != nil {
		w.redis.Close()
	}
	if w.kafka != nil {
		w.kafka.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(w.folder))...)
}

// play sends the events, shows what becomes of them, and compares.
func (w *world) play(ctx context.Context) ([]Result, error) {
	w.sayf("Embedded Kafka on %s, embedded Redis on %s. Sending %d and %d events, out of order, some of them twice, with late and broken ones in between.\n\n",
		w.kafka.Brokers()[0], w.redis.Addr(), w.streams[0].events, w.streams[1].events)
	began := time.Now()
	showing, shown := context.WithCancel(ctx)
	var display errgroup.Group
	looks := func() ([]shownStream, error) { return w.looks(showing) }
	display.Go(func() error {
		if w.options.Terminal {
			return showOn(showing, w.options.In, w.options.Out, looks, w.options.Quit)
		}
		showLines(showing, w.options.Out, looks)
		return nil
	})
	results := make([]Result, len(w.streams))
	group, working := errgroup.WithContext(ctx)
	for i, s := range w.streams {
		group.Go(func() error {
			if err := w.send(working, s); err != nil {
				return fmt.Errorf("sending to %s: %w", s.topic, err)
			}
			known, err := s.known()
			if err != nil {
				return err
			}
			if results[i], err = check(working, w.client, s, known); err != nil {
				return err
			}
			return w.checkHistory(working, s, known, &results[i])
		})
	}
	err := group.Wait()
	shown()
	err = errors.Join(err, display.Wait())
	if err != nil || ctx.Err() != nil {
		return results, err
	}
	return results, w.report(results, time.Since(began))
}

// looks reads what is to be seen of all streams.
func (w *world) looks(ctx context.Context) ([]shownStream, error) {
	all := make([]shownStream, len(w.streams))
	for i, s := range w.streams {
		var err error
		if all[i], err = look(ctx, w.client, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// report says what came of the comparison.
func (w *world) report(results []Result, took time.Duration) error {
	var differing int
	for i, r := range results {
		s := w.streams[i]
		w.sayf("%s\n  %d events, and %s.\n", s.title, s.events, s.trouble())
		if w.history != nil {
			if r.HistoryLists != r.Lists || r.HistoryEvents != int64(s.events) {
				differing++
				w.sayf("  The history in ClickHouse DIFFERS: %d of %d lists are right, %d of %d events were counted. %s\n", r.HistoryLists, r.Lists, r.HistoryEvents, s.events, r.historyDiffers)
			} else {
				w.sayf("  The history in ClickHouse has all %d lists and all %d events.\n", r.HistoryLists, r.HistoryEvents)
			}
		}
		if r.Equal == r.Lists {
			w.sayf("  All %d lists in Redis equal the known answers.\n", r.Lists)
			continue
		}
		differing += r.Lists - r.Equal
		w.sayf("  %d of %d lists DIFFER from the known answers, such as\n", r.Lists-r.Equal, r.Lists)
		for _, d := range r.Differences {
			w.sayf("    %s\n", d)
		}
	}
	if differing > 0 {
		return fmt.Errorf("%d %w", differing, ErrDiffers)
	}
	w.sayf("It took %v.\n", took.Round(100*time.Millisecond))
	return nil
}

// invite says what can be looked at.
func (w *world) invite() {
	a, b, program := w.streams[0], w.streams[1], cmp.Or(w.options.Program, "millrank")
	_, port, _ := net.SplitHostPort(w.redis.Addr()) // it listens there
	w.sayf(`
Everything stays up until Ctrl-C. Kafka: %s. Redis: %s. Try, in another terminal:

  redis-cli -p %s zrevrange %sglobal:top_k:%s:final 0 9 withscores
  %s top -c %s --board %s --watch
  %s status -c %s
`, w.kafka.Brokers()[0], w.redis.Addr(), port, b.settings.Redis.Prefix, b.shown, program, a.file, a.shown, program, b.file)
	if w.clickhouse != nil {
		w.sayf(`
The history is in ClickHouse, %s: in a browser, or

  curl '%s' --data-binary "SELECT region, item_id, sum(events) AS edits FROM millrank.item_counts WHERE source = '%s' GROUP BY ALL ORDER BY edits DESC LIMIT 10"

`, w.clickhouse.URL(), w.clickhouse.URL(), a.topic)
	}
}

func (w *world) sayf(format string, args ...any) { fmt.Fprintf(w.options.Out, format, args...) }
