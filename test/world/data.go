package world

import (
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// DataSettings suit the data sets: an hour's panes, and delays of minutes.
func DataSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead = time.Hour, 10*time.Minute, 10*time.Minute, time.Hour
	s.DedupSegment = 10 * time.Minute
	return s
}

// DataBoards are boards whose answers come with a data set.
func DataBoards(name string) operators.Boards {
	measures := []operators.Measure{operators.Count}
	if name == "online-retail" {
		measures = append(measures, operators.Sum)
	}
	b := BoardsOver(DataSettings())
	for _, m := range measures {
		for window, size := range map[string]time.Duration{"1h": time.Hour, "1d": 24 * time.Hour} {
			b.Boards = append(b.Boards, operators.Board{
				Name: m.String() + "-" + window, Window: operators.Window{Size: size}, Measure: m, K: 10, By: [][]string{{}, {"region"}},
			})
		}
	}
	return b
}

// Answers returns the lists that come with a data set, which no code of this project has made; duplicates are the oracle's.
func (w *Boards) Answers(name string) Answers {
	w.T.Helper()
	want := w.Expected()
	n := 0
	for _, board := range w.Config.Boards.Boards {
		lists, err := sim.Expected(name, board.Measure.String(), board.Name[len(board.Name)-2:])
		if err != nil {
			w.T.Fatal(err)
		}
		n += len(lists)
		for _, l := range lists {
			key := event.ListKey{Board: board.Name, Start: l.Start.UnixMilli()}
			if l.Region != nil {
				key.By, key.Group = "region", event.NewGroup(*l.Region)
			}
			r, ok := want[key]
			if !ok {
				w.T.Fatalf("%v is not in the oracle's lists", key)
			}
			r.Entries = nil
			for _, e := range l.Top {
				r.Entries = append(r.Entries, event.Entry{Item: e.Item, Score: float64(e.Score)})
			}
			want[key] = r
		}
	}
	if n != len(want) {
		w.T.Fatalf("%d lists in the answers, %d in the oracle's", n, len(want))
	}
	return want
}

// Arrive returns logs of a data set's facts, with injected duplicates, late, future and malformed records.
func (w *World) Arrive(seed uint64, facts []sim.Fact) [][]sim.Record {
	return sim.Arrive(seed, facts, sim.Arrival{
		Partitions: w.Partitions, DelayMean: time.Minute, DelayMax: 9 * time.Minute,
		Duplicates: 0.02, Late: 0.01, Future: 0.01, Malformed: 0.01, Settings: w.Settings,
	})
}

// ProducePart produces one of n parts of logs, counted from 0.
func (w *World) ProducePart(logs [][]sim.Record, part, n int) {
	w.T.Helper()
	bit := make([][]sim.Record, len(logs))
	for p, log := range logs {
		bit[p] = log[len(log)*part/n : len(log)*(part+1)/n]
	}
	w.Produce(bit)
}
