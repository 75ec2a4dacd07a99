//go:build e2e

package e2e_test

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
	"github.com/millrank/millrank/test/world"
)

// millrank runs a command of the program, and returns its output.
func millrank(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), world.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program.Get(t).path, args...).CombinedOutput()
	return string(out), err
}

// generationsReader reads metas of public keys, many at one moment, and looks whether they are of one generation.
type generationsReader struct {
	t    *testing.T
	w    *run
	keys []string

	mu    sync.Mutex
	seen  []string // generations, as they followed each other
	reads int
}

func (r *generationsReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		metas := make([]*goredis.SliceCmd, len(r.keys))
		_, err := r.w.Redis.TxPipelined(ctx, func(p goredis.Pipeliner) error {
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
	w := newRun(world.New(t, world.Kfake(t, 1).Brokers(), world.DataSettings(), partitions, 3), "generations", world.DataBoards(name), 3, redisAddress)
	again := []string{"--config", w.file, "--set", "generation=2", "--set", "time.pane=30m"}
	logs := w.Arrive(3, facts)
	w.ProducePart(logs, 0, 4)
	w.start()
	w.AwaitProgress(w.Total() / 2)
	keys, err := w.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key := range w.Expected() {
		if len(keys) < 400 {
			keys = append(keys, w.Key(key))
		}
	}
	reader := &generationsReader{t: t, w: w, keys: keys}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { reader.run(ctx) })
	defer reading.Wait()
	defer cancel()

	second := w.start(again[2:]...)
	w.ProducePart(logs, 1, 4)
	if out, err := millrank(t, append([]string{"drop", "1"}, again...)...); err == nil || !strings.Contains(out, "active") {
		t.Errorf("dropping the active generation: %v, %s", err, out)
	}
	w.Eventually("generation 2 has lists of its own", func() bool {
		n, err := w.Redis.Exists(t.Context(), redis.Shadow(w.Config.Prefix+"global:top_k", 2)).Result()
		return err == nil && n == 1
	})
	activate := func(generation int, want string) {
		t.Helper()
		if out, err := millrank(t, append([]string{"activate", fmt.Sprint(generation)}, again...)...); err != nil {
			t.Fatalf("activate: %v\n%s", err, out)
		}
		w.Eventually("readers see generations "+want, func() bool { return reader.sequence() == want })
	}
	activate(2, "1 2")
	w.ProducePart(logs, 2, 4)
	activate(1, "1 2 1")
	w.ProducePart(logs, 3, 4)
	w.Close()
	activate(2, "1 2 1 2")
	w.CheckLists(w.Answers(name))
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
	shadows, err := w.Redis.Keys(t.Context(), w.Config.Prefix+"*g1*").Result()
	if more, err2 := w.Redis.Keys(t.Context(), "{"+w.Config.Prefix+"*g1*").Result(); err != nil || err2 != nil || len(shadows)+len(more) > 0 {
		t.Errorf("keys of the dropped generation: %v %v (%v, %v)", shadows, more, err, err2)
	}
	w.CheckLists(w.Answers(name))
}

// stopOthers ends all programs of the world but one.
func (w *run) stopOthers(but *world.Process) {
	w.T.Helper()
	for _, p := range w.programs {
		select {
		case <-p.Exited: // it has ended already
			continue
		default:
		}
		if p == but {
			continue
		}
		if code := p.Term(25 * time.Second); code != 0 {
			w.T.Errorf("exit code %d after SIGTERM, want 0", code)
		}
	}
}

// checkGone checks that no topic and no group begins so.
func (w *run) checkGone(prefix string) {
	w.T.Helper()
	topics, err := w.Admin.ListTopics(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	topics.EachPartition(func(p kadm.PartitionDetail) {
		if strings.HasPrefix(p.Topic, prefix) {
			w.T.Errorf("topic %s is there still", p.Topic)
		}
	})
	groups, err := w.Admin.ListGroups(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	for _, g := range groups.Groups() {
		if strings.HasPrefix(g, prefix) {
			w.T.Errorf("group %s is there still", g)
		}
	}
}
