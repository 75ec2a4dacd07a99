package chain_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/sim"
)

// lates counts the late events of each list, by the oracle.
func (w *boardsWorld) lates() map[event.ListKey]int64 {
	counts := map[event.ListKey]int64{}
	for p, log := range w.logs {
		for i, o := range sim.Decide(w.settings, log) {
			if o.Decision != event.Late {
				continue
			}
			for _, board := range w.config.Boards.Boards {
				size, slide := board.Window.Size.Milliseconds(), board.Window.Slide.Milliseconds()
				if slide == 0 {
					slide = size
				}
				for start := o.Pane - o.Pane%slide; start > o.Pane-size; start -= slide {
					counts[event.ListKey{Board: board.Name, Start: start}]++
					counts[event.ListKey{Board: board.Name, By: "region", Group: event.NewGroup(w.logs[p][i].Dims[0]), Start: start}]++
				}
			}
		}
	}
	return counts
}

// TestLateCounts: each list says how many events came too late for it; also when processes are killed.
func TestLateCounts(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, rng *rand.Rand) {
		w.config.TTL = 100 * 365 * 24 * time.Hour // the events are old, and a list that isn't there yet is counted for while it can be
		members := []*process{w.startProcess(w.member()), w.startProcess(w.member())}
		w.chaos(rng, w.liveLogs(rng.Uint64(), 4000), 6, func(step int) {
			w.awaitProgress(w.processed() + rng.Int64N(max(1, (w.total()-w.processed())/2)))
			if step%2 == 1 {
				i := rng.IntN(len(members))
				members[i].kill()
				members[i] = w.startProcess(w.member())
			}
		})
		w.close()
		w.checkBoards(w.expected())
		want := w.lates()
		var why string
		w.eventuallyOr("late events are counted", func() bool {
			for key, n := range want {
				got, err := w.client.HGet(t.Context(), "{"+w.key(key)+"}:meta", "late").Result()
				if got != strconv.FormatInt(n, 10) {
					why = w.key(key) + ": " + got + " late, want " + strconv.FormatInt(n, 10)
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
