package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// guard notices that Redis has lost something that its writer has written, even if nobody writes those
// keys again. It keeps sentinels, one in each of the slots of some tags, which hold the rankings offset up to which
// everything has been written. They are raised when all lists of a flush have been acknowledged, so a server that has a
// sentinel as it was raised last has all lists before it: what a replica has got, and what a log of commands
// or a snapshot gives back after a crash, is everything up to some command. Emptied, restarted without data or
// failed over to a replica that lacks something, a server has an older sentinel, another one or none.
//
// Every master of a cluster can lose its data alone, so there must be a sentinel on each.
//
// A loss is noted in the sentinel until it has been filled in, so that whoever writes after a restart knows of it.
type guard struct {
	sink      *Sink
	partition int
	sentinels []*sentinel
	through   int64     // what sentinels hold at least when they are first looked at; -1: nothing is expected
	topology  time.Time // when the cluster was last asked who has which slots
	asked     time.Time // when the sentinels were last asked
}

// sentinel is what the writer knows of a sentinel: it holds that, or more.
type sentinel struct {
	key     string
	met     bool   // it has been looked at
	id      string // "" before that
	seq     int64
	through int64
}

const (
	askEvery      = time.Second
	topologyEvery = 10 * time.Second
)

// What guard.lua can do, which says what each means.
const (
	look  = "look"
	raise = "raise"
	hold  = "hold"
	fill  = "fill"
	lose  = "lose"
)

// key returns the key of the sentinel in the slot of a tag.
func (g *guard) key(tag string) string {
	c := &g.sink.config
	if c.Generation == 0 {
		return fmt.Sprintf("%s{%s}:millrank:written:%d", c.Prefix, tag, g.partition)
	}
	return fmt.Sprintf("%s{%s}:millrank:g%d:written:%d", c.Prefix, tag, c.Generation, g.partition)
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
		s := &sentinel{key: g.key(tag), through: -1}
		if first {
			s.through = g.through
		} // one that is added later is for slots that have moved: nothing was noted there before
		if !slices.ContainsFunc(g.sentinels, func(other *sentinel) bool { return other.key == s.key }) {
			g.sentinels = append(g.sentinels, s)
		}
	}
	return nil
}

// open looks at the sentinels that haven't been met, and makes those that are missing, so that a loss between now and the
// next time is found.
func (g *guard) open(ctx context.Context) (lost bool, err error) {
	if err := g.place(ctx); err != nil {
		return false, err
	}
	var strange []*sentinel
	for _, s := range g.sentinels {
		if !s.met {
			strange = append(strange, s)
		}
	}
	return g.ask(ctx, strange, look, -1)
}

// due reports whether the sentinels have not been asked for a while.
func (g *guard) due() bool { return g.sink.config.Now().Sub(g.asked) >= askEvery }

// askAll asks all sentinels.
func (g *guard) askAll(ctx context.Context, action string, through int64) (lost bool, err error) {
	if err := g.place(ctx); err != nil {
		return false, err
	}
	return g.ask(ctx, g.sentinels, action, through)
}

func (g *guard) ask(ctx context.Context, sentinels []*sentinel, action string, through int64) (lost bool, err error) {
	if len(sentinels) == 0 {
		return false, nil
	}
	g.asked = g.sink.config.Now()
	calls := make([]*call, len(sentinels))
	for i, s := range sentinels {
		calls[i] = &call{script: guardScript, keys: []string{s.key}, args: []any{
			action, s.id, decimal(s.seq), decimal(s.through), decimal(through), randomID(), decimal(g.sink.config.TTL.Milliseconds()),
		}}
	}
	err = g.sink.run(ctx, calls)
	for i, s := range sentinels {
		c := calls[i]
		if c.err != nil {
			continue // what is known of it is true also if it has been raised: it holds more, then
		}
		s.met, s.id, s.seq = true, c.id, c.seq
		switch {
		case c.answer == 0:
			lost = true
			s.through = -1 // as the loss is known, the next one is to be found
			g.sink.counts.lost.Add(1)
		case action == raise || action == fill:
			s.through = max(s.through, through)
		}
	}
	return lost, err
}

func randomID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return hex.EncodeToString(id[:])
}
