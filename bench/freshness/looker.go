package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/sinks/redis"
)

// Redis is asked every lookEvery, for at most lookMax probes: where more are on their way, which takes seconds, they take turns, so that
// asking takes no more of Redis the slower it is.
const (
	lookEvery = 2 * time.Millisecond
	lookMax   = 64
)

// probe is an event that is looked for.
type probe struct {
	Number   int           `json:"number"`
	Milli    int64         `json:"milli"`   // its time, Unix ms
	Sent     int64         `json:"sent_ns"` // Unix, just before it was produced
	Took     time.Duration `json:"took_ns"` // until it was seen
	Seen     bool          `json:"seen"`
	Measured bool          `json:"measured"` // it came after the warm-up
}

// looker looks for probes in Redis.
type looker struct {
	watches watches
	client  *goredis.Client
	sink    *redis.Sink // knows the keys

	mu     sync.Mutex
	probes []probe
	open   []expected
	turn   int       // where in open the next turn begins
	until  time.Time // when it gives up; zero: more probes may come
}

// expected is a probe that was not seen yet.
type expected struct {
	number int
	key    string
	sent   time.Time
}

func newLooker(address string, c config) (*looker, error) {
	client := goredis.NewClient(&goredis.Options{Addr: address, ContextTimeoutEnabled: true})
	sink, err := redis.New(redis.Config{Client: client, Boards: boards()})
	if err != nil {
		return nil, err
	}
	return &looker{watches: newWatches(c.Regions), client: client, sink: sink}, nil
}

func (l *looker) close() { _ = l.client.Close() } // only reads

// expect has a probe looked for that is produced right after this call.
func (l *looker) expect(number int, w watch, milli int64, measured bool) {
	key := w.key(l.sink, milli)
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := time.Now()
	l.open = append(l.open, expected{number: number, key: key, sent: sent})
	l.probes = append(l.probes, probe{Number: number, Milli: milli, Sent: sent.UnixNano(), Measured: measured})
}

// end says that no more probes come, and how long the rest is looked for.
func (l *looker) end(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
}

// look asks Redis again and again until all probes are seen, or there is no patience left.
func (l *looker) look(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			open, until := l.next()
			if !until.IsZero() && (len(open) == 0 || now.After(until)) {
				return nil
			}
			if err := l.ask(ctx, open); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil // whoever ended it knows why
		}
	}
}

// next returns those whose turn it is, and when to give up.
func (l *looker) next() (open []expected, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) <= lookMax {
		return slices.Clone(l.open), l.until
	}
	for range lookMax {
		l.turn = (l.turn + 1) % len(l.open)
		open = append(open, l.open[l.turn])
	}
	return open, l.until
}

// ask asks Redis for probes. ZMSCORE is what nobody else uses, so that the server counts it apart.
func (l *looker) ask(ctx context.Context, open []expected) error {
	if len(open) == 0 {
		return nil
	}
	pipe := l.client.Pipeline()
	answers := make([]*goredis.FloatSliceCmd, len(open))
	for i, e := range open {
		answers[i] = pipe.ZMScore(ctx, e.key, probeItem(e.number))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("looking for probes: %w", err)
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range open {
		if scores := answers[i].Val(); len(scores) == 1 && scores[0] == probeScore(e.number) {
			l.probes[e.number].Seen, l.probes[e.number].Took = true, now.Sub(e.sent)
		}
	}
	l.open = slices.DeleteFunc(l.open, func(e expected) bool { return l.probes[e.number].Seen })
	return nil
}
