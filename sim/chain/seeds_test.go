package chain

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// make sim sets these.
var (
	seedsFlag = flag.Uint64("seeds", 0, "how many seeds TestSeeds runs, each twice; 0: what takes some seconds, and some of them twice")
	firstFlag = flag.Uint64("first", 1, "the first of them")
)

// seedsUsual is how many seeds run with all other tests, and twiceEvery which of them run twice.
const (
	seedsUsual = 6000
	twiceEvery = 8
)

// TestSeeds draws and runs a scenario of each seed. Run twice, a scenario must do the same. A seed that fails is made smaller, and printed as a script.
func TestSeeds(t *testing.T) {
	n, every := *seedsFlag, uint64(1)
	if n == 0 {
		n, every = seedsUsual, twiceEvery
	}
	if testing.Short() {
		n /= 10
	}
	r := &running{n: n, every: every, first: *firstFlag, began: time.Now()}
	r.run()
	took := time.Since(r.began)
	t.Logf("%d seeds from %d in %v, %.0f a second, %d steps each", r.done.Load(), r.first, took.Round(time.Millisecond), float64(r.done.Load())/took.Seconds(), r.steps.Load()/max(1, r.done.Load()))
	if r.failed != nil {
		report(t, *r.failed)
		return
	}
	t.Logf("what happened, how often:\n%v", &r.cover)
	if missing := r.cover.Missing(); n >= seedsUsual && len(missing) > 0 {
		t.Errorf("in %d seeds these never happened: %q; draw them more often", n, missing)
	}
}

// TestThousandSeeds is within what mistakes in the machines must be noticed (internal/mutants): it says after how many seeds one is.
func TestThousandSeeds(t *testing.T) {
	r := &running{n: bugSeedsMax, every: bugSeedsMax, first: 1, began: time.Now()}
	if testing.Short() {
		r.n /= 10
	}
	if r.run(); r.failed != nil {
		t.Errorf("seed %d: %.500v", r.failed.seed, r.failed.err)
	}
}

// running runs seeds, as many at a time as there are cores.
type running struct {
	n, every, first uint64
	began           time.Time
	next            atomic.Uint64
	done, steps     atomic.Int64
	stop            atomic.Bool

	mu     sync.Mutex
	failed *failure // the least seed that has
	cover  Coverage
}

// failure is a seed that has failed.
type failure struct {
	seed     uint64
	scenario *Scenario
	err      error
}

func (r *running) run() {
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(r.work)
	}
	finished := make(chan struct{})
	go r.progress(finished)
	workers.Wait()
	close(finished)
}

func (r *running) work() {
	var cover Coverage
	for !r.stop.Load() {
		i := r.next.Add(1) - 1
		if i >= r.n {
			break
		}
		if f := r.seed(r.first+i, i%r.every == 0, &cover); f != nil {
			r.stop.Store(true)
			r.mu.Lock()
			if r.failed == nil || f.seed < r.failed.seed {
				r.failed = f
			}
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cover.Add(&cover)
}

// seed runs a seed, perhaps twice.
func (r *running) seed(seed uint64, twice bool, cover *Coverage) *failure {
	s, result := Draw(seed, cover)
	r.done.Add(1)
	r.steps.Add(int64(result.Steps))
	if result.Err != nil {
		return &failure{seed, s, result.Err}
	}
	if !twice {
		return nil
	}
	if again := Run(s, nil); again != result {
		return &failure{seed, s, fmt.Errorf("it does not always do the same: %+v, and the second time %+v", result, again)}
	}
	return nil
}

// progress says how far it is, on long runs.
func (r *running) progress(finished <-chan struct{}) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			done := r.done.Load()
			fmt.Fprintf(os.Stderr, "%d of %d seeds, %.0f a second\n", done, r.n, float64(done)/time.Since(r.began).Seconds())
		case <-finished:
			return
		}
	}
}

// shrinkRuns bounds how long a failing scenario is made smaller: a few seconds.
const shrinkRuns = 5000

// report says what has failed, with the smallest script that does.
func report(t *testing.T, f failure) {
	t.Helper()
	t.Errorf("seed %d: %v", f.seed, f.err)
	small := Shrink(f.scenario, shrinkRuns)
	if err := Run(small, nil).Err; err != nil {
		t.Errorf("as a script, to be saved as sim/chain/testdata/<name>.txt with the fix:\n# seed %d: %v\n%s", f.seed, err, small.Script())
	}
}
