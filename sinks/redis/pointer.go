package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// pointer is what Redis knows of which generation is public. It lies in a HASH with the fields
//
//	generation, epoch  the activation that holds; a later one has a greater epoch
//	state              both in one, and whether lists still move (in a cluster)
//
// On a single server each script looks at it, so that what it says is true of all keys at every moment. In a cluster it is
// in one slot, and the epoch in each meta says as of which activation a list was put where it is.
type pointer struct {
	generation uint32
	epoch      int64 // 0: there is none
	moving     bool
}

func (p pointer) state() string {
	state := decimal(p.epoch) + ":" + strconv.FormatUint(uint64(p.generation), 10)
	if p.moving {
		state += ":moving"
	}
	return state
}

// parseState returns the zero pointer for what is no state.
func parseState(state string) pointer {
	parts := strings.SplitN(state, ":", 3)
	if len(parts) < 2 {
		return pointer{}
	}
	epoch, epochErr := strconv.ParseInt(parts[0], 10, 64)
	generation, generationErr := strconv.ParseUint(parts[1], 10, 32)
	if epochErr != nil || generationErr != nil || epoch < 1 {
		return pointer{}
	}
	return pointer{uint32(generation), epoch, len(parts) == 3}
}

// pointerName stands for the list that the pointer would be the meta of: so it is found among metas, and the same pattern gives access to it.
const pointerName = "millrank:active"

func (s *Sink) pointerKey() string { return Meta(s.config.Prefix + pointerName) }

// standing is what a Sink knows of the pointer.
type standing struct {
	mu    sync.Mutex
	at    pointer   // as Redis said last
	asked time.Time // when that was
	since time.Time // when lists were first seen to move as of at
	best  pointer   // the latest activation of which anybody has told

	cluster *bool // nil: not known yet
}

// How long what Redis said is taken for true, and how long another process may take to move a cluster's lists before this one does it.
const (
	pointerEvery = time.Second
	movingMax    = 10 * time.Second
)

// ActiveGeneration returns which generation is public according to Redis, and the epoch of its activation; both are 0 if Redis knows of none.
func (s *Sink) ActiveGeneration(ctx context.Context) (generation uint32, epoch int64, err error) {
	at, err := s.readPointer(ctx)
	return at.generation, at.epoch, err
}

// where returns where lists belong now. What it says may be a little old: scripts find that out. Where Redis has not been told of an activation
// that this process knows of, as it was emptied, or who should have told it died, it is told first.
func (s *Sink) where(ctx context.Context) (pointer, error) {
	want := s.want()
	st := &s.standing
	st.mu.Lock()
	at, fresh := st.at, s.config.Now().Sub(st.asked) < pointerEvery
	st.mu.Unlock()
	if fresh && !at.moving && at.epoch >= want.epoch && at.epoch > 0 {
		return at, nil
	}
	at, err := s.readPointer(ctx)
	if err != nil {
		return at, err
	}
	if want = s.want(); at.epoch < want.epoch || s.stuck() {
		if _, err := s.activate(ctx, want.generation, want.epoch); err != nil {
			return at, fmt.Errorf("Redis is to show generation %d: %w", want.generation, err)
		}
		st.mu.Lock()
		at = st.at
		st.mu.Unlock()
	}
	if at.epoch == 0 {
		return at, errUnknown
	}
	return at, nil
}

// want returns the latest activation of which anybody has told.
func (s *Sink) want() pointer {
	var told pointer
	if s.config.Active != nil {
		told.generation, told.epoch = s.config.Active()
	}
	s.standing.mu.Lock()
	defer s.standing.mu.Unlock()
	if told.epoch > s.standing.best.epoch {
		s.standing.best = told
	}
	return s.standing.best
}

// stuck reports whether lists have been moving for so long that whoever moved them must have died.
func (s *Sink) stuck() bool {
	st := &s.standing
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.at.moving && s.config.Now().Sub(st.since) >= movingMax
}

// readPointer asks Redis, and keeps the pointer alive as long as the lists.
func (s *Sink) readPointer(ctx context.Context) (pointer, error) {
	once, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	pipe := s.config.Client.Pipeline()
	answer := pipe.HGet(once, s.pointerKey(), "state")
	pipe.PExpire(once, s.pointerKey(), s.config.TTL) // so it is a master that answers, too
	_, _ = pipe.Exec(once)
	s.counts.pipelines.Add(1)
	s.counts.commands.Add(2)
	state, err := answer.Result()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it as it is
		return pointer{}, Explain(fmt.Errorf("asking which generation is active: %w", err))
	}
	at := parseState(state)
	s.learn(at)
	return at, nil
}

// learn takes in what Redis says.
func (s *Sink) learn(at pointer) {
	now := s.config.Now()
	st := &s.standing
	st.mu.Lock()
	defer st.mu.Unlock()
	if at != st.at {
		st.since = now
	}
	st.at, st.asked = at, now
	if at.epoch > st.best.epoch {
		st.best = at
		st.best.moving = false
	}
}

// place is where a key's list belongs, and how scripts are asked whether it still does.
type place struct {
	keys       []string // the list's, its meta's and, on a single server with generations, the pointer's
	generation string   // "" without generations
	asOf       string   // on a single server the pointer's state, in a cluster its epoch
}

// only is the place without generations.
func (s *Sink) only(key string) place { return place{keys: []string{key, Meta(key)}} }

func (s *Sink) place(key string, at pointer, cluster bool) place {
	if at.generation != s.config.Generation {
		key = Shadow(key, s.config.Generation)
	}
	p := place{keys: []string{key, Meta(key)}, generation: strconv.FormatUint(uint64(s.config.Generation), 10), asOf: decimal(at.epoch)}
	if !cluster {
		p.keys, p.asOf = append(p.keys, s.pointerKey()), at.state()
	}
	return p
}
