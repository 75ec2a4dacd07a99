//go:build e2e

package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// TestIdle (fault 14): a partition is silent, so windows close without it; then all are, and time goes on. What they say when they wake up is decided as if there
// had been no pause; lists that were final come again, revised.
func TestIdle(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.flags = nobodyDies
	w.Watch()
	w.start()
	logs, silent := w.SilentLogs(rng, 4000)
	w.Produce([][]sim.Record{logs[0], logs[1], logs[2], logs[3][:silent]})
	w.AwaitDone()
	least := min(w.Watermark(0), w.Watermark(1), w.Watermark(2))
	w.Eventually("an idle partition no longer holds time back", func() bool { return w.Closed() >= least })
	w.Eventually("time goes on when all are idle", func() bool { return w.Closed() > least+1000 })
	early := w.Expected()
	var before map[event.ListKey]world.Stored
	w.Eventually("windows are final without the silent partition", func() bool {
		before = w.Final(early)
		return len(before) > len(early)/4
	})
	w.Produce([][]sim.Record{nil, nil, nil, logs[3][silent:]})
	w.finish(false)
	revised := 0
	for key, now := range w.Final(w.Expected()) {
		if was, ok := before[key]; ok && was.Meta["revision"] != now.Meta["revision"] && !slices.Equal(was.Entries[:min(1, len(was.Entries))], now.Entries[:min(1, len(now.Entries))]) {
			revised++
		}
	}
	if t.Logf("%d lists were final early, %d have another first place since", len(before), revised); revised == 0 {
		t.Error("nothing was revised")
	}
}

// TestBehind (fault 15): a partition is hours behind the others. It holds all windows open, and nothing of it is lost.
func TestBehind(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.Watch()
	w.flags = append(nobodyDies, "--set", "time.idle_timeout=1h")
	w.start()
	w.start()
	w.awaitMembers(2)
	const ahead = int64(2 * time.Hour / time.Millisecond)
	logs := w.LiveLogs(rng.Uint64(), 6000)
	behind := logs[3]
	for _, log := range logs[:3] {
		for i := range log {
			log[i].At, log[i].Time = log[i].At+ahead, log[i].Time+ahead
		}
	}
	w.Produce([][]sim.Record{logs[0], logs[1], logs[2], behind[:1]})
	w.AwaitLists()
	if final := w.Final(w.Expected()); len(final) > 0 {
		t.Fatalf("%d lists are final, though a partition is behind", len(final))
	}
	w.Produce([][]sim.Record{nil, nil, nil, behind[1:]})
	w.finish(false)
}
