package microbatch_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/millrank/millrank/microbatch"
)

// folds is what handlers make of partitions: a fold over the records of each claim, and what must be
// true of them.
type folds struct {
	t    *testing.T
	seed uint64

	mu    sync.Mutex
	rand  *rand.Rand
	of    map[*microbatch.Claim]*fold
	live  map[int32]*microbatch.Claim
	asked map[int32]map[microbatch.Committed]bool
	sure  map[int32]int64 // greatest offset that a claim knew to be committed, when it ended
	done  map[int32]int64 // offsets below it were folded
}

// fold is a state: the next offset, and a hash of all values below it.
type fold struct {
	next int64
	hash uint64
}

func (f fold) String() string { return fmt.Sprintf("%d:%x", f.next, f.hash) }

func (f *fold) add(value string) {
	f.hash = xxh3.HashString(fmt.Sprintf("%x %s", f.hash, value))
	f.next++
}

// truth is the fold of produce's values.
func truth(partition int32, next int64) fold {
	var f fold
	for f.next < next {
		f.add(fmt.Sprintf("%d/%d", partition, f.next))
	}
	return f
}

func newFolds(t *testing.T, seed uint64) *folds {
	return &folds{
		t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), of: map[*microbatch.Claim]*fold{}, live: map[int32]*microbatch.Claim{},
		asked: map[int32]map[microbatch.Committed]bool{}, sure: map[int32]int64{}, done: map[int32]int64{},
	}
}

func (f *folds) wrongf(format string, args ...any) {
	f.t.Helper()
	f.t.Errorf("seed %d: %s", f.seed, fmt.Sprintf(format, args...))
}

// assigned checks where a claim begins. Held: mu.
func (f *folds) assigned(c *microbatch.Claim) {
	p, start := c.Partition, c.Start
	if f.live[p] != nil {
		f.wrongf("partition %d has two owners", p)
	}
	f.live[p] = c
	state := truth(p, start.Offset)
	switch {
	case !start.Resumed && (start.Offset != 0 || start.State != ""):
		f.wrongf("partition %d begins at %+v without a commit", p, start)
	case start.Resumed && start.State != state.String():
		f.wrongf("partition %d begins at %+v, but the state there is %v", p, start, state)
	case start.Resumed && !f.asked[p][microbatch.Committed{Offset: start.Offset, State: start.State}]:
		f.wrongf("partition %d begins at %+v, which nobody asked for", p, start)
	case start.Offset < f.sure[p]:
		f.wrongf("partition %d begins at %d, but %d was committed", p, start.Offset, f.sure[p])
	}
	f.of[c] = &state
}

func (f *folds) revoked(c *microbatch.Claim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w, ok := c.Committed(); ok {
		f.sure[c.Partition] = max(f.sure[c.Partition], w.Offset)
	}
	delete(f.live, c.Partition)
}

// handle folds a batch, refuses some, is slow now and then, and commits now and then.
func (f *folds) handle(d delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, state := d.claim.Partition, f.of[d.claim]
	if d.batch.Position != state.next {
		f.wrongf("partition %d goes on at %d, want %d", p, d.batch.Position, state.next)
	}
	if f.rand.IntN(20) == 0 {
		d.message.Nack()
		return
	}
	for _, v := range d.values {
		state.add(v)
	}
	f.done[p] = max(f.done[p], state.next)
	if f.rand.IntN(3) == 0 || d.batch.Leaving && f.rand.IntN(2) == 0 {
		if f.asked[p] == nil {
			f.asked[p] = map[microbatch.Committed]bool{}
		}
		w := microbatch.Committed{Offset: state.next, State: state.String()}
		f.asked[p][w] = true
		if err := d.claim.Commit(w.Offset, w.State); err != nil {
			f.wrongf("%v", err)
		}
	}
	if f.rand.IntN(10) == 0 {
		time.AfterFunc(time.Duration(f.rand.IntN(50))*time.Millisecond, func() { d.message.Ack() })
		return
	}
	d.message.Ack()
}

// TestChurn: members come and go while records do. Each partition has one owner at a time, which
// resumes where the one before has committed, with the state of then; nothing is skipped.
func TestChurn(t *testing.T) {
	t.Parallel()
	const partitions, steps = 6, 14
	for _, strategy := range strategies() {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			k := fake(t, partitions, 2)
			f := newFolds(t, seed)
			config := k.settings(strategy)
			config.BatchRecords = 40
			config.RetryMin = time.Millisecond
			produced := [partitions]int{}
			var members []*member
			for range steps {
				for range 4 {
					p, n := int32(r.IntN(partitions)), r.IntN(200)
					k.produce(t, p, produced[p], n)
					produced[p] += n
				}
				switch {
				case len(members) == 0 || len(members) < 3 && r.IntN(2) == 0:
					members = append(members, f.join(t, k, config))
				default:
					i := r.IntN(len(members))
					if r.IntN(2) == 0 {
						members[i].cancel()
					} else {
						go func(m *member) { _ = m.Close() }(members[i])
					}
					members = append(members[:i], members[i+1:]...)
				}
				<-time.After(time.Duration(r.IntN(250)) * time.Millisecond)
			}
			if len(members) == 0 {
				f.join(t, k, config)
			}
			eventually(t, "all records are folded", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				for p := range int32(partitions) {
					if f.done[p] < int64(produced[p]) || f.live[p] == nil {
						return false
					}
				}
				return true
			})
			f.mu.Lock()
			defer f.mu.Unlock()
			t.Logf("%d claims", len(f.of))
		})
	}
}

// join makes a member of which the folds are told.
func (f *folds) join(t *testing.T, k *kafka, config microbatch.SubscriberConfig) *member {
	t.Helper()
	config.Assigned = func(c *microbatch.Claim) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.assigned(c)
	}
	config.Revoked = f.revoked
	return join(t, k, config, f.handle)
}
