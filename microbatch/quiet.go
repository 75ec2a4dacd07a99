package microbatch

import (
	"sync"

	"github.com/IBM/sarama"
)

// quiet finds out whether a partition from which nothing comes has nothing: whether the broker
// can be reached, and holds no record that should have been delivered. It asks in a goroutine of its own, since
// a broker may take long to answer.
type quiet struct {
	group     *group
	partition int32
	asks      chan int64 // position
	ticks     int        // since the last question

	mu     sync.Mutex
	asking bool
	answer *answer

	// Of the asking goroutine: below this offset, from the position last asked for on, there are
	// only transaction markers and aborted records.
	scanned int64
}

type answer struct {
	position int64 // what was asked: is there something from here on
	logEnd   int64
	waiting  bool // there is
	err      error
}

// quietTicks is how many heartbeats pass from one question to the next.
const quietTicks = 4

// scanLimit bounds how many fetches one question may take.
const scanLimit = 8

func newQuiet(g *group, c *Claim) *quiet {
	q := &quiet{group: g, partition: c.Partition, asks: make(chan int64, 1), ticks: quietTicks}
	go func() {
		for position := range q.asks {
			a := q.find(position)
			q.mu.Lock()
			q.answer, q.asking = &a, false
			q.mu.Unlock()
		}
	}()
	return q
}

func (q *quiet) stop() { close(q.asks) }

// ask has the broker asked, now and then, unless a question is open.
func (q *quiet) ask(position int64) {
	q.ticks++
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asking || q.ticks < quietTicks {
		return
	}
	q.ticks, q.asking = 0, true
	q.asks <- position
}

// news returns what an answer says as flags, and the log end, or -1. An answer counts only if nothing was delivered since the question.
func (q *quiet) news(position int64) (flags byte, logEnd int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch a := q.answer; {
	case a == nil || a.position != position:
		return 0, -1
	case a.err != nil:
		return flagUnsure, -1
	case a.waiting:
		return flagUnsure, a.logEnd
	default:
		return flagQuiet, a.logEnd
	}
}

// told notes that the answer was passed on. It counts once: it says nothing about later.
func (q *quiet) told() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answer = nil
}

// find asks the broker. That the log end is the position says that there is nothing; else it may
// be that only transaction markers or aborted records are left, which are never delivered.
func (q *quiet) find(position int64) answer {
	a := answer{position: position}
	a.logEnd, a.err = q.group.client.GetOffset(q.group.topic, q.partition, sarama.OffsetNewest)
	if a.err != nil || a.logEnd <= position {
		return a
	}
	q.scanned = max(q.scanned, position)
	for range scanLimit {
		var next int64
		next, a.waiting, a.err = q.scan(q.scanned)
		if a.err != nil || a.waiting || next <= q.scanned {
			return a
		}
		q.scanned = next
		if next >= a.logEnd {
			return a
		}
	}
	a.waiting = true // too much to look through in one go: not known yet
	return a
}

// scan fetches from an offset, and reports whether a record there should be delivered, and
// how far it has looked.
func (q *quiet) scan(from int64) (next int64, waiting bool, err error) {
	leader, epoch, err := q.group.client.LeaderAndEpoch(q.group.topic, q.partition)
	if err != nil {
		return 0, false, err
	}
	request := &sarama.FetchRequest{Version: 11, MaxBytes: 1 << 20, Isolation: q.group.client.Config().Consumer.IsolationLevel, SessionEpoch: -1}
	request.AddBlock(q.group.topic, q.partition, from, 1<<20, epoch)
	response, err := leader.Fetch(request)
	if err != nil {
		return 0, false, err
	}
	block := response.GetBlock(q.group.topic, q.partition)
	if block == nil {
		return 0, false, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return 0, false, block.Err
	}
	end := block.HighWaterMarkOffset
	if request.Isolation == sarama.ReadCommitted {
		end = block.LastStableOffset
	}
	if len(block.RecordsSet) == 0 {
		// Nothing, though there is something below the end: a broker that can't get at it in time, as where old
		// records lie elsewhere.
		return from, from < end, nil
	}
	next = from
	given := givenUp{block.AbortedTransactions}
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil {
			return from, true, nil // of a format without transactions
		}
		if !given.up(batch) && batch.LastOffset() >= from {
			return from, true, nil
		}
		next = max(next, batch.LastOffset()+1)
	}
	return next, false, nil
}

// givenUp holds the aborted transactions of a fetched range, in the order of their first
// offsets; none when uncommitted records are read, too.
type givenUp struct{ transactions []*sarama.AbortedTransaction }

// up reports whether a batch is never delivered: the end marker of a transaction, or of one that was aborted.
func (g *givenUp) up(batch *sarama.RecordBatch) bool {
	if !batch.IsTransactional {
		return batch.Control
	}
	for i, t := range g.transactions {
		if t.ProducerID != batch.ProducerID || t.FirstOffset > batch.LastOffset() {
			continue
		}
		if batch.Control { // that was its end
			g.transactions = append(g.transactions[:i:i], g.transactions[i+1:]...)
		}
		return true
	}
	return batch.Control
}
