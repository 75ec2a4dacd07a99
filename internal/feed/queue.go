package feed

import "container/heap"

// item is an event, or a line that is none, on its way.
type item struct {
	line      int64
	value     []byte
	key       []byte // nil: none
	partition int32
	readable  bool
	at        int64 // the event's time, Unix milliseconds
	arrival   int64 // when it is due, in event time
	early     int   // its place in the queue among those of the same arrival: as they were read
}

// queue puts items into the order of their arrival. It holds those of as much event time as there is disorder.
type queue struct {
	items items
	added int
	times lows
}

// queueMax is how many items it holds. When there are more, the first of them goes early: the disorder is less then, not more.
const queueMax = 1 << 20

func (q *queue) add(i item) {
	i.early = q.added
	q.added++
	heap.Push(&q.items, i)
	if i.readable {
		q.times.add(i.at)
	}
}

// take returns the item that arrives first, if that is due at a time or there are too many.
func (q *queue) take(now int64) (item, bool) {
	if len(q.items) == 0 || q.items[0].arrival > now && len(q.items) <= queueMax {
		return item{}, false
	}
	i := heap.Pop(&q.items).(item) //nolint:forcetypeassert,errcheck // it holds nothing else
	if i.readable {
		q.times.remove(i.at)
	}
	return i, true
}

// items is a heap by arrival.
type items []item

func (q items) Len() int      { return len(q) }
func (q items) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q items) Less(i, j int) bool {
	if q[i].arrival != q[j].arrival {
		return q[i].arrival < q[j].arrival
	}
	return q[i].early < q[j].early
}
func (q *items) Push(x any) { *q = append(*q, x.(item)) } //nolint:forcetypeassert,errcheck // add pushes items
func (q *items) Pop() any {
	last := len(*q) - 1
	i := (*q)[last]
	(*q)[last] = item{}
	*q = (*q)[:last]
	return i
}

// lows knows the lowest of the times in the queue. Those that have been removed are found when they come up.
type lows struct {
	live, gone times
}

func (l *lows) add(at int64) { heap.Push(&l.live, at) }

func (l *lows) remove(at int64) {
	heap.Push(&l.gone, at)
	for len(l.gone) > 0 && l.gone[0] == l.live[0] {
		heap.Pop(&l.gone)
		heap.Pop(&l.live)
	}
}

// least returns the lowest, and false where there is none.
func (l *lows) least() (int64, bool) {
	if len(l.live) == 0 {
		return 0, false
	}
	return l.live[0], true
}

// times is a heap of times.
type times []int64

func (t times) Len() int           { return len(t) }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t *times) Push(x any)        { *t = append(*t, x.(int64)) } //nolint:forcetypeassert,errcheck // add and remove push times
func (t *times) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}
