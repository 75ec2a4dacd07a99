package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/bench/internal/process"
)

// job is what the load's process is told.
type job struct {
	Config  config   `json:"config"`
	Brokers []string `json:"brokers"`
	Redis   string   `json:"redis"`
}

// Phases of the load's process, which it says when it comes to them.
const (
	ready    = "ready"    // it waits for a line of input
	warm     = "warm"     // the warm-up is over
	produced = "produced" // all events are acknowledged
	done     = "done"     // all probes were seen, or it has lost patience
)

// note is what the load's process says.
type note struct {
	Phase    string  `json:"phase"`
	Produced int64   `json:"produced"` // events acknowledged, probes included
	Loaded   *loaded `json:"loaded,omitempty"`
}

// loaded is how the load went.
type loaded struct {
	Late      int64         `json:"late"` // events that were produced more than lateAfter after they were due
	BehindMax time.Duration `json:"behind_max_ns"`
	Probes    []probe       `json:"probes"`
}

// lateAfter is how late an event can be without saying so.
const lateAfter = 50 * time.Millisecond

// patience is how long probes are waited for, after all has been produced.
const patience = 30 * time.Second

// load produces events.
type load struct {
	config config
	client *kgo.Client
	source *events
	begin  time.Time
	acked  atomic.Int64
	fail   context.CancelCauseFunc
	notes  *json.Encoder
	result loaded
}

// playLoad is the load's process.
func playLoad(ctx context.Context, argument string, in io.Reader, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(argument), &j); err != nil {
		return err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(j.Brokers...),
		kgo.DefaultProduceTopic(eventsTopic),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(1_000_000), // it is not to be slowed
	)
	if err != nil {
		return err
	}
	defer client.Close()
	looker, err := newLooker(j.Redis, j.Config)
	if err != nil {
		return err
	}
	defer looker.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &load{config: j.Config, client: client, source: newEvents(j.Config), fail: cancel, notes: json.NewEncoder(out)}
	if err := client.Ping(ctx); err != nil {
		return err
	}
	if err := l.say(note{Phase: ready}); err != nil {
		return err
	}
	input := bufio.NewReader(in)
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, input)
		cancel(fmt.Errorf("the input has ended"))
	}()
	return l.run(ctx, looker)
}

func (l *load) say(n note) error {
	n.Produced = l.acked.Load()
	if err := l.notes.Encode(n); err != nil {
		return fmt.Errorf("saying that it is %s: %w", n.Phase, err)
	}
	return nil
}

// run produces everything, and waits for the probes.
func (l *load) run(ctx context.Context, looker *looker) error {
	l.begin = time.Now()
	var producing, looking sync.WaitGroup
	looking.Go(func() {
		if err := looker.look(ctx); err != nil {
			l.fail(err)
		}
	})
	producing.Go(func() { l.probe(ctx, looker) })
	err := l.produce(ctx)
	producing.Wait()
	if err == nil {
		err = l.client.Flush(ctx)
	}
	if err == nil {
		err = l.say(note{Phase: produced})
	}
	if err != nil {
		l.fail(err)
	}
	looker.end(time.Now().Add(patience))
	looking.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	l.result.Probes = looker.probes
	return l.say(note{Phase: done, Loaded: &l.result})
}

// produce produces the events, each when it is due.
func (l *load) produce(ctx context.Context) error {
	whole := l.config.Warmup + l.config.Duration
	total := int64(whole.Seconds() * float64(l.config.Rate))
	apart := float64(time.Second) / float64(l.config.Rate)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	isWarm := false
	for made := int64(0); made < total; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !isWarm && time.Since(l.begin) >= l.config.Warmup {
			isWarm = true
			if err := l.say(note{Phase: warm}); err != nil {
				return err
			}
		}
		// A call can wait for memory to be free, so time is looked at again and again.
		for due := made; made < total; made++ {
			if made == due {
				now := time.Since(l.begin)
				due = min(int64(float64(now)/apart), made+64)
				if due == made {
					break
				}
				l.behind(now-time.Duration(float64(made)*apart), due-made)
			}
			now := time.Now()
			key, value := l.source.next(now.UnixMilli())
			l.send(ctx, key, value, now)
		}
	}
	return nil
}

// behind notes that events are produced so long after the first of them was due.
func (l *load) behind(by time.Duration, events int64) {
	l.result.BehindMax = max(l.result.BehindMax, by)
	if by > lateAfter {
		l.result.Late += events
	}
}

func (l *load) send(ctx context.Context, key, value []byte, now time.Time) {
	l.client.Produce(ctx, &kgo.Record{Key: key, Value: value, Timestamp: now}, func(_ *kgo.Record, err error) {
		if err != nil {
			l.fail(fmt.Errorf("producing: %w", err))
			return
		}
		l.acked.Add(1)
	})
}

// probe produces the probes.
func (l *load) probe(ctx context.Context, looker *looker) {
	ticker := time.NewTicker(l.config.Probe)
	defer ticker.Stop()
	for number := 0; time.Since(l.begin) < l.config.Warmup+l.config.Duration; number++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		w := looker.watches.of(number)
		key, value := probeEvent(number, w.region, now.UnixMilli())
		looker.expect(number, w, now.UnixMilli(), now.Sub(l.begin) >= l.config.Warmup)
		l.send(ctx, key, value, now)
	}
}

// startLoad starts the load's process.
func startLoad(j job) (*process.Child, *json.Decoder, error) {
	argument, err := json.Marshal(j)
	if err != nil {
		return nil, nil, fmt.Errorf("the load's job: %w", err)
	}
	child, err := process.Start(loadPart, string(argument))
	if err != nil {
		return nil, nil, err
	}
	return child, json.NewDecoder(child.Out), nil
}
