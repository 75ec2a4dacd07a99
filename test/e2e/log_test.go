//go:build e2e

package e2e_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestRetentionPasses (fault 12): where the group's offsets are deleted, it starts at the oldest record, and all comes out as before; where records that it must
// read again are deleted, it refuses to start.
func TestRetentionPasses(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Watch()
	once := func() {
		p := w.start()
		w.AwaitDone()
		if code := p.Term(25 * time.Second); code != 0 {
			t.Errorf("exit code %d after SIGTERM, want 0", code)
		}
	}
	logs := w.LiveLogs(rng.Uint64(), 3000)
	w.ProducePart(logs, 0, 2)
	once()
	w.Eventually("the group's offsets are deleted", func() bool {
		got, err := w.Admin.DeleteOffsets(t.Context(), w.GroupOf("intake"), kadm.TopicsSet{w.Topics.Events: {0: {}, 1: {}, 2: {}, 3: {}}})
		return err == nil && got.Error() == nil && w.Processed() == 0
	})
	w.ProducePart(logs, 1, 2)
	w.start()
	w.finish(true)

	w.stopOthers(nil)
	var until kadm.Offsets
	until.Add(kadm.Offset{Topic: w.Topics.Events, Partition: 2, At: w.Commits()[2].Offset + 1})
	w.DeleteRecords(until)
	w.refused("retention.ms")
}

// TestPartitionsAdded (fault 13): events of one ID go to other partitions from then on. No intake starts; what was counted stays right. (One that runs looks for
// that every five minutes: test/chain, where it does so every second, has it stop.)
func TestPartitionsAdded(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.flags = nobodyDies
	w.Watch()
	logs := w.LiveLogs(rng.Uint64(), 3000)
	w.ProducePart(logs, 0, 2)
	p := w.start("--handlers", "intake")
	w.start("--handlers", "rank,leaderboard,late")
	w.AwaitLists()
	w.ProducePart(logs, 1, 2)
	w.finish(false)
	if code := p.Term(25 * time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	w.AddPartitions(2)
	w.refused("new generation")
	w.Check(false)
	w.CheckLists(w.Expected())
}
