package world

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// LiveSettings are the defaults, twelve times as fast: panes of 5 s.
func LiveSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead, s.DedupSegment = 5*time.Second, time.Second, 2500*time.Millisecond, 5*time.Second, 1250*time.Millisecond
	s.DedupRecords = 10_000
	return s
}

// LiveLogs returns logs of a stream with everything in it that can be.
func (w *World) LiveLogs(seed uint64, records int) [][]sim.Record {
	o := sim.LiveOptions()
	o.Settings, o.Partitions, o.Records, o.Categories = w.Settings, w.Partitions, records, 0
	o.Disorder, o.GapMax = 300*time.Millisecond, 30*time.Second
	return sim.Generate(seed, o)
}

// SilentLogs returns live logs, and after how many records the last partition falls silent, behind the others. (A gap may take it ahead
// of them: then nothing of what it says later is for a window that is final without it.)
func (w *World) SilentLogs(rng *rand.Rand, records int) (logs [][]sim.Record, silent int) {
	w.T.Helper()
	last, distance := w.Partitions-1, (w.Settings.Pane + w.Settings.AllowedLateness).Milliseconds()
	for {
		logs = w.LiveLogs(rng.Uint64(), records)
		silent = len(logs[last]) / 4
		at := sim.Decide(w.Settings, logs[last][:silent])[silent-1].W
		if !slices.ContainsFunc(logs[:last], func(log []sim.Record) bool { return sim.Decide(w.Settings, log)[len(log)-1].W < at+distance }) {
			return logs, silent
		}
	}
}

// Chaos produces logs bit by bit, and after each bit lets something happen.
func (w *World) Chaos(rng *rand.Rand, logs [][]sim.Record, steps int, happen func(step int)) {
	w.T.Helper()
	at := make([]int, len(logs))
	for step := range steps {
		bit := make([][]sim.Record, len(logs))
		for p, log := range logs {
			until := min(len(log), at[p]+rng.IntN(2*len(log)/steps+1))
			if step == steps-1 {
				until = len(log)
			}
			bit[p], at[p] = log[at[p]:until], until
		}
		w.Produce(bit)
		happen(step)
	}
}

// NewRand returns a source of randomness, and prints its seed.
func NewRand(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// BoardsOver returns boards over the settings of a world.
func BoardsOver(s operators.Settings, boards ...operators.Board) operators.Boards {
	return operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness, ReviseFor: 10 * time.Minute,
		Dimensions: []string{"region"}, Boards: boards,
	}
}

// LiveBoards are boards of all sorts over liveSettings.
func LiveBoards() operators.Boards {
	both := [][]string{{}, {"region"}}
	return BoardsOver(LiveSettings(),
		operators.Board{Name: "count", Window: operators.Window{Size: 10 * time.Second}, Measure: operators.Count, K: 5, By: both},
		operators.Board{Name: "sum", Window: operators.Window{Size: 10 * time.Second, Slide: 5 * time.Second}, Measure: operators.Sum, K: 3, By: both},
		operators.Board{Name: "worst", Window: operators.Window{Size: 5 * time.Second}, Measure: operators.Average, MinCount: 2, Order: event.Bottom, K: 4, By: both},
	)
}
