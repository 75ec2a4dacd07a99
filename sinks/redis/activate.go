package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Activate makes a generation's lists public: those of the generation that was public are put aside to where Shadow says, and these in their place, with
// their metas. Writers follow by themselves. An epoch stands for an activation: the next one has a greater one, whatever generation it is of.
//
// It can be repeated, at any time and by anyone; what is done already is left as it is. The error is ErrSuperseded where Redis knows of a later
// activation. After another error, or when ctx ends, call it again; writers whose Config.Active knows of it do that, too.
//
// On a single server all keys are switched at once, and the server does nothing else meanwhile: some 10 ms for each 1,000 lists. Nothing has
// happened before. A cluster is switched list by list; it is over when Activate returns.
func (s *Sink) Activate(ctx context.Context, generation uint32, epoch int64) error {
	const epochMax = 1 << 53 // Lua's numbers are float64
	if generation == 0 || epoch < 1 || epoch >= epochMax {
		return fmt.Errorf("generation %d can't be activated with epoch %d: generations and epochs count from 1", generation, epoch)
	}
	done, err := s.activate(ctx, generation, epoch)
	if err == nil && !done {
		err = ErrSuperseded
	}
	if err != nil {
		return fmt.Errorf("generation %d, epoch %d: %w", generation, epoch, err)
	}
	return nil
}

// activate returns false where a later activation, or another one of the epoch, holds.
func (s *Sink) activate(ctx context.Context, generation uint32, epoch int64) (done bool, err error) {
	select {
	case s.activating <- struct{}{}:
		defer func() { <-s.activating }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	at, err := s.readPointer(ctx)
	if err != nil {
		return false, err
	}
	to := pointer{generation: generation, epoch: epoch}
	switch {
	case at == to:
		return true, nil
	case at.epoch > epoch || at.epoch == epoch && at.generation != generation:
		return false, nil
	}
	cluster, err := s.clustered(ctx)
	if err != nil {
		return false, err
	}
	if cluster {
		done, err = s.activateCluster(ctx, to)
	} else {
		done, err = s.activateSingle(ctx, to)
	}
	if err != nil {
		return false, err
	}
	if _, err := s.readPointer(ctx); err != nil {
		return false, err
	}
	if done {
		s.config.Logger.Info("Redis shows another generation", map[string]any{"generation": generation, "epoch": epoch})
	}
	return done, nil
}

// What scripts that move lists answer, other than how many.
const (
	answerAnew       = -1
	answerSuperseded = -2
)

// journalsMax is how often the journal is made anew, when other processes activate meanwhile, or Redis is emptied.
const journalsMax = 20

// journalTTL is how long a journal stays that nobody uses.
const journalTTL = 10 * time.Minute

// activateSingle gathers all lists' keys in a SET, the journal, where scripts put what lists they make meanwhile, and then moves all in one step.
func (s *Sink) activateSingle(ctx context.Context, to pointer) (bool, error) {
	journal := s.pointerKey() + ":lists"
	for range journalsMax {
		token := "token:" + randomID()
		if err := s.note(ctx, journal, []string{token}); err != nil {
			return false, err
		}
		lists, err := s.scan(ctx)
		if err != nil {
			return false, err
		}
		for part := range slices.Chunk(lists, pipelineCalls) {
			if err := s.note(ctx, journal, part); err != nil {
				return false, err
			}
		}
		c := &call{script: activateScript, keys: []string{s.pointerKey(), journal}, args: []any{
			strconv.FormatUint(uint64(to.generation), 10), decimal(to.epoch), token, to.state(), decimal(s.config.TTL.Milliseconds()),
		}}
		if err := s.run(ctx, []*call{c}); err != nil {
			return false, err
		}
		switch c.answer {
		case answerAnew:
			continue
		case answerSuperseded:
			return false, nil
		}
		s.counts.moved.Add(c.answer)
		return true, nil
	}
	return false, errSwitching
}

// note adds keys to the journal.
func (s *Sink) note(ctx context.Context, journal string, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	pipe := s.config.Client.Pipeline()
	pipe.SAdd(ctx, journal, keys)
	pipe.PExpire(ctx, journal, journalTTL)
	_, err := pipe.Exec(ctx)
	if err != nil {
		return Explain(fmt.Errorf("noting which lists there are: %w", err))
	}
	return nil
}

// quiet is how long after a first sweep a cluster is swept once more: what writers that didn't know yet had sent before they died has come then.
// (Those that live on mend it themselves.)
const quiet = time.Second

// activateCluster says first that lists move, so that each writer moves its own before it writes them, then goes through all.
func (s *Sink) activateCluster(ctx context.Context, to pointer) (bool, error) {
	moving := to
	moving.moving = true
	if done, err := s.point(ctx, moving); !done || err != nil {
		return false, err
	}
	for sweep := range 2 {
		lists, err := s.scan(ctx)
		if err != nil {
			return false, err
		}
		if err := s.show(ctx, to, lists); errors.Is(err, errSwitching) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if len(lists) == 0 {
			break
		}
		if sweep == 0 {
			if err := wait(ctx, quiet); err != nil {
				return false, err
			}
		}
	}
	return s.point(ctx, to)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// point notes which generation is public; done is false where a later activation holds.
func (s *Sink) point(ctx context.Context, to pointer) (done bool, err error) {
	c := &call{script: pointScript, keys: []string{s.pointerKey()}, args: []any{
		strconv.FormatUint(uint64(to.generation), 10), decimal(to.epoch), to.state(), decimal(s.config.TTL.Milliseconds()),
	}}
	err = s.run(ctx, []*call{c})
	return c.answer != answerSuperseded, err
}

// show moves the lists of some keys in a cluster, each by itself. The error is errSwitching where some have been moved as of a later activation.
func (s *Sink) show(ctx context.Context, at pointer, keys []string) error {
	calls := make([]*call, len(keys))
	for i, key := range keys {
		own := Shadow(key, at.generation)
		calls[i] = &call{script: showScript, keys: []string{key, Meta(key), own, Meta(own)}, args: []any{strconv.FormatUint(uint64(at.generation), 10), decimal(at.epoch)}}
	}
	if err := s.run(ctx, calls); err != nil {
		return err
	}
	for _, c := range calls {
		if c.answer == answerSuperseded {
			return errSwitching
		}
		s.counts.moved.Add(c.answer)
	}
	return nil
}
