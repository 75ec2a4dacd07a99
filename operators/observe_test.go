package operators_test

import (
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// TestHeld: open panes and remembered IDs are told, and go when time goes on.
func TestHeld(t *testing.T) {
	s := operators.DefaultSettings()
	p := operators.NewPartition(s, 1, operators.CheckpointAt(0))
	if panes, ids := p.Held(); panes != 0 || ids != 0 {
		t.Fatalf("%d panes and %d IDs before anything came", panes, ids)
	}
	at := int64(1_700_000_000_000)
	step := func(offset int64, id uint64, to int64) {
		p.Step(&operators.Record{Offset: offset, Time: to, Event: event.Event{ID: event.ID{id, id}, Item: []byte("tea"), Time: to}})
	}
	step(0, 1, at)
	step(1, 2, at+s.Pane.Milliseconds())
	if panes, ids := p.Held(); panes != 2 || ids != 2 {
		t.Fatalf("%d panes and %d IDs, want 2 and 2", panes, ids)
	}
	step(2, 3, at+(100*time.Hour).Milliseconds())
	if panes, ids := p.Held(); panes == 2 || ids != 1 {
		t.Fatalf("%d panes and %d IDs long after, want the new ID alone", panes, ids)
	}
}

// TestHeldBackBy: it is the source that was never heard from, else the slowest that isn't idle.
func TestHeldBackBy(t *testing.T) {
	boards := operators.Boards{Pane: time.Minute, Boards: []operators.Board{{Name: "b", Window: operators.Window{Size: time.Minute}, By: [][]string{{}}, K: 1}}}
	r := operators.NewRank(boards, 3, 1, operators.ResumeAt(0))
	at := int64(-1)
	take := func(source int, closed int64, idle bool) {
		at++
		u := event.Update{Part: event.Part{Source: source, Incarnation: 1, AsOf: at, ClosedThrough: closed, DroppedThrough: closed, Idle: idle, Last: true}}
		if err := r.Take(at, &u); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int) {
		t.Helper()
		if got := r.HeldBackBy(); got != n {
			t.Errorf("held back by %d, want %d", got, n)
		}
	}
	want(0)
	take(0, 5000, false)
	take(1, 3000, false)
	want(2)
	take(2, 4000, false)
	want(1)
	take(1, 3000, true)
	want(2)
	take(2, 4000, true)
	take(0, 5000, true)
	want(-1)
}
