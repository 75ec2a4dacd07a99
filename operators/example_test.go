package operators_test

import (
	"fmt"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// noon is when the examples begin.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// A source partition decides what becomes of each record, and what to tell the shards.
func ExamplePartition() {
	settings := operators.DefaultSettings() // panes of 1 min, 5 s of disorder, 30 s of allowed lateness
	p := operators.NewPartition(settings, 1, operators.CheckpointAt(0))

	for offset, e := range []struct {
		id, item string
		after    time.Duration
	}{
		{"a", "lamp", 1 * time.Second},
		{"a", "lamp", 1 * time.Second}, // sent twice
		{"b", "lamp", 95 * time.Second},
		{"c", "lamp", 59 * time.Second},
	} {
		at := noon.Add(e.after).UnixMilli()
		out := p.Step(&operators.Record{
			Offset: int64(offset),
			Time:   at,
			Event:  event.Event{ID: event.NewID([]byte(e.id)), Item: []byte(e.item), Group: []byte(event.NewGroup("eu")), Time: at, Value: 1},
		})
		fmt.Println(e.id, out.Decision, "W", time.UnixMilli(out.Watermark).UTC().Format(time.TimeOnly))
	}

	const source, incarnation = 0, 1
	p.Flush(source, incarnation, false, 0, func(shard int, head event.Part, cells []event.Cell) {
		for _, c := range cells {
			fmt.Printf("as of %d: %s has %d, and %d duplicates, from %s on\n", head.AsOf, c.Item, c.Count, c.Duplicates, time.UnixMilli(c.Pane).UTC().Format(time.TimeOnly))
		}
	})
	p.LettersAcked(3) // the late one is safe in the dead-letter topic
	p.Acked(0)        // and so is the flush, in the updates topic
	checkpoint, _ := p.Commit()
	fmt.Println("processed through", checkpoint.ProcessedThrough)
	// Output:
	// a counted W 11:59:56
	// a duplicate W 11:59:56
	// b counted W 12:01:30
	// c late W 12:01:30
	// as of 3: lamp has 1, and 1 duplicates, from 12:00:00 on
	// as of 3: lamp has 1, and 0 duplicates, from 12:01:00 on
	// processed through 3
}

// boards is one leaderboard: the two items with most events of each minute, over all regions.
func boards() operators.Boards {
	return operators.Boards{
		Pane:            time.Minute,
		AllowedLateness: 30 * time.Second,
		OutOfOrderness:  5 * time.Second,
		ReviseFor:       10 * time.Minute,
		Dimensions:      []string{"region"},
		Boards: []operators.Board{{
			Name:   "trending",
			Window: operators.Window{Size: time.Minute},
			K:      2,
			By:     [][]string{{}},
		}},
	}
}

// A shard ranks its items by what the source partitions tell it: absolute numbers, as of an offset.
func ExampleRank() {
	r := operators.NewRank(boards(), 1, 1, operators.ResumeAt(0))
	cell := func(item string, count int64) event.Cell {
		return event.Cell{Pane: noon.UnixMilli(), Group: []byte(event.NewGroup("eu")), Item: []byte(item), Count: count, Sum: count}
	}
	flush := func() {
		r.Flush(0, 1, func(lane int, head event.Part, lists []event.Ranking) {
			for _, l := range lists {
				fmt.Println(l.Board, "final:", l.Final, l.Entries)
			}
		})
		r.Acked(0)
	}

	head := event.Part{AsOf: 20, Last: true, ClosedThrough: noon.UnixMilli(), DroppedThrough: noon.UnixMilli()}
	if err := r.Take(0, &event.Update{Part: head, Cells: []event.Cell{cell("lamp", 5), cell("mug", 7), cell("pen", 6)}}); err != nil {
		fmt.Println(err)
	}
	flush()

	// The watermark reaches the window's end + allowed lateness.
	closes := noon.Add(90 * time.Second).UnixMilli()
	head = event.Part{AsOf: 31, Last: true, ClosedThrough: closes, DroppedThrough: closes}
	if err := r.Take(1, &event.Update{Part: head, Cells: []event.Cell{cell("lamp", 8)}}); err != nil {
		fmt.Println(err)
	}
	flush()
	// Output:
	// trending final: false [{mug 7} {pen 6}]
	// trending final: true [{lamp 8} {mug 7}]
}

// The merge makes one list of the shards' lists. An item is in one shard only.
func ExampleMerge() {
	const shards = 2
	m := operators.NewMerge(boards(), shards, operators.ResumeAt(0))
	list := func(entries ...event.Entry) []event.Ranking {
		key := event.ListKey{Board: "trending", Start: noon.UnixMilli()}
		return []event.Ranking{{ListKey: key, End: noon.Add(time.Minute).UnixMilli(), Entries: entries, Exact: true}}
	}
	for offset, u := range []event.Rankings{
		{
			Part:  event.Part{Source: 0, AsOf: 4, Last: true, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime},
			Lists: list(event.Entry{Item: "mug", Score: 7}, event.Entry{Item: "pen", Score: 6}),
		},
		{
			Part:  event.Part{Source: 1, AsOf: 9, Last: true, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime},
			Lists: list(event.Entry{Item: "lamp", Score: 8}, event.Entry{Item: "ink", Score: 1}),
		},
	} {
		if err := m.Take(int64(offset), &u); err != nil {
			fmt.Println(err)
		}
	}
	m.Flush(func(lists []event.Ranking) {
		for _, l := range lists {
			fmt.Println(l.Board, "revision", l.Revision, l.Entries)
		}
	})
	m.Acked()
	// Output:
	// trending revision 1 [{lamp 8} {mug 7}]
}
