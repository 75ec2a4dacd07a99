package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
)

// cellsConfig is of a Cells that flushes every 10 s, with panes of a minute, and 5 s of lateness.
func cellsConfig(to *table[handlers.CellRow]) handlers.CellsConfig {
	c := handlers.DefaultCellsConfig()
	c.Source, c.Sources, c.Shards, c.Pane, c.AllowedLateness, c.Write = "s", 1, 1, time.Minute, 5*time.Second, to.Write
	return c
}

// cellsWorld is a Cells that reads one partition.
type cellsWorld struct {
	*hopWorld
	*handlers.Cells
	to    *table[handlers.CellRow]
	clock *clock
	sent  int64
}

func newCellsWorld(t *testing.T, change func(*handlers.CellsConfig), subscriber ...func(*microbatch.SubscriberConfig)) *cellsWorld {
	t.Helper()
	w := &cellsWorld{hopWorld: newHopWorld(t), to: newCellTable(), clock: newClock(start)}
	c := cellsConfig(w.to)
	c.Now, c.Logger = w.clock.Now, w.log
	if change != nil {
		change(&c)
	}
	var err error
	if w.Cells, err = handlers.NewCells(c); err != nil {
		t.Fatal(err)
	}
	w.run(c.Identity(), 5*time.Millisecond, w.Handle, subscriber...)
	return w
}

// cell is one that has counted so many events.
func cell(item string, count int64) event.Cell {
	return event.Cell{Group: []byte(event.NewGroup("eu")), Item: []byte(item), Count: count, Sum: count, Min: 1, Max: 1}
}

// send sends a whole update, and returns when it is taken.
func (w *cellsWorld) send(asOf, closedThrough int64, cells ...event.Cell) {
	w.t.Helper()
	w.produce(updateOf(w.t, event.Part{AsOf: asOf, Incarnation: uint64(asOf), Last: true, ClosedThrough: closedThrough, DroppedThrough: closedThrough}, cells...))
	w.sent++
	eventually(w.t, "the update is taken", func() bool { return w.taken() == w.sent-1 })
}

func (w *cellsWorld) taken() int64 {
	list, _ := w.Status()
	if len(list) == 0 {
		return -1
	}
	return list[0].Offset
}

func (w *cellsWorld) pending() int {
	list, _ := w.Status()
	if len(list) == 0 {
		return 0
	}
	return list[0].PendingRows
}

// wrote returns when there have been so many inserts, and what was in the last one: item, count and as-of.
func (w *cellsWorld) wrote(inserts int) (rows []string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprint(inserts, " inserts are there"), func() bool { n, _ := w.to.count(); return n == inserts && w.pending() == 0 })
	for _, r := range w.to.all()[inserts-1] {
		rows = append(rows, fmt.Sprintf("%s=%d@%d", r.Item, r.Count, r.AsOf))
	}
	slices.Sort(rows)
	return rows
}

func (w *cellsWorld) expect(inserts int, want string) {
	w.t.Helper()
	if got := strings.Join(w.wrote(inserts), " "); got != want {
		w.t.Errorf("insert %d is %s, want %s", inserts, got, want)
	}
}

// quiet checks that nothing more has been written, though messages came.
func (w *cellsWorld) quiet(inserts int) {
	w.t.Helper()
	w.produce([]byte("not ours"))
	w.sent++
	eventually(w.t, "it is passed over", func() bool { return w.taken() == w.sent-1 })
	if n, _ := w.to.count(); n != inserts {
		w.t.Errorf("%d inserts, want %d", n, inserts)
	}
}

// TestCellsWritten: cells of open panes are written each flush interval, the newest of each; soon when their pane closes; and at once when they are many.
func TestCellsWritten(t *testing.T) {
	t.Parallel()
	w := newCellsWorld(t, func(c *handlers.CellsConfig) { c.FlushRows = 5 })
	w.send(1, 0, cell("a", 1), cell("b", 1))
	w.quiet(0)
	w.clock.add(10 * time.Second)
	w.expect(1, "a=1@1 b=1@1")

	w.send(2, 0, cell("a", 2))
	w.send(4, 0, cell("a", 4))
	w.send(3, 0, cell("a", 3)) // a zombie's
	w.clock.add(9900 * time.Millisecond)
	w.quiet(1)
	w.clock.add(100 * time.Millisecond)
	w.expect(2, "a=4@4")

	w.send(5, 64_999, cell("a", 5))
	w.clock.add(2 * time.Second)
	w.quiet(2)
	w.send(6, 65_000, cell("a", 6)) // its pane is closed
	w.quiet(2)
	w.clock.add(time.Second)
	w.expect(3, "a=6@6")

	w.send(7, 65_000, cell("c", 7)) // one that comes later
	w.clock.add(time.Second)
	w.expect(4, "c=7@7")

	next := cell("d", 8)
	next.Pane = 60_000
	w.send(8, 65_000, next)
	w.clock.add(2 * time.Second)
	w.quiet(4)
	var many []event.Cell
	for i := range 4 {
		c := cell(fmt.Sprint("e", i), 9)
		c.Pane = 60_000
		many = append(many, c)
	}
	w.send(9, 65_000, many...)
	w.expect(5, "d=8@8 e0=9@9 e1=9@9 e2=9@9 e3=9@9")
	if rows := w.to.all()[4]; rows[0] != (handlers.CellRow{Pane: 60_000, Group: event.NewGroup("eu"), Item: "d", Count: 8, Sum: 8, Min: 1, Max: 1, AsOf: 8}) {
		t.Errorf("the row is %+v", rows[0])
	}
}

// TestCellsOfHalfAFlush: what came of a flush that is never whole is written, too; and what no message has written, a timer does.
func TestCellsOfHalfAFlush(t *testing.T) {
	t.Parallel()
	w := newCellsWorld(t, func(c *handlers.CellsConfig) { c.Now, c.FlushInterval = time.Now, 50*time.Millisecond },
		func(c *microbatch.SubscriberConfig) { c.SilentInterval = 0 })
	w.produce(updateOf(t, event.Part{AsOf: 1, ClosedThrough: 0, DroppedThrough: 0}, cell("a", 1)))
	w.expect(1, "a=1@1")
}

// TestCellsSoonByTimer: when a pane closes, its cells are written soon though no message comes, and though a timer was set for later.
func TestCellsSoonByTimer(t *testing.T) {
	t.Parallel()
	const interval = 5 * time.Second
	w := newCellsWorld(t, func(c *handlers.CellsConfig) { c.Now, c.FlushInterval = time.Now, interval },
		func(c *microbatch.SubscriberConfig) { c.SilentInterval = 0 })
	began := time.Now()
	w.send(1, 0, cell("a", 1))
	w.send(2, 65_000, cell("b", 2))
	w.expect(1, "a=1@1 b=2@2")
	if took := time.Since(began); took > interval*2/3 {
		t.Errorf("it took %v", took)
	}
	w.send(3, 65_000)
	w.send(4, 65_000)
	w.send(5, 0, cell("a", 5)) // what is left is written when the handler ends
	w.stop()
	if n, _ := w.to.count(); n != 2 {
		t.Errorf("%d inserts when it has ended, want 2", n)
	}
}

// TestCellsMissed: a flush that is due while another is under way follows that one.
func TestCellsMissed(t *testing.T) {
	t.Parallel()
	w := newCellsWorld(t, nil)
	goOn := make(chan struct{})
	w.to.do(func(int, []handlers.CellRow) (bool, error) { <-goOn; return true, nil })
	w.send(1, 0, cell("a", 1))
	w.clock.add(10 * time.Second)
	eventually(t, "it is being written", func() bool { _, tries := w.to.count(); return tries == 1 })
	w.send(2, 0, cell("b", 2))
	w.clock.add(10 * time.Second)
	w.quiet(0)
	close(goOn)
	w.expect(2, "b=2@2")
}

// TestCellsOvertaken: rows whose write has failed are written again, but not over newer ones that came meanwhile.
func TestCellsOvertaken(t *testing.T) {
	t.Parallel()
	w := newCellsWorld(t, nil)
	fail := make(chan error)
	w.to.do(func(int, []handlers.CellRow) (bool, error) { err := <-fail; return err == nil, err })
	w.send(5, 0, cell("a", 5), cell("b", 5), cell("c", 5))
	w.clock.add(10 * time.Second)
	eventually(t, "it is being written", func() bool { _, tries := w.to.count(); return tries == 1 })
	w.send(4, 0, cell("a", 4)) // a zombie's
	w.send(6, 0, cell("b", 6))
	fail <- errDown
	fail <- nil
	w.expect(1, "a=5@5 b=6@6 c=5@5")
	w.to.do(nil)
	w.send(7, 0, cell("a", 7))
	w.clock.add(10 * time.Second)
	w.expect(2, "a=7@7")
}

// TestCellsBounded: while the store is away, reading stops, and nothing is committed; when it is back, all is written.
func TestCellsBounded(t *testing.T) {
	t.Parallel()
	const updates, cells, pendingMax, batch = 100, 100, 1000, 2
	w := newCellsWorld(t, func(c *handlers.CellsConfig) { c.FlushRows, c.PendingRows = 300, pendingMax },
		func(c *microbatch.SubscriberConfig) { c.BatchRecords = batch })
	back := make(chan struct{})
	w.to.do(func(int, []handlers.CellRow) (bool, error) { <-back; return true, nil })
	for u := range updates {
		var all []event.Cell
		for i := range cells {
			all = append(all, cell(fmt.Sprint(u, "-", i), 1))
		}
		w.produce(updateOf(t, event.Part{AsOf: int64(u), Last: true}, all...))
	}
	eventually(t, "reading has stopped", func() bool { return w.pending() >= pendingMax })
	before := w.taken()
	<-time.After(100 * time.Millisecond)
	if n := w.pending(); n > pendingMax+batch*cells || w.taken() != before {
		t.Errorf("%d rows are pending, of at most %d; it read on from %d to %d", n, pendingMax, before, w.taken())
	}
	if s, _ := w.Status(); s[0].LowWater != 0 {
		t.Errorf("%d is committed, though nothing is written", s[0].LowWater)
	}
	close(back)
	eventually(t, "all is taken", func() bool { return w.taken() == updates-1 })
	w.clock.add(10 * time.Second)
	eventually(t, "all is committed", func() bool { s, _ := w.Status(); return s[0].LowWater == updates })
	if n := len(w.to.final(t)); n != updates*cells {
		t.Errorf("%d rows, want %d", n, updates*cells)
	}
}

// TestCellsBreaker: a store that is away is left alone after a few tries; when it is back, what was kept is written.
func TestCellsBreaker(t *testing.T) {
	t.Parallel()
	w := newCellsWorld(t, func(c *handlers.CellsConfig) { c.Now, c.FlushInterval = time.Now, 5*time.Millisecond })
	w.to.do(func(int, []handlers.CellRow) (bool, error) { return false, errDown })
	w.send(1, 0, cell("a", 1))
	eventually(t, "the breaker is open", func() bool { _, b := w.Status(); return b == "open" })
	_, tries := w.to.count()
	if tries != 5 {
		t.Errorf("it has tried %d times", tries)
	}
	w.to.do(nil)
	w.send(2, 0, cell("b", 2))
	w.expect(1, "a=1@1 b=2@2")
	if _, b := w.Status(); b != "closed" {
		t.Errorf("the breaker is %s", b)
	}
}

// TestCellsRefuse: what is of another generation, or another number of partitions, ends the subscription.
func TestCellsRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*handlers.CellsConfig){
		"generation 1": func(c *handlers.CellsConfig) { c.Generation = 1 }, "2 shards": func(c *handlers.CellsConfig) { c.Shards = 2 },
		"5 partitions": func(c *handlers.CellsConfig) { c.Sources = 5 },
	} {
		h := newHopWorld(t)
		c := cellsConfig(newCellTable())
		change(&c)
		cells, err := handlers.NewCells(c)
		if err != nil {
			t.Fatal(err)
		}
		s := h.run(c.Identity(), 5*time.Millisecond, cells.Handle)
		h.produce(updateOf(t, event.Part{AsOf: 1, Last: true}, cell("a", 1)))
		eventually(t, name+" is refused", func() bool {
			return s.Err() != nil && strings.Contains(s.Err().Error(), name) && strings.Contains(s.Err().Error(), "new generation")
		})
		h.stop()
	}
}

// TestCellsConfig: all that is wrong is said at once, by name.
func TestCellsConfig(t *testing.T) {
	t.Parallel()
	_, err := handlers.NewCells(handlers.CellsConfig{Shards: 1 << 20, AllowedLateness: -1})
	for _, name := range []string{"source", "sources", "shards: 1048576", "pane", "allowed lateness", "write", "flush interval", "flush rows", "pending rows", "now", "logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in %v", name, err)
		}
	}
}
