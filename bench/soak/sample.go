package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/redis"
)

// sampleEvery is how often everything is looked at.
const sampleEvery = time.Second

// processSample is how a process of Millrank is at a moment.
type processSample struct {
	At         float64 `json:"at_s"` // since the start of the run
	Slot       int     `json:"slot"`
	PID        int     `json:"pid"`
	RSS        int64   `json:"rss_bytes"`
	CPU        float64 `json:"cpus"` // that it took since the sample before
	Files      int     `json:"open_files"`
	Goroutines int     `json:"goroutines"` // 0: it did not answer
}

// streamSample is how far the stream is at a moment.
type streamSample struct {
	At        float64 `json:"at_s"`
	Produced  int64   `json:"produced"`      // records acknowledged so far
	Processed int64   `json:"processed"`     // records processed through, and committed; -1: Kafka did not answer
	Lag       int64   `json:"lag"`           // the same
	Freshness float64 `json:"freshness_s"`   // how far the newest list in Redis is behind the newest event, out-of-orderness aside; -1: not known
	Closed    float64 `json:"closing_lag_s"` // how far the closing watermark is behind the newest event; -1: not known
}

// sampler looks at everything until it is stopped.
type sampler struct {
	rig    *rig
	reader *progress.Reader
	redis  *goredis.Client

	mu        sync.Mutex
	processes []processSample
	streams   []streamSample
	state     progress.State // the last one that was read
	failure   error
}

func newSampler(g *rig) (*sampler, error) {
	reader, err := progress.NewReader(g.settings)
	if err != nil {
		return nil, err
	}
	return &sampler{rig: g, reader: reader, redis: goredis.NewClient(&goredis.Options{Addr: g.redis.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})}, nil
}

// run looks until ctx ends.
func (s *sampler) run(ctx context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() { every(ctx, sampleEvery, s.lookAtProcesses) })
	looking.Go(func() { every(ctx, 2*sampleEvery, s.lookAtStream) })
	looking.Wait()
	s.reader.Close()
	_ = s.redis.Close() // it was only read
}

func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (s *sampler) lookAtProcesses(ctx context.Context) {
	if err := s.rig.fleet.revive(); err != nil {
		s.mu.Lock()
		s.failure = err
		s.mu.Unlock()
	}
	var looking sync.WaitGroup
	for _, m := range s.rig.fleet.all() {
		looking.Go(func() {
			if sample, ok := m.look(ctx, s.rig.since()); ok {
				s.mu.Lock()
				s.processes = append(s.processes, sample)
				s.mu.Unlock()
			}
		})
	}
	looking.Wait()
}

// look looks at a process, and reports false where it has ended, or the looking.
func (m *member) look(ctx context.Context, at float64) (processSample, bool) {
	sample := processSample{At: at, Slot: m.slot, PID: m.pid()}
	needs := m.Needs()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.pid()))
	if m.ended() || err != nil || len(needs) == 0 {
		return sample, false
	}
	now := needs[len(needs)-1]
	before := m.Until(now.At.Add(-sampleEvery))
	sample.RSS, sample.Files = now.Memory, len(files)
	sample.CPU = (now.CPU - before.CPU).Seconds() / sampleEvery.Seconds()
	sample.Goroutines = m.goroutines(ctx)
	return sample, ctx.Err() == nil
}

// goroutines asks a process how many it has; 0 where it doesn't say.
func (m *member) goroutines(ctx context.Context) int {
	url, err := m.url()
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, sampleEvery/2)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", http.NoBody)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close() //nolint:errcheck // it is only read
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "go_goroutine_count") {
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64) // else 0
			return int(n)
		}
	}
	return 0
}

func (s *sampler) lookAtStream(ctx context.Context) {
	newest := s.rig.producer.at.Load()
	sample := streamSample{At: s.rig.since(), Produced: s.rig.producer.acked.Load(), Processed: -1, Lag: -1, Freshness: -1, Closed: -1}
	ctx, cancel := context.WithTimeout(ctx, 2*sampleEvery)
	defer cancel()
	state, err := s.reader.Read(ctx)
	if err == nil {
		sample.Processed, sample.Lag = 0, state.Verdict.Lag
		for _, one := range state.Sources {
			sample.Processed += one.Through + 1
		}
		if closed := state.Verdict.ClosedThrough; closed != progress.NoTime && newest != 0 {
			sample.Closed = float64(newest-int64(closed)) / 1000
		}
	}
	if at, ok := s.written(ctx); ok && newest != 0 {
		sample.Freshness = max(0, float64(newest-at)/1000-s.rig.settings.Time.OutOfOrderness.Std().Seconds())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams = append(s.streams, sample); err == nil {
		s.state = state
	}
}

// written returns how far event time had come when Redis' newest list of the first board was written.
func (s *sampler) written(ctx context.Context) (int64, bool) {
	mark, err := s.redis.HGet(ctx, redis.Meta(newestKey(s.rig.settings)), "watermark").Result()
	if err != nil {
		return 0, false
	}
	at, err := time.Parse(time.RFC3339, mark)
	return at.UnixMilli(), err == nil
}

// newestKey is the key of the newest list of the first board, of all regions together.
func newestKey(s settings.Settings) string {
	return s.Redis.Prefix + "global:top_k:" + s.Boards[0].Name
}

// last returns the newest sample of the stream, and how many events a second were processed over the last ten seconds or so.
func (s *sampler) last() (streamSample, float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) == 0 {
		return streamSample{Lag: -1, Freshness: -1}, 0
	}
	now := s.streams[len(s.streams)-1]
	known := len(s.streams) - 1
	for known > 0 && s.streams[known].Processed < 0 { // Kafka was away
		known--
	}
	return now, rateAt(s.streams, known, 10, func(x streamSample) int64 { return x.Processed })
}

// rateAt returns a rate over the seconds before a sample, without those where nothing is known.
func rateAt(samples []streamSample, at int, seconds float64, of func(streamSample) int64) float64 {
	if of(samples[at]) < 0 {
		return 0
	}
	for i := range at {
		if took := samples[at].At - samples[i].At; took <= seconds && of(samples[i]) >= 0 {
			return float64(of(samples[at])-of(samples[i])) / took
		}
	}
	return 0
}

// failed returns what has gone wrong with the run itself.
func (s *sampler) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}
