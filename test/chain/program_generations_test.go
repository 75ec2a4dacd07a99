//go:build e2e

package chain_test

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/sinks/redis"
)

// millrank runs a command of the program, and returns its output.
func millrank(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary(t), args...).CombinedOutput()
	return string(out), err
}

// generationsReader reads metas of public keys, many at one moment, and looks whether they are of one generation.
type generationsReader struct {
	t    *testing.T
	w    *boardsWorld
	keys []string

	mu    sync.Mutex
	seen  []string // generations, as they followed each other
	reads int
}

func (r *generationsReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		metas := make([]*goredis.SliceCmd, len(r.keys))
		_, err := r.w.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			for i, key := range r.keys {
				metas[i] = p.HMGet(ctx, redis.Meta(key), "generation")
			}
			return nil
		})
		if err != nil {
			continue // the test has ended
		}
		found := map[string]bool{}
		for _, m := range metas {
			if g, ok := m.Val()[0].(string); ok {
				found[g] = true
			}
		}
		r.note(slices.Sorted(maps.Keys(found)))
	}
}

func (r *generationsReader) note(found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if len(found) > 1 {
		r.t.Errorf("readers saw generations %v at one moment", found)
	}
	if len(found) == 1 && (len(r.seen) == 0 || r.seen[len(r.seen)-1] != found[0]) {
		r.seen = append(r.seen, found[0])
	}
}

// sequence returns which generations were seen, one after the other.
func (r *generationsReader) sequence() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.seen, " ")
}

// TestGenerations: a second generation, with other panes, counts anew beside the first; readers of the public keys see one of them at every
// moment, and all of it: the first, then the second, then the first again. What is dropped is gone, and what is active can't be.
func TestGenerations(t *testing.T) {
	const name, partitions = "wikipedia-edits", 4
	facts, err := sim.Facts(name)
	if err != nil {
		t.Fatal(err)
	}
	redisAddress := redisserver.StartTest(t, redisserver.Options{}).Addr()
	w := newWorld(t, oneKfake(t), dataSettings(), partitions, 3).asProgram("generations").withBoards(dataBoards(name), 3, redisAddress)
	file := w.settingsFile("generations", "")
	again := []string{"--config", file, "--set", "generation=2", "--set", "time.pane=30m"}
	logs := sim.Arrive(3, facts, sim.Arrival{
		Partitions: partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
		Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: dataSettings(),
	})
	quarter := func(i int) {
		bit := make([][]sim.Record, partitions)
		for p, log := range logs {
			bit[p] = log[len(log)*i/4 : len(log)*(i+1)/4]
		}
		w.produce(bit)
	}
	quarter(0)
	w.startProgram(file)
	w.awaitProgress(w.total() / 2)
	keys, err := w.keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key := range w.expected() {
		if len(keys) < 400 {
			keys = append(keys, w.key(key))
		}
	}
	reader := &generationsReader{t: t, w: w, keys: keys}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { reader.run(ctx) })
	defer reading.Wait()
	defer cancel()

	second := w.startProgram(file, again[2:]...)
	quarter(1)
	if out, err := millrank(t, append([]string{"drop", "1"}, again...)...); err == nil || !strings.Contains(out, "active") {
		t.Errorf("dropping the active generation: %v, %s", err, out)
	}
	w.eventually("generation 2 has lists of its own", func() bool {
		n, err := w.client.Exists(t.Context(), redis.Shadow(w.config.Prefix+"global:top_k", 2)).Result()
		return err == nil && n == 1
	})
	activate := func(generation int, want string) {
		t.Helper()
		if out, err := millrank(t, append([]string{"activate", fmt.Sprint(generation)}, again...)...); err != nil {
			t.Fatalf("activate: %v\n%s", err, out)
		}
		w.eventually("readers see generations "+want, func() bool { return reader.sequence() == want })
	}
	activate(2, "1 2")
	quarter(2)
	activate(1, "1 2 1")
	quarter(3)
	w.close()
	activate(2, "1 2 1 2")
	w.checkBoards(w.answers(name))
	if got := reader.sequence(); got != "1 2 1 2" {
		t.Errorf("readers saw generations %s, want 1 2 1 2", got)
	}
	t.Logf("%d reads of %d keys at one moment", reader.reads, len(keys))

	// The first one still runs, so it is not dropped; the second is active.
	if out, err := millrank(t, append([]string{"drop", "1"}, again...)...); err == nil || !strings.Contains(out, "still runs") {
		t.Errorf("dropping a generation that runs: %v, %s", err, out)
	}
	w.stopOthers(second)
	if out, err := millrank(t, append([]string{"drop", "1"}, again...)...); err != nil {
		t.Fatalf("drop: %v\n%s", err, out)
	}
	w.checkGone("generations.g1.")
	shadows, err := w.client.Keys(t.Context(), w.config.Prefix+"*g1*").Result()
	if more, err2 := w.client.Keys(t.Context(), "{"+w.config.Prefix+"*g1*").Result(); err != nil || err2 != nil || len(shadows)+len(more) > 0 {
		t.Errorf("keys of the dropped generation: %v %v (%v, %v)", shadows, more, err, err2)
	}
	w.checkBoards(w.answers(name))
}

// stopOthers ends all programs of the world but one.
func (w *world) stopOthers(but *process) {
	w.t.Helper()
	for _, p := range w.programs {
		if p != but {
			if code := p.term(25 * time.Second); code != 0 {
				w.t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
		}
	}
}

// checkGone checks that no topic and no group begins so.
func (w *world) checkGone(prefix string) {
	w.t.Helper()
	topics, err := w.admin.ListTopics(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	topics.EachPartition(func(p kadm.PartitionDetail) {
		if strings.HasPrefix(p.Topic, prefix) {
			w.t.Errorf("topic %s is there still", p.Topic)
		}
	})
	groups, err := w.admin.ListGroups(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range groups.Groups() {
		if strings.HasPrefix(g, prefix) {
			w.t.Errorf("group %s is there still", g)
		}
	}
}
