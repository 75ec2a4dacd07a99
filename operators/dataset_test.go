package operators_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// engine is the whole core, from the bytes of records to merged lists, in one goroutine.
type engine struct {
	t          *testing.T
	settings   operators.Settings
	decoders   []*event.JSON
	partitions []*operators.Partition
	commits    []operators.Checkpoint
	ranks      []*operators.Rank
	merge      *operators.Merge
	updates    []int64 // next offset of each shard's updates log
	rankings   int64   // next offset of the rankings log
	lists      map[event.ListKey]event.Ranking
	letters    []map[int64]event.Decision // dead letters by partition and offset
	decisions  [event.Decisions]int
}

func newEngine(t *testing.T, s operators.Settings, b operators.Boards, partitions, shards int) *engine {
	t.Helper()
	e := &engine{
		t: t, settings: s, merge: operators.NewMerge(b, shards, operators.ResumeAt(0)),
		updates: make([]int64, shards), lists: map[event.ListKey]event.Ranking{},
	}
	for range partitions {
		decoder, err := event.NewJSON(event.DefaultMapping())
		if err != nil {
			t.Fatal(err)
		}
		e.decoders = append(e.decoders, decoder)
		e.partitions = append(e.partitions, operators.NewPartition(s, shards, operators.CheckpointAt(0)))
		e.commits = append(e.commits, operators.CheckpointAt(0))
		e.letters = append(e.letters, map[int64]event.Decision{})
	}
	for range shards {
		e.ranks = append(e.ranks, operators.NewRank(b, partitions, 1, operators.ResumeAt(0)))
	}
	return e
}

// fold folds one record from its bytes.
func (e *engine) fold(source int, r *sim.Record, scratch *operators.Record) {
	scratch.Offset, scratch.Time, scratch.Kind, scratch.Advance = r.Offset, r.Time, operators.KindEvent, r.At
	if r.Kind == sim.Punctuation {
		scratch.Kind = operators.KindPunctuation
	} else if err := e.decoders[source].Decode(r.JSON(), &scratch.Event); err != nil {
		scratch.Kind = operators.KindMalformed
	}
	out := e.partitions[source].Step(scratch)
	e.decisions[out.Decision]++
	if out.Decision.DeadLetter() {
		e.letters[source][out.Offset] = out.Decision
	}
}

// flush carries what changed in a source partition through ranks and merge.
func (e *engine) flush(source int, incarnation uint64, idleFor int64) {
	p := e.partitions[source]
	p.LettersAcked(1 << 62)
	p.Flush(source, incarnation, idleFor > 0, idleFor, func(shard int, head event.Part, cells []event.Cell) {
		head.Last = true
		if err := e.ranks[shard].Take(e.updates[shard], &event.Update{Part: head, Cells: cells}); err != nil {
			e.t.Error(err)
		}
		e.updates[shard]++
		e.ranks[shard].Flush(shard, 1, func(_ int, head event.Part, lists []event.Ranking) {
			head.Last = true
			if err := e.merge.Take(e.rankings, &event.Rankings{Part: head, Lists: lists}); err != nil {
				e.t.Error(err)
			}
			e.rankings++
		})
		e.ranks[shard].Acked(0)
	})
	for shard := range e.ranks {
		p.Acked(shard)
	}
	if ck, ok := p.Commit(); ok {
		e.commits[source] = ck
	}
	e.merge.Flush(func(lists []event.Ranking) {
		for _, l := range lists {
			e.lists[l.ListKey] = l
		}
	})
	e.merge.Acked()
}

// run folds the logs side by side, flushing now and then; at random a partition is killed
// and goes on from its last commit.
func (e *engine) run(rng *rand.Rand, logs [][]sim.Record) (restarts int) {
	var scratch operators.Record
	at := make([]int, len(logs))
	incarnations := make([]uint64, len(logs))
	for more := true; more; {
		more = false
		for source, log := range logs {
			until := min(len(log), at[source]+3000)
			for ; at[source] < until; at[source]++ {
				e.fold(source, &log[at[source]], &scratch)
			}
			if rng.IntN(5) == 0 && at[source] < len(log) {
				e.partitions[source] = operators.NewPartition(e.settings, len(e.ranks), e.commits[source])
				for at[source] > 0 && log[at[source]-1].Offset >= e.commits[source].LowWater {
					at[source]--
				}
				incarnations[source]++
				restarts++
			}
			if e.partitions[source].Replaying() {
				more = true
				continue
			}
			e.flush(source, incarnations[source], 0)
			more = more || at[source] < len(log)
		}
	}
	for source := range logs {
		e.flush(source, incarnations[source], idleLong)
	}
	return restarts
}

// TestDataSets runs both real data sets, in a made-up order of arrival, with duplicates
// and 1 % each of late, future and malformed records, as bytes through decoder, fold,
// rank and merge. Every list of their batch answers must come out, and exactly the
// dead letters that the oracle names.
func TestDataSets(t *testing.T) {
	for name, measures := range map[string][]operators.Measure{
		"wikipedia-edits": {operators.Count},
		"online-retail":   {operators.Count, operators.Sum},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := sim.Facts(name)
			if err != nil {
				t.Fatal(err)
			}
			s := operators.DefaultSettings()
			s.Pane, s.OutOfOrderness = time.Hour, 2*time.Minute
			s.DedupSegment = time.Minute // repeats come up to 4 min of event time later
			logs := sim.Arrive(11, facts, sim.Arrival{
				Partitions: 3, DelayMean: 5 * time.Second, DelayMax: 2 * time.Minute, Duplicates: .02,
				Late: .01, Future: .01, Malformed: .01, Settings: s,
			})
			b := operators.Boards{
				Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness,
				ReviseFor: 10 * time.Minute, Dimensions: []string{"region"},
			}
			for _, m := range measures {
				for window, size := range map[string]time.Duration{"1h": time.Hour, "1d": 24 * time.Hour} {
					b.Boards = append(b.Boards, operators.Board{
						Name: m.String() + "-" + window, Window: operators.Window{Size: size}, Measure: m, K: 10, By: [][]string{{}, {"region"}},
					})
				}
			}
			e := newEngine(t, s, b, len(logs), 3)
			restarts := e.run(rand.New(rand.NewPCG(11, 3)), logs)
			t.Logf("%d records, %d restarts, decisions %v", len(logs[0])+len(logs[1])+len(logs[2]), restarts, e.decisions)
			e.compareLetters(logs)
			e.compareExpected(name, b)
		})
	}
}

// compareLetters holds the dead letters against the oracle's, by partition and offset.
func (e *engine) compareLetters(logs [][]sim.Record) {
	e.t.Helper()
	for source, log := range logs {
		want := map[int64]event.Decision{}
		for _, o := range sim.Decide(e.settings, log) {
			if o.Decision.DeadLetter() {
				want[o.Offset] = o.Decision
			}
		}
		if len(want) < len(log)/50 || !reflect.DeepEqual(want, e.letters[source]) {
			e.t.Errorf("partition %d: %d dead letters, want these %d", source, len(e.letters[source]), len(want))
		}
	}
}

func (e *engine) compareExpected(name string, b operators.Boards) {
	e.t.Helper()
	n := 0
	for _, board := range b.Boards {
		window := board.Name[len(board.Name)-2:]
		expected, err := sim.Expected(name, board.Measure.String(), window)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, want := range expected {
			key := event.ListKey{Board: board.Name, Start: want.Start.UnixMilli()}
			if want.Region != nil {
				key.By, key.Group = "region", event.NewGroup(*want.Region)
			}
			got := e.lists[key]
			var top []sim.ExpectedTopEntry
			for _, entry := range got.Entries {
				top = append(top, sim.ExpectedTopEntry{Item: entry.Item, Score: int64(entry.Score)})
			}
			if !reflect.DeepEqual(top, want.Top) || !got.Final || !got.Exact || got.End != want.End.UnixMilli() {
				e.t.Fatalf("%+v: got %+v, want %+v", key, got, want)
			}
		}
		n += len(expected)
	}
	if n != len(e.lists) {
		e.t.Errorf("%d lists, want %d", len(e.lists), n)
	}
}
