package operators

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
)

// The traces are the test vectors of the executable specification of Rule 2's intake
// and Rule 4's closing and restart: for each of 300 seeds one shard's updates log, with
// restarted senders, zombies, split flushes, idleness and waking, and what stands after
// each message. Windows are tumbling, of one pane; an item's value is its count.

const rankTraces = "testdata/rank-traces.ndjson.gz"

type rankTrace struct {
	Settings struct {
		Sources               int
		Pane, Bound, Lateness int64
		ReviseFor             int64 `json:"revise_for"`
	}
	Log       []rankTraceMessage
	After     []rankTraceRow
	Published []tracedList
}

type rankTraceMessage struct {
	Source  int
	Inc     uint64
	AsOf    int64 `json:"as_of"`
	Part    int
	Last    bool
	Cells   []tracedCell
	W       *int64
	Idle    bool
	IdleFor int64 `json:"idle_for"`
}

type tracedCell struct {
	pane  int64
	item  string
	count int64
}

func (c *tracedCell) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&c.pane, &c.item, &c.count})
}

type rankTraceRow struct {
	Lists            []tracedList
	Closing, Dropped *int64
	AfterFinal       int64 `json:"after_final"`
	Checkpoint       struct {
		LowWater         int64 `json:"low_water"`
		Closing, Dropped *int64
		PublishedThrough int64 `json:"published_through"`
	}
}

// tracedList is [start, [[item, count], ...], final]; without final where it is published.
type tracedList struct {
	Start  int64
	Counts map[string]int64
	Final  bool
}

func (l *tracedList) UnmarshalJSON(b []byte) error {
	var pairs [][]any
	if err := json.Unmarshal(b, &[]any{&l.Start, &pairs, &l.Final}); err != nil {
		return err
	}
	l.Counts = map[string]int64{}
	for _, p := range pairs {
		l.Counts[p[0].(string)] = int64(p[1].(float64))
	}
	return nil
}

func (tr *rankTrace) boards() Boards {
	ms := time.Millisecond
	s := tr.Settings
	return Boards{
		Pane: time.Duration(s.Pane) * ms, AllowedLateness: time.Duration(s.Lateness) * ms,
		OutOfOrderness: time.Duration(s.Bound) * ms, ReviseFor: time.Duration(s.ReviseFor) * ms,
		Dimensions: []string{"region"},
		Boards: []Board{{
			Name: "all", Window: Window{Size: time.Duration(s.Pane) * ms}, K: 100, By: [][]string{{}},
		}},
	}
}

func (tr *rankTrace) update(x int) *event.Update {
	m := tr.Log[x]
	u := &event.Update{Part: event.Part{
		Source: m.Source, Incarnation: m.Inc, AsOf: m.AsOf, Number: m.Part, Last: m.Last,
		ClosedThrough: orNoTime(m.W), DroppedThrough: orNoTime(m.W), Idle: m.Idle, IdleFor: m.IdleFor,
	}}
	for _, c := range m.Cells {
		u.Cells = append(u.Cells, event.Cell{Pane: c.pane, Group: []byte(event.NewGroup("eu")), Item: []byte(c.item), Count: c.count, Sum: c.count})
	}
	return u
}

// kept returns the kept windows as the specification shows them.
func (r *Rank) kept() []tracedList {
	lists := []tracedList{}
	for _, start := range slices.Sorted(maps.Keys(r.views[0].windows)) {
		w := r.views[0].windows[start]
		l := tracedList{Start: start, Counts: map[string]int64{}, Final: w.closeAt <= r.in.ClosedThrough()}
		w.table.each(func(e *entry) { l.Counts[string(r.items.get(e.itemOf()))] = e.count() })
		lists = append(lists, l)
	}
	return lists
}

// sink takes what a Rank publishes: the newest of each list.
type sink map[int64]event.Ranking

// flush publishes, and fails now and then. It returns how many lists came.
func (s sink) flush(r *Rank, rng *rand.Rand) (n int) {
	began := r.Flush(0, 1, func(_ int, _ event.Part, lists []event.Ranking) {
		n = len(lists)
		for _, l := range lists {
			s[l.Start] = l
		}
	})
	if !began {
		return 0 // in a replay
	}
	if rng.IntN(4) == 0 {
		r.Failed(0)
	} else {
		r.Acked(0)
	}
	return n
}

// final returns the final lists that were published.
func (s sink) final() []tracedList {
	lists := []tracedList{}
	for _, start := range slices.Sorted(maps.Keys(s)) {
		if !s[start].Final {
			continue
		}
		l := tracedList{Start: start, Counts: map[string]int64{}}
		for _, e := range s[start].Entries {
			l.Counts[e.Item] = int64(e.Score)
		}
		lists = append(lists, l)
	}
	return lists
}

func (row *rankTraceRow) compare(r *Rank) error {
	if got := r.kept(); !reflect.DeepEqual(got, row.Lists) {
		d := gocmp.Diff(row.Lists, got)
		return fmt.Errorf("kept windows (-want +got):\n%s", d)
	}
	if r.ClosedThrough() != orNoTime(row.Closing) || r.DroppedThrough() != orNoTime(row.Dropped) {
		return fmt.Errorf("closed and dropped through %d, %d, want %d, %d", r.ClosedThrough(), r.DroppedThrough(), orNoTime(row.Closing), orNoTime(row.Dropped))
	}
	return nil
}

func (row *rankTraceRow) resume() Resume {
	ck := row.Checkpoint
	return Resume{ck.LowWater, ck.PublishedThrough, orNoTime(ck.Closing), orNoTime(ck.Dropped)}
}

// TestRankSpecification takes in every trace: the same windows, totals, closing
// watermark, dropped-through, checkpoint and cells after final after each message, and
// at the end the same final lists.
func TestRankSpecification(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	eachTrace(t, rankTraces, func(t *testing.T, tr *rankTrace) {
		r, published := NewRank(tr.boards(), tr.Settings.Sources, 1, ResumeAt(0)), sink{}
		for x := range tr.Log {
			if err := r.Take(int64(x), tr.update(x)); err != nil {
				t.Fatal(err)
			}
			row := &tr.After[x]
			if err := row.compare(r); err != nil {
				t.Fatalf("offset %d: %v", x, err)
			}
			if r.Checkpoint() != row.resume() || r.AfterFinal() != row.AfterFinal {
				t.Fatalf("offset %d: checkpoint %+v, after final %d, want %+v, %d", x, r.Checkpoint(), r.AfterFinal(), row.resume(), row.AfterFinal)
			}
			if rng.IntN(2) == 0 {
				published.flush(r, rng)
			}
		}
		for range 20 {
			published.flush(r, rng)
		}
		if d := gocmp.Diff(tr.Published, published.final()); d != "" {
			t.Fatalf("published (-want +got):\n%s", d)
		}
	})
}

// TestRankSpecificationRestart restarts from the specification's own checkpoint after
// each message of every trace. What was published up to there is in the sink.
func TestRankSpecificationRestart(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	eachTrace(t, rankTraces, func(t *testing.T, tr *rankTrace) {
		for stop := range tr.Log {
			published := tr.published(t, stop, rng)
			from := tr.After[stop].resume()
			r := NewRank(tr.boards(), tr.Settings.Sources, 1, from)
			for x := int(from.LowWater); x < len(tr.Log); x++ {
				if err := r.Take(int64(x), tr.update(x)); err != nil {
					t.Fatal(err)
				}
				if rng.IntN(2) == 0 || x <= stop {
					if lists := published.flush(r, rng); x <= stop && lists > 0 {
						t.Fatalf("offset %d: %d lists published in the replay up to %d", x, lists, stop)
					}
				}
				if x < stop {
					continue
				}
				if err := tr.After[x].compare(r); err != nil {
					t.Fatalf("restarted as of %d, offset %d: %v", stop, x, err)
				}
				if low := r.Checkpoint().LowWater; low > tr.After[x].resume().LowWater {
					t.Fatalf("restarted as of %d, offset %d: low-water %d is beyond %d", stop, x, low, tr.After[x].resume().LowWater)
				}
			}
			for range 20 {
				published.flush(r, rng)
			}
			if d := gocmp.Diff(tr.Published, published.final()); d != "" {
				t.Fatalf("restarted as of %d: published (-want +got):\n%s", stop, d)
			}
		}
	})
}

// published returns what an uninterrupted run has published as of a message.
func (tr *rankTrace) published(t *testing.T, through int, rng *rand.Rand) sink {
	t.Helper()
	r, published := NewRank(tr.boards(), tr.Settings.Sources, 1, ResumeAt(0)), sink{}
	for x := range through + 1 {
		if err := r.Take(int64(x), tr.update(x)); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			published.flush(r, rng)
		}
	}
	for range 20 {
		published.flush(r, rng)
	}
	return published
}
