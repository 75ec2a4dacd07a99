//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

var errCut = errors.New("the connection is cut")

// onCommit lets a function see each commit before the broker does.
func onCommit(cluster *kfake.Cluster, see func(*kmsg.OffsetCommitRequest) (kmsg.Response, error, bool)) {
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return see(request.(*kmsg.OffsetCommitRequest))
	})
}

// TestCommitLost (fault 5): of eight commits, one is lost on its way, and one arrives and the connection is cut before the broker answers.
func TestCommitLost(t *testing.T) {
	kafka := world.Kfake(t, 1)
	w, rng := liveRun(t, kafka.Brokers())
	var lost, arrived atomic.Int64
	var ours atomic.Bool // the commit that is being passed on
	n := 0
	onCommit(kafka.Cluster(), func(commit *kmsg.OffsetCommitRequest) (kmsg.Response, error, bool) {
		if ours.Load() {
			return nil, nil, false
		}
		switch n++; n % 8 {
		case 1:
			lost.Add(1)
			return nil, errCut, true
		case 5:
		default:
			return nil, nil, false
		}
		for i, topic := range commit.Topics { // newer versions name topics by ID
			commit.Topics[i].TopicID = kafka.Cluster().TopicInfo(topic.Topic).TopicID
		}
		kafka.Cluster().SleepControl(func() {
			ours.Store(true)
			defer ours.Store(false)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if answer, err := commit.RequestWith(ctx, w.Client); err == nil && answer.Topics[0].Partitions[0].ErrorCode == 0 {
				arrived.Add(1)
			}
		})
		return nil, errCut, true
	})
	w.Watch()
	w.start()
	w.start()
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 6000), 6, func(int) {
		w.AwaitProgress(w.Processed() + 1)
		w.CheckDurable()
	})
	w.finish(true)
	if t.Logf("%d commits were lost, and of %d only the answer was", lost.Load(), arrived.Load()); lost.Load() == 0 || arrived.Load() == 0 {
		t.Error("no commit was lost, or no answer")
	}
}

// TestCommitRefused (fault 6): the broker says that commits are of an old generation, until the member joins anew: each handler's session must end, and each
// go on.
func TestCommitRefused(t *testing.T) {
	kafka := world.Kfake(t, 1)
	w, rng := liveRun(t, kafka.Brokers())
	refused, anew := map[string]bool{}, map[string]bool{} // by group; the cluster calls one at a time
	var all atomic.Int64
	onCommit(kafka.Cluster(), func(commit *kmsg.OffsetCommitRequest) (kmsg.Response, error, bool) {
		if anew[commit.Group] {
			return nil, nil, false
		}
		refused[commit.Group] = true
		return world.RefuseCommit(commit), nil, true
	})
	kafka.Cluster().ControlKey(int16(kmsg.JoinGroup), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster().KeepControl()
		if group := request.(*kmsg.JoinGroupRequest).Group; refused[group] && !anew[group] {
			all.Add(1)
			anew[group] = true
		}
		return nil, nil, false
	})
	w.Produce(w.LiveLogs(rng.Uint64(), 5000))
	w.start()
	w.finish(true)
	if all.Load() < 3 { // intake, rank, leaderboard
		t.Errorf("%d groups had commits refused and joined anew: sessions did not end", all.Load())
	}
}

// TestKilledAfterDeadLetters (fault 4): commits don't arrive, dead letters do; then the process is killed. They come again, with the same IDs.
func TestKilledAfterDeadLetters(t *testing.T) {
	kafka := world.Kfake(t, 1)
	w, rng := liveRun(t, kafka.Brokers())
	var swallow atomic.Bool
	onCommit(kafka.Cluster(), func(*kmsg.OffsetCommitRequest) (kmsg.Response, error, bool) {
		if swallow.Load() {
			return nil, errCut, true
		}
		return nil, nil, false
	})
	w.Watch().MayStandStill() // no process lives to write them but the last
	again := 0
	w.Chaos(rng, w.LiveLogs(rng.Uint64(), 5000), 4, func(int) {
		_, before := w.Letters()
		commits := w.Commits()
		swallow.Store(true)
		p := w.start()
		more := w.deadLetters() > len(before) // else there are only the old ones, which come again
		var after map[world.Letter]int
		w.Eventually("dead letters are published", func() bool {
			_, after = w.Letters()
			return len(after) > len(before) || !more && sum(after) > sum(before)
		})
		for at, n := range after {
			if n > 1 && n > before[at] {
				again++
			}
		}
		p.Signal(syscall.SIGKILL)
		<-p.Exited
		for p, c := range w.Commits() {
			if c != commits[p] {
				t.Errorf("partition %d: it has committed %+v, after %+v", p, c, commits[p])
			}
		}
		w.CheckDurable()
		p.Kill() // it leaves its groups
	})
	swallow.Store(false)
	_, before := w.Letters()
	w.start()
	w.finish(true)
	_, after := w.Letters()
	for at, n := range after {
		if n > before[at] && before[at] > 0 {
			again++
		}
	}
	if again == 0 {
		t.Error("no dead letter came again: the processes did not die between dead letter and commit")
	}
}

// deadLetters is how many there are to be of what was produced.
func (w *run) deadLetters() (n int) {
	for _, log := range w.Logs {
		for _, o := range sim.Decide(w.Settings, log) {
			if o.Decision.DeadLetter() {
				n++
			}
		}
	}
	return n
}

func sum(times map[world.Letter]int) (all int) {
	for _, n := range times {
		all += n
	}
	return all
}

// TestMetadataDamaged (fault 24): with a commit whose metadata says nothing, or something else, the intake refuses to start, and leaves it as it is.
func TestMetadataDamaged(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Produce(w.LiveLogs(rng.Uint64(), 3000))
	p := w.start()
	w.AwaitDone()
	if code := p.Term(25 * time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	good := w.Commits()[1]
	for _, bad := range []string{"", "garbage", strings.Replace(good.Text, "count-from:", "count-from:1", 1)} {
		w.CommitBy(1, good.Offset, bad)
		w.ends(w.start("--handlers", "intake"), "new generation")
		if text := w.CommittedText(1); text != bad {
			t.Errorf("it replaced metadata %q by %q", bad, text)
		}
	}
	w.CommitBy(1, good.Offset, good.Text)
	w.start()
	w.finish(true)
}
