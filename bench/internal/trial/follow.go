package trial

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// follower reads an engine's output while it runs. It is gentle: the machine is the engine's.
type follower struct {
	decode decode
	client *kgo.Client

	mu      sync.Mutex
	tables  *tables
	changed time.Time // by this process's clock, when a table was last seen to change
	bytes   int64     // of all output
	err     error
}

func follow(ctx context.Context, brokers []string, l Launch, t *tables) (*follower, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(l.Out), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMinBytes(1<<20), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.Out, err)
	}
	f := &follower{decode: l.Decode, client: client, tables: t, changed: time.Now()}
	go f.read(ctx)
	return f, nil
}

func (f *follower) read(ctx context.Context) {
	for {
		fetches := f.client.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		f.err = fetches.Err()
		fetches.EachRecord(f.take)
		failed := f.err != nil
		f.mu.Unlock()
		if failed {
			return
		}
	}
}

// take takes a record in; the caller holds the lock.
func (f *follower) take(r *kgo.Record) {
	f.bytes += int64(len(r.Value))
	rows, err := f.decode(r.Value)
	if err != nil {
		f.err = fmt.Errorf("the output's record at offset %d: %w", r.Offset, err)
		return
	}
	for i := range rows {
		if f.tables.take(rows[i], r.Timestamp) {
			f.changed = time.Now()
		}
	}
}

// state is how far an engine has come.
type state struct {
	verdict  Verdict
	seen     int // tables
	complete bool
	quiet    time.Duration // since when no table has changed
}

// look says how far it is; judging everything takes a moment, so it is left out where nothing depends on it.
func (f *follower) look(total bool) (s state, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s = state{seen: len(f.tables.got), complete: f.tables.complete(), quiet: time.Since(f.changed)}
	if s.complete {
		s.verdict = f.tables.judge(total)
	}
	return s, f.err
}

func (f *follower) close() { f.client.Close() }
