package chain_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
)

// lates counts the late events of each list, by the oracle.
func (w *boardsWorld) lates() map[event.ListKey]int64 {
	counts := map[event.ListKey]int64{}
	for p, log := range w.Logs {
		for i, o := range sim.Decide(w.Settings, log) {
			if o.Decision != event.Late {
				continue
			}
			for _, board := range w.Config.Boards.Boards {
				size, slide := board.Window.Size.Milliseconds(), board.Window.Slide.Milliseconds()
				if slide == 0 {
					slide = size
				}
				for start := o.Pane - o.Pane%slide; start > o.Pane-size; start -= slide {
					counts[event.ListKey{Board: board.Name, Start: start}]++
					counts[event.ListKey{Board: board.Name, By: "region", Group: event.NewGroup(w.Logs[p][i].Dims[0]), Start: start}]++
				}
			}
		}
	}
	return counts
}

// TestLateCounts: each list says how many events came too late for it; also when processes are killed.
func TestLateCounts(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.options.TTL = 100 * 365 * 24 * time.Hour // the events are old, and a list that isn't there yet is counted for while it can be
		members := []*world.Process{startProcess(w.World, w.member().mortal()), startProcess(w.World, w.member().mortal())}
		w.Chaos(rng, w.LiveLogs(rng.Uint64(), 4000), 6, func(step int) {
			w.AwaitProgress(w.Processed() + rng.Int64N(max(1, (w.Total()-w.Processed())/2)))
			if step%2 == 1 {
				i := rng.IntN(len(members))
				members[i].Kill()
				members[i] = startProcess(w.World, w.member().mortal())
			}
		})
		w.Close()
		w.CheckLists(w.Expected())
		want := w.lates()
		var why string
		w.EventuallyOr("late events are counted", func() bool {
			for key, n := range want {
				got, err := w.Redis.HGet(t.Context(), "{"+w.Key(key)+"}:meta", "late").Result()
				if got != strconv.FormatInt(n, 10) {
					why = w.Key(key) + ": " + got + " late, want " + strconv.FormatInt(n, 10)
					if err != nil {
						why += ": " + err.Error()
					}
					return false
				}
			}
			return true
		}, func() string { return why })
		t.Logf("%d lists have late events", len(want))
		if len(want) == 0 {
			t.Error("none was late")
		}
	})
}
