package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sinks/deadletters"
)

func lettersConfig(t *testing.T, to *table[handlers.LetterRow]) handlers.LettersConfig {
	t.Helper()
	codec, err := handlers.JSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	return handlers.LettersConfig{Codec: codec, Generation: 7, Write: to.Write}
}

// produceLetter has a dead letter come.
func (w *hopWorld) produceLetter(l deadletters.Letter) {
	w.t.Helper()
	m := l.Message()
	r := &kgo.Record{Topic: "in", Value: m.Payload}
	for name, value := range m.Metadata {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if err := w.client.ProduceSync(w.t.Context(), r).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// TestLetters: dead letters of the own generation are written when it is time, again where that fails, and committed afterwards.
func TestLetters(t *testing.T) {
	t.Parallel()
	w, to, clock := newHopWorld(t), newLetterTable(), newClock(start)
	c := lettersConfig(t, to)
	c.Now, c.Logger = clock.Now, w.log
	letters, err := handlers.NewLetters(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 5*time.Millisecond, letters.Handle)
	status := func() handlers.RowsStatus {
		if list, _ := letters.Status(); len(list) == 1 {
			return list[0]
		}
		return handlers.RowsStatus{}
	}

	late := deadletters.Letter{
		Reason: event.Late, Error: "late", Topic: "events", Partition: 1, Offset: 5, Timestamp: 4, Generation: 7, EventTime: 3, Watermark: 9, Pane: 0, Lateness: 8,
		Value: []byte(`{"event_id":"1","item_id":"a","timestamp":"2026-09-18T14:00:00Z","region":"eu"}`),
	}
	other, unreadable := late, late
	other.Generation, other.Offset = 6, 6
	unreadable.Reason, unreadable.Offset, unreadable.Value, unreadable.Timestamp = event.Malformed, 7, []byte("{"), -1
	unreadable.EventTime, unreadable.Watermark, unreadable.Pane, unreadable.Lateness = event.NoTime, event.NoTime, event.NoTime, 0
	want := map[string]handlers.LetterRow{
		"1/5": {Generation: 7, Reason: "late", Error: "late", Topic: "events", Partition: 1, Offset: 5, Timestamp: 4, EventTime: 3, Watermark: 9, Pane: 0, Lateness: 8, Group: event.NewGroup("eu"), Item: "a"},
		"1/7": {Generation: 7, Reason: "malformed", Error: "late", Topic: "events", Partition: 1, Offset: 7, Timestamp: event.NoTime, EventTime: event.NoTime, Watermark: event.NoTime, Pane: event.NoTime, Lateness: event.NoTime},
	}
	w.produce([]byte("not ours"))
	for _, l := range []deadletters.Letter{late, other, unreadable} {
		w.produceLetter(l)
	}
	eventually(t, "all are taken", func() bool { return status().Offset == 3 })
	if s := status(); s.PendingRows != 2 || s.Foreign != 1 || s.LowWater != 0 {
		t.Errorf("the status is %+v", s)
	}
	to.do(func(try int, _ []handlers.LetterRow) (bool, error) {
		if try < 3 {
			return try == 2, fmt.Errorf("%w: try %d", errDown, try)
		}
		return true, nil
	})
	clock.add(10 * time.Second)
	eventually(t, "all is written, and committed", func() bool { s := status(); return s.LowWater == 4 && s.PendingRows == 0 })
	got := to.final(t)
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for id, row := range want {
		if got[id] != row {
			t.Errorf("dead letter %s is %+v, want %+v", id, got[id], row)
		}
	}
	if n, tries := to.count(); n != 2 || tries != 3 {
		t.Errorf("%d inserts in %d tries", n, tries)
	}
}

// TestLettersBounded: while the store is away, reading stops.
func TestLettersBounded(t *testing.T) {
	t.Parallel()
	w, back := newHopWorld(t), make(chan struct{})
	to := newLetterTable()
	to.do(func(int, []handlers.LetterRow) (bool, error) { <-back; return true, nil })
	c := lettersConfig(t, to)
	c.FlushInterval, c.FlushRows, c.PendingRows, c.Logger = 20*time.Millisecond, 5, 20, w.log
	letters, err := handlers.NewLetters(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 5*time.Millisecond, letters.Handle)
	const n = 60
	for i := range n {
		w.produceLetter(deadletters.Letter{Reason: event.Future, Topic: "events", Offset: int64(i), Generation: 7, EventTime: 1, Watermark: 2, Pane: event.NoTime})
	}
	eventually(t, "reading has stopped", func() bool { s, _ := letters.Status(); return len(s) == 1 && s[0].PendingRows >= 20 })
	<-time.After(100 * time.Millisecond)
	if s, _ := letters.Status(); s[0].LowWater != 0 || len(to.all()) > 0 {
		t.Errorf("nothing is written, and the status is %+v", s[0])
	}
	close(back)
	eventually(t, "all is written", func() bool { s, _ := letters.Status(); return s[0].LowWater == n })
	if got := to.final(t); len(got) != n {
		t.Errorf("%d rows, want %d", len(got), n)
	}
}

// TestLettersConfig: all that is wrong is said at once, by name.
func TestLettersConfig(t *testing.T) {
	t.Parallel()
	_, err := handlers.NewLetters(handlers.LettersConfig{FlushInterval: -1, FlushRows: -1, PendingRows: -1})
	for _, name := range []string{"codec", "write", "flush interval", "flush rows", "pending rows"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in %v", name, err)
		}
	}
}

// TestListsNeverFilledIn: a leaderboard without Fill and Read fills nothing in, whatever its writer says.
func TestListsNeverFilledIn(t *testing.T) {
	t.Parallel()
	w, s := newHopWorld(t), &store{before: func(int) (bool, error) { return true, nil }}
	c := leaderboardConfig()
	c.Name, c.Fill, c.Read = "history-rankings", nil, nil
	c.Open = func(int, int64) handlers.ListWriter { return s }
	c.FlushInterval, c.Logger = 10*time.Millisecond, w.log
	b, err := handlers.NewLeaderboard(c)
	if err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 5*time.Millisecond, b.Handle)
	list := likes(0, event.Entry{Item: "a", Score: 1})
	w.produce(rankingsOf(t, 1, 0, event.Part{AsOf: 1, Last: true, ClosedThrough: 1, DroppedThrough: 1}, list))
	eventually(t, "it is written, and committed", func() bool { p, _ := b.Status(); return len(p) == 1 && p[0].PublishedThrough == 0 })
	if p, _ := b.Status(); p[0].Refilling || s.filled.Load() > 0 || b.Refills() > 0 {
		t.Errorf("something is filled in: %+v, %d refills", p[0], b.Refills())
	}
	if n, _ := s.count(); n != 1 {
		t.Errorf("%d lists are written", n)
	}
	if _, err := b.RebuildRedis(t.Context()); err == nil || !strings.Contains(err.Error(), "history-rankings") {
		t.Errorf("RebuildRedis: %v", err)
	}
	for _, half := range []func(*handlers.LeaderboardConfig){
		func(c *handlers.LeaderboardConfig) { c.Fill = leaderboardConfig().Fill },
		func(c *handlers.LeaderboardConfig) { c.Read = leaderboardConfig().Read },
	} {
		c := c
		half(&c)
		if _, err := handlers.NewLeaderboard(c); err == nil || !strings.Contains(err.Error(), "have both, or neither") {
			t.Errorf("with one of Fill and Read: %v", err)
		}
	}
}
