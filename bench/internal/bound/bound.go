// Package bound does the job that engines are compared by in as little as Go needs: a Kafka client and hash maps, all in memory. It commits
// nothing and recovers nothing, so it says what an engine's guarantees cost; no engine is asked to be as fast.
package bound

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/bench/internal/workload"
)

// Job is what it is told.
type Job struct {
	Brokers  []string          `json:"brokers"`
	Topic    string            `json:"topic"`
	Out      string            `json:"out"`
	Workers  int               `json:"workers"` // partitions are theirs in turn
	Workload workload.Settings `json:"workload"`
}

// Result is how it went.
type Result struct {
	First   time.Time `json:"first"` // when it had the first record
	Records int64     `json:"records"`
	Late    int64     `json:"late"`
	Again   int64     `json:"again"`
}

// window is what a worker knows of one.
type window struct {
	seen   map[[workload.IDBytes]byte]struct{}
	counts []map[string]*int64 // by region
	sums   []int64
}

// worker counts the events of some of the partitions.
type worker struct {
	in      chan []*kgo.Record
	regions map[string]int
	windows map[int64]*window // by start, Unix ms
	newest  []int64           // event time by partition, Unix ms
	late    int64
	again   int64

	size, disorder, lateness int64 // ms
}

func newWorker(s workload.Settings) *worker {
	w := &worker{
		in: make(chan []*kgo.Record, 64), regions: map[string]int{}, windows: map[int64]*window{}, newest: make([]int64, s.Partitions),
		size: s.Window.Milliseconds(), disorder: s.OutOfOrderness.Milliseconds(), lateness: s.AllowedLateness.Milliseconds(),
	}
	for i, name := range s.RegionNames() {
		w.regions[name] = i
	}
	return w
}

func (w *worker) window(start int64) *window {
	x := w.windows[start]
	if x == nil {
		x = &window{seen: make(map[[workload.IDBytes]byte]struct{}, 65536), counts: make([]map[string]*int64, len(w.regions)), sums: make([]int64, len(w.regions))}
		for i := range x.counts {
			x.counts[i] = make(map[string]*int64, 4096)
		}
		w.windows[start] = x
	}
	return x
}

// process counts records of one partition.
func (w *worker) process(records []*kgo.Record) {
	last := int64(-1)
	var x *window
	for _, r := range records {
		e, ok := scan(r.Value)
		if !ok || len(e.id) != workload.IDBytes {
			continue
		}
		if e.milli > w.newest[r.Partition] {
			w.newest[r.Partition] = e.milli
		}
		region, ok := w.regions[string(e.region)]
		if !ok {
			continue
		}
		start := e.milli - e.milli%w.size
		if start+w.size+w.lateness <= w.newest[r.Partition]-w.disorder {
			w.late++
			continue
		}
		if start != last {
			last, x = start, w.window(start)
		}
		id := [workload.IDBytes]byte(e.id)
		if _, again := x.seen[id]; again {
			w.again++
			continue
		}
		x.seen[id] = struct{}{}
		x.sums[region] += e.count
		if n := x.counts[region][string(e.item)]; n != nil {
			*n += e.count
		} else {
			x.counts[region][string(e.item)] = new(e.count)
		}
	}
}

// run is one run of the job.
type run struct {
	job       Job
	client    *kgo.Client
	workers   []*worker
	published map[int64]bool // windows, by start
}

// Run reads the whole topic, and returns when all tables are published.
func Run(ctx context.Context, j Job) (Result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(j.Brokers...), kgo.ConsumeTopics(j.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(1<<20), kgo.DefaultProduceTopic(j.Out), kgo.ProducerLinger(0))
	if err != nil {
		return Result{}, fmt.Errorf("the bound: %w", err)
	}
	defer client.Close()
	r := run{job: j, client: client, published: map[int64]bool{}}
	var busy, ended sync.WaitGroup
	for range j.Workers {
		w := newWorker(j.Workload)
		r.workers = append(r.workers, w)
		ended.Go(func() {
			for records := range w.in {
				w.process(records)
				busy.Done()
			}
		})
	}
	defer func() {
		for _, w := range r.workers {
			close(w.in)
		}
		ended.Wait()
	}()
	var result Result
	for result.Records < j.Workload.Records() {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return result, fmt.Errorf("the bound, reading %s: %w", j.Topic, err)
		}
		if result.First.IsZero() {
			result.First = time.Now()
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) == 0 {
				return
			}
			result.Records += int64(len(p.Records))
			busy.Add(1)
			r.workers[int(p.Partition)%j.Workers].in <- p.Records
		})
		busy.Wait()
		r.close(ctx)
	}
	for _, w := range r.workers {
		result.Late, result.Again = result.Late+w.late, result.Again+w.again
	}
	if err := client.Flush(ctx); err != nil {
		return result, fmt.Errorf("the bound, writing %s: %w", j.Out, err)
	}
	return result, nil
}

// close publishes the windows that have ended, and forgets those that nothing can come for any more.
func (r *run) close(ctx context.Context) {
	watermark := int64(math.MaxInt64)
	for p := range r.job.Workload.Partitions {
		w := r.workers[p%len(r.workers)]
		watermark = min(watermark, w.newest[p]-w.disorder)
	}
	for _, w := range r.workers {
		for start := range w.windows {
			if !r.published[start] && start+w.size <= watermark {
				r.published[start] = true
				r.publish(ctx, start)
			}
		}
	}
	for _, w := range r.workers {
		for start := range w.windows {
			if start+w.size+w.lateness <= watermark {
				delete(w.windows, start)
			}
		}
	}
}

// publish publishes all tables of a window. Each item of a region is with one worker, since it is in one partition.
func (r *run) publish(ctx context.Context, start int64) {
	all := map[string]int64{}
	var events int64
	send := func(region string, events int64, lines []workload.Line) {
		r.client.Produce(ctx, &kgo.Record{Key: fmt.Append(nil, region, start), Value: workload.AppendRow(nil, start, region, events, lines)}, nil)
	}
	for i, region := range r.job.Workload.RegionNames() {
		best := workload.NewBest()
		var sum int64
		for _, w := range r.workers {
			x := w.windows[start]
			if x == nil {
				continue
			}
			sum += x.sums[i]
			for item, n := range x.counts[i] {
				best.Offer(workload.Line{Item: item, Count: *n})
				all[item] += *n
			}
		}
		events += sum
		send(region, sum, best.Sorted())
	}
	best := workload.NewBest()
	for item, n := range all {
		best.Offer(workload.Line{Item: item, Count: n})
	}
	send(workload.Global, events, best.Sorted())
}
