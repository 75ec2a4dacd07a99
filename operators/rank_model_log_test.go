package operators_test

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// traffic is what a shard's updates are drawn from.
type traffic struct {
	boards  operators.Boards
	sources int
	crowded bool // hundreds of items change at once, then those in front fall back
	huge    bool // values are about 2^62: two of them run over
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// someTraffic draws boards with short lists, so that candidates are cut off and come back,
// and short times, so that windows begin, close and are dropped while the log is short.
func someTraffic(rng *rand.Rand) traffic {
	const ms = time.Millisecond
	s := operators.Settings{
		Pane: pick[time.Duration](rng, 1, 2, 5) * ms, AllowedLateness: pick[time.Duration](rng, 0, 0, 3, 12) * ms,
		OutOfOrderness: pick[time.Duration](rng, 0, 2) * ms,
	}
	t := traffic{boards: someBoards(rng, s, 2), sources: 1 + rng.IntN(3), crowded: rng.IntN(4) == 0, huge: rng.IntN(5) == 0}
	t.boards.ReviseFor = pick[time.Duration](rng, 0, 2, 10, 40, 1000) * ms
	for i := range t.boards.Boards {
		b := &t.boards.Boards[i]
		b.K, b.MinCount = pick(rng, 1, 1, 2, 3, 50), pick[int64](rng, 0, 0, 1, 2, 3)
	}
	if t.crowded {
		t.crowd(rng)
	}
	return t
}

// crowd makes one board of a long window in which hundreds of items compete for few places, and can lose them again.
func (t *traffic) crowd(rng *rand.Rand) {
	t.sources, t.huge, t.boards.Boards = 1+rng.IntN(2), false, t.boards.Boards[:1]
	t.boards.AllowedLateness = 40 * time.Millisecond
	b := &t.boards.Boards[0]
	b.By, b.K, b.MinCount = b.By[:1], pick(rng, 1, 1, 2, 3), int64(rng.IntN(2))
	b.Window.Size *= pick[time.Duration](rng, 1, 4, 8)
	if b.Measure == operators.Count {
		b.Order = event.Bottom // counts only grow: at the top nobody falls
	}
}

// head returns the head of a flush that is one message.
func (c *counting) head(source, incarnation, asOf int) event.Part {
	w := event.NoTime
	if asOf >= 0 {
		w = c.w[asOf]
	}
	return event.Part{Source: source, Incarnation: uint64(incarnation), AsOf: int64(asOf), Last: true, ClosedThrough: w, DroppedThrough: w}
}

// run returns the flushes of a run that begins after an offset and goes on to the end, with heartbeats in between.
func (c *counting) run(source, incarnation, after int) (flushes [][]message[event.Cell]) {
	heartbeats := func(asOf int) {
		for c.rng.IntN(3) == 0 {
			head := c.head(source, incarnation, asOf)
			if head.Idle = c.rng.IntN(10) < 7; head.Idle || c.rng.IntN(5) == 0 {
				head.IdleFor = int64(1 + c.rng.IntN(30))
			}
			flushes = append(flushes, []message[event.Cell]{{part: head}})
		}
	}
	heartbeats(after)
	for after < len(c.w)-1 {
		asOf := min(len(c.w)-1, after+1+c.rng.IntN(c.stretchesMax()))
		cells, head := c.changed(after, asOf), c.head(source, incarnation, asOf)
		if c.rng.IntN(8) == 0 {
			head.Idle, head.IdleFor = true, int64(c.rng.IntN(20))
		}
		var flush []message[event.Cell]
		operators.Split(head, cells, 1+len(cells)/(1+c.rng.IntN(3)), func(*event.Cell) int { return 1 }, func(part event.Part, cells []event.Cell) {
			flush = append(flush, message[event.Cell]{part, cells})
		})
		flushes = append(flushes, flush)
		heartbeats(asOf)
		after = asOf
	}
	return flushes
}

// stretchesMax is how much of its log a flush is of; less where what one stretch brings in front falls in the next.
func (c *counting) stretchesMax() int {
	if c.traffic.crowded {
		return 2
	}
	return 4
}

// messages returns all that a source partition's runs write. Each of them but the last is
// killed, and what was on its way then arrives among its successor's messages; that one goes on
// from an offset that its predecessor had flushed, or from further back.
func (c *counting) messages(source int) []message[event.Cell] {
	var log, zombie []message[event.Cell]
	committed := -1
	for incarnation := 0; ; incarnation++ {
		flushes := c.run(source, incarnation, committed)
		killed := len(flushes)
		if incarnation < 4 && c.rng.IntN(2) == 0 {
			killed = c.rng.IntN(len(flushes) + 1)
		}
		live := slices.Concat(flushes[:killed]...)
		log = append(log, mingle(c.rng, [][]message[event.Cell]{live, zombie})...)
		if killed == len(flushes) {
			break
		}
		late := slices.Clone(flushes[killed:min(len(flushes), killed+c.rng.IntN(3))])
		if n := len(late); n > 0 && c.rng.IntN(3) == 0 {
			late[n-1] = late[n-1][:1]
		}
		zombie = slices.Concat(late...)
		if len(live) > 0 {
			committed += c.rng.IntN(int(live[len(live)-1].part.AsOf) - committed + 1)
		}
	}
	end := c.head(source, 99, len(c.w)-1)
	end.Idle, end.IdleFor = true, pick[int64](c.rng, 0, 5, 50, 1000)
	return append(log, message[event.Cell]{part: end})
}

// updates returns a shard's updates log.
func (t *traffic) updates(rng *rand.Rand) []message[event.Cell] {
	var logs [][]message[event.Cell]
	start := pick[int64](rng, 0, -100, 1000)
	for source := range t.sources {
		logs = append(logs, newCounting(rng, t, start).messages(source))
	}
	return mingle(rng, logs)
}
