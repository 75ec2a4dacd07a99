package feed

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sender sends records and counts what became of them.
type sender struct {
	client *kgo.Client
	topic  string
	ctx    context.Context //nolint:containedctx // it is the run's, outliving it by drainTime

	sent, acknowledged, failed, bytes atomic.Int64

	mu       sync.Mutex
	failures map[string]int64 // by what the broker said
	lost     int64            // the first line of which something failed, in a way that ends the run
	fatal    error
}

// drainTime is how long records that are under way may take once the run is to stop.
const drainTime = 10 * time.Second

func newSender(ctx context.Context, t *Target) (*sender, context.CancelFunc) {
	drain, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(drainTime, cancel)
		context.AfterFunc(drain, func() { timer.Stop() })
	})
	s := &sender{client: t.client, topic: t.topic, ctx: drain, failures: make(map[string]int64), lost: math.MaxInt64}
	return s, func() { stop(); cancel() }
}

// send hands a record to the client, and waits while its buffer is full.
func (s *sender) send(line int64, r *kgo.Record) {
	r.Topic = s.topic
	size := int64(len(r.Key) + len(r.Value))
	s.sent.Add(1)
	s.client.Produce(s.ctx, r, func(_ *kgo.Record, err error) {
		if err == nil {
			s.acknowledged.Add(1)
			s.bytes.Add(size)
			return
		}
		s.fail(line, err)
	})
}

func (s *sender) fail(line int64, err error) {
	s.failed.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[err.Error()]++
	if ofRecord(err) {
		return
	}
	s.lost = min(s.lost, line)
	if s.fatal == nil {
		s.fatal = err
	}
}

// lose notes that a line was not sent.
func (s *sender) lose(line int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = min(s.lost, line)
}

// ofRecord reports whether an error is of what is in a record, so that the next one may be fine.
func ofRecord(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidTimestamp) || errors.Is(err, kerr.InvalidRecord)
}

// broken returns the error that ends the run, or nil.
func (s *sender) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fatal
}

// wait waits until all that was sent is acknowledged or has failed.
func (s *sender) wait() {
	if err := s.client.Flush(s.ctx); err != nil {
		s.client.AbortBufferedRecords(context.Background()) //nolint:errcheck,contextcheck // without a deadline it has no error
	}
}
