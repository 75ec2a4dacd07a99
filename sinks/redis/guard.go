package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// guard notices that Redis has lost something that its writer has written, even if nobody writes those
// keys again. It keeps sentinels, one in each of the slots of some tags, which hold the rankings offset up to which
// everything has been written. They are raised when all lists of a flush have been acknowledged, so a server that has a
// sentinel as it was raised last has all lists before it: what a replica has got, and what a log of commands
// or a snapshot gives back after a crash, is everything up to some command. Emptied, restarted without data or
// failed over to a replica that lacks something, a server has an older sentinel or none.
//
// Every master of a cluster can lose its data alone, so there must be a sentinel on each.
type guard struct {
	sink      *Sink
	partition int32
	writer    string // by chance: tells whose seq a sentinel holds
	seq       int64  // counts what this writer has noted, since it can note an offset twice
	sentinels []*sentinel
	expect    int64     // what a sentinel is expected to hold at least when it is first looked at
	topology  time.Time // when the cluster was last asked who has which slots
	asked     time.Time // when the sentinels were last asked
}

// sentinel is what the writer knows of a sentinel.
type sentinel struct {
	key     string
	known   bool // false: it may be missing, or hold anything
	through int64
	seq     int64 // what it holds if this writer wrote it last
}

const (
	askEvery      = time.Second
	topologyEvery = 10 * time.Second
	behind        = -2 // what guard.lua answers if something is missing
)

func newGuard(s *Sink, partition int32, writtenThrough int64) guard {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return guard{sink: s, partition: partition, writer: hex.EncodeToString(id[:]), expect: writtenThrough}
}

// key returns the key of the sentinel in the slot of a tag.
func (g *guard) key(tag string) string {
	return fmt.Sprintf("%s{%s}:millrank:written:%d", g.sink.config.Prefix, tag, g.partition)
}

// place makes sure that there is a sentinel on each master.
func (g *guard) place(ctx context.Context) error {
	now := g.sink.config.Now()
	first := len(g.sentinels) == 0
	if !first && now.Sub(g.topology) < topologyEvery {
		return nil
	}
	tags, err := g.sink.tags(ctx)
	if err != nil {
		return err
	}
	g.topology = now
	for _, tag := range tags {
		key := g.key(tag)
		if g.has(key) {
			continue
		}
		// One that is added later is for slots that have moved: nothing of it was noted before.
		g.sentinels = append(g.sentinels, &sentinel{key: key, known: first && g.expect >= 0, through: g.expect})
	}
	return nil
}

func (g *guard) has(key string) bool {
	for _, s := range g.sentinels {
		if s.key == key {
			return true
		}
	}
	return false
}

// open marks the sentinels of which nothing is expected, so that a loss between now and the next raise is found.
func (g *guard) open(ctx context.Context) error {
	if err := g.place(ctx); err != nil {
		return err
	}
	var unknown []*sentinel
	for _, s := range g.sentinels {
		if !s.known {
			unknown = append(unknown, s)
		}
	}
	_, err := g.ask(ctx, unknown, "-1")
	return err
}

// raise notes that everything up to an offset has been written, where nothing is missing.
func (g *guard) raise(ctx context.Context, through int64) (lost bool, err error) {
	return g.ask(ctx, g.sentinels, decimal(max(through, -1)))
}

// look asks whether something is missing, once a second at most.
func (g *guard) look(ctx context.Context) (lost bool, err error) {
	if now := g.sink.config.Now(); now.Sub(g.asked) < askEvery {
		return false, nil
	}
	if err := g.place(ctx); err != nil {
		return false, err
	}
	var known []*sentinel
	for _, s := range g.sentinels {
		if s.known {
			known = append(known, s)
		}
	}
	return g.ask(ctx, known, "")
}

// ask calls guard.lua for sentinels, to write what it is given, or with "" to look only.
func (g *guard) ask(ctx context.Context, sentinels []*sentinel, through string) (lost bool, err error) {
	if len(sentinels) == 0 {
		return false, nil
	}
	g.asked = g.sink.config.Now()
	seq := g.seq
	if through != "" {
		g.seq++
		seq = g.seq
	}
	calls := make([]*call, len(sentinels))
	for i, s := range sentinels {
		expected := ""
		if s.known {
			expected = decimal(s.through)
		}
		calls[i] = &call{script: guardScript, keys: []string{s.key}, args: []any{
			expected, g.writer, decimal(s.seq), through, decimal(seq), decimal(g.sink.config.TTL.Milliseconds()),
		}}
	}
	err = g.sink.run(ctx, calls)
	for i, s := range sentinels {
		switch {
		case calls[i].err != nil: // what is known of it stays true if it was written: it only grows
		case calls[i].answer == behind:
			lost = true
			g.sink.counts.lost.Add(1)
		default:
			s.known, s.through = true, calls[i].answer
			if through != "" {
				s.seq = seq
			}
		}
	}
	return lost, err
}

// drop removes the sentinels: whoever writes after a restart finds out that something is missing. Nothing is
// expected of them from then on.
func (g *guard) drop(ctx context.Context) error {
	g.expect = -1
	if err := g.place(ctx); err != nil {
		return err
	}
	pipe := g.sink.config.Client.Pipeline()
	for _, s := range g.sentinels {
		s.known = false
		pipe.Del(ctx, s.key)
	}
	g.sink.counts.pipelines.Add(1)
	g.sink.counts.commands.Add(int64(len(g.sentinels)))
	if _, err := pipe.Exec(ctx); err != nil {
		return explain(fmt.Errorf("removing a writer's mark: %w", err))
	}
	return nil
}
