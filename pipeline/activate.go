package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/clickhouse"
	"github.com/millrank/millrank/sinks/redis"
)

// Activate makes a generation the one that readers see: it notes that in the topic of generations, then switches Redis. It can be called again, at any
// time and by anyone: what a call that broke off has left half done, the next one does.
func Activate(ctx context.Context, s settings.Settings, generation uint32) (Activation, error) {
	active, err := ActiveGeneration(ctx, s)
	if err != nil {
		return Activation{}, err
	}
	s.Generation = generation
	if _, err := microbatch.Describe(ctx, s.Connection(), s.RankingsTopic()); err != nil {
		return Activation{}, fmt.Errorf("generation %d has never run: %w; run it first, beside the active one: millrank run --set generation=%d", generation, err, generation)
	}
	client, sink, err := openRedisOf(s, &active)
	if err != nil {
		return Activation{}, err
	}
	defer closeQuietly(client)
	shown := epochIn(ctx, sink)
	if sink != nil && shown.Epoch < 0 {
		return Activation{}, errors.New("Redis can't be asked which generation it shows; nothing was changed. Check redis.addresses, and try again")
	}
	if ahead := shown.Epoch > active.Epoch || shown.Epoch == active.Epoch && shown.Generation != active.Generation; active.Generation != generation || ahead {
		next := Activation{generation, 1 + max(active.Epoch, shown.Epoch), time.Now().UTC()}
		if err := announce(s, next); err != nil {
			return Activation{}, err
		}
		now, err := ActiveGeneration(ctx, s)
		if err != nil {
			return Activation{}, err
		}
		if now.Generation != generation {
			return Activation{}, fmt.Errorf("generation %d was activated at the same moment; look, and try again", now.Generation)
		}
		active = now
	}
	var errs []error
	if sink != nil {
		if err := sink.Activate(ctx, active.Generation, active.Epoch); err != nil {
			errs = append(errs, fmt.Errorf("generation %d is noted as active, but Redis doesn't show it yet: %w; activate it again, or wait: the processes that run do so, too", generation, err))
		}
	}
	if err := withHistory(s, func(h *clickhouse.Sink) error { return h.SetActive(ctx, active.Generation, active.Epoch) }); err != nil {
		errs = append(errs, fmt.Errorf("generation %d is noted as active, but ClickHouse doesn't show it yet: %w; activate it again", generation, err))
	}
	return active, errors.Join(errs...)
}

// withHistory does something with the history, if the settings have one.
func withHistory(s settings.Settings, do func(*clickhouse.Sink) error) error {
	if len(s.ClickHouse.Addresses) == 0 {
		return nil
	}
	history, err := openHistory(s, nil)
	if err != nil {
		return err
	}
	return errors.Join(do(history), history.Close())
}

// openRedisOf makes a client and a sink for what an activation says; nil where the settings have no Redis.
func openRedisOf(s settings.Settings, active *Activation) (goredis.UniversalClient, *redis.Sink, error) {
	if len(s.Redis.Addresses) == 0 {
		return nil, nil, nil
	}
	return openRedis(s, func() (uint32, int64) { return active.Generation, active.Epoch }, watermill.NopLogger{})
}

func closeQuietly(client goredis.UniversalClient) {
	if client != nil {
		_ = client.Close() // all that was done has been answered
	}
}

// epochIn returns what Redis knows of, epoch 0 where it knows of none, and -1 where it can't be asked. It can be ahead of the topic's, if that was made anew.
func epochIn(ctx context.Context, sink *redis.Sink) Activation {
	if sink == nil {
		return Activation{}
	}
	generation, epoch, err := sink.ActiveGeneration(ctx)
	if err != nil {
		return Activation{Epoch: -1}
	}
	return Activation{Generation: generation, Epoch: epoch}
}

// Dropped says what Drop has deleted.
type Dropped struct {
	Topics []string `json:"topics"`
	Groups []string `json:"groups"`
}

// ErrActive is the error of dropping the generation that readers see.
var ErrActive = errors.New("this generation is active")

// ErrRuns is the error of dropping a generation that still runs.
var ErrRuns = errors.New("this generation still runs")

// Drop deletes all that a generation has: its lists in Redis, its topics and its groups. Dead letters stay. What is gone already is fine.
func Drop(ctx context.Context, s settings.Settings, generation uint32) (Dropped, error) {
	active, err := ActiveGeneration(ctx, s)
	if err != nil {
		return Dropped{}, err
	}
	if active.Generation == generation {
		return Dropped{}, fmt.Errorf("generation %d: %w; activate another one first", generation, ErrActive)
	}
	s.Generation = generation
	admin, err := kafkaclient.NewAdmin(s.Connection())
	if err != nil {
		return Dropped{}, err
	}
	defer admin.Close()
	done := Dropped{Topics: []string{s.UpdatesTopic(), s.RankingsTopic()}}
	for _, handler := range settings.AllHandlers() {
		done.Groups = append(done.Groups, s.Group(handler))
	}
	described, err := admin.DescribeGroups(ctx, done.Groups...)
	if err != nil {
		return Dropped{}, fmt.Errorf("looking whether generation %d runs: %w", generation, err)
	}
	for _, g := range described.Sorted() {
		if n := len(g.Members); n > 0 {
			return Dropped{}, fmt.Errorf("generation %d: %w: group %s has %d members, such as %s at %s; stop them first", generation, ErrRuns, g.Group, n, g.Members[0].ClientID, g.Members[0].ClientHost)
		}
	}
	client, sink, err := openRedisOf(s, &active)
	if err != nil {
		return Dropped{}, err
	}
	defer closeQuietly(client)
	if sink != nil {
		if err := sink.Drop(ctx, generation); err != nil {
			return Dropped{}, fmt.Errorf("generation %d in Redis: %w", generation, err)
		}
	}
	if err := withHistory(s, func(h *clickhouse.Sink) error { return h.Drop(ctx, generation) }); err != nil {
		return Dropped{}, fmt.Errorf("generation %d in ClickHouse: %w", generation, err)
	}
	return done, deleteAll(ctx, admin, done)
}

// deleteAll deletes topics and groups. That they are gone already is fine.
func deleteAll(ctx context.Context, admin *kadm.Client, d Dropped) error {
	var errs []error
	topics, err := admin.DeleteTopics(ctx, d.Topics...)
	errs = append(errs, err)
	for _, t := range topics.Sorted() {
		if t.Err != nil && !errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			errs = append(errs, fmt.Errorf("deleting topic %s: %w", t.Topic, t.Err))
		}
	}
	groups, err := admin.DeleteGroups(ctx, d.Groups...)
	errs = append(errs, err)
	for _, g := range groups.Sorted() {
		if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
			errs = append(errs, fmt.Errorf("deleting group %s: %w", g.Group, g.Err))
		}
	}
	return errors.Join(errs...)
}
