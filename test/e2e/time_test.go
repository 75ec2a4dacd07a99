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

// final returns which of the lists that are wanted are final.
func (w *run) final(want world.Answers) map[event.ListKey]world.Stored {
	w.T.Helper()
	list := map[event.ListKey]world.Stored{}
	for key, r := range want {
		var got world.Stored
		w.Eventually("a list can be read", func() (ok bool) {
			var err error
			got, err = w.Read(w.T.Context(), w.Key(key), w.Board(r.Board).Order)
			return err == nil
		})
		if got.Meta["final"] == "1" {
			list[key] = got
		}
	}
	return list
}

// TestIdle (fault 14): a partition is silent, so windows close without it; then all are, and time goes on. What they say when they wake up is decided as if there
// had been no pause; lists that were final come again, revised.
func TestIdle(t *testing.T) {
	w, rng := liveRun(t, kafka.Broker(t).Brokers())
	w.flags = nobodyDies
	w.Watch()
	w.start()
	var logs [][]sim.Record
	silent := 0
	for ahead := true; ahead; { // of the others, when it falls silent, since there was a gap: what it says later would all be late
		logs = w.LiveLogs(rng.Uint64(), 4000)
		silent = len(logs[3]) / 4
		at := sim.Decide(w.Settings, logs[3][:silent])[silent-1].W
		ahead = slices.ContainsFunc(logs[:3], func(log []sim.Record) bool { return sim.Decide(w.Settings, log)[len(log)-1].W < at+7500 })
	}
	w.Produce([][]sim.Record{logs[0], logs[1], logs[2], logs[3][:silent]})
	w.AwaitDone()
	least := min(w.Watermark(0), w.Watermark(1), w.Watermark(2))
	w.Eventually("an idle partition no longer holds time back", func() bool { return w.Closed() >= least })
	w.Eventually("time goes on when all are idle", func() bool { return w.Closed() > least+1000 })
	early := w.Expected()
	var before map[event.ListKey]world.Stored
	w.Eventually("windows are final without the silent partition", func() bool {
		before = w.final(early)
		return len(before) > len(early)/4
	})
	w.Produce([][]sim.Record{nil, nil, nil, logs[3][silent:]})
	w.finish(false)
	revised := 0
	for key, now := range w.final(w.Expected()) {
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
	if final := w.final(w.Expected()); len(final) > 0 {
		t.Fatalf("%d lists are final, though a partition is behind", len(final))
	}
	w.Produce([][]sim.Record{nil, nil, nil, behind[1:]})
	w.finish(false)
}
