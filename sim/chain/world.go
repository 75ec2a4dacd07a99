package chain

import (
	"fmt"
	"math"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// world is a run.
type world struct {
	scenario *Scenario
	boards   operators.Boards
	now      int64 // virtual time, milliseconds
	runs     uint64
	trace    trace
	cover    *Coverage

	source   []*sourceLog
	updates  []*topicLog[event.Cell]    // by shard
	rankings []*topicLog[event.Ranking] // by lane
	letters  map[place]event.Decision
	redis    *redis
	history  *clickhouse

	groups [stages]*group
	limbo  []*send // what crashes and failures have left behind, and may arrive yet

	shards []*shardTruth
	lanes  []*laneTruth
	said   map[saying]uint64 // what a revision of a list was said to be
}

// place is a record's.
type place struct {
	partition int
	offset    int64
}

// saying is a shard's revision of a list, or with shard -1 the merged one.
type saying struct {
	shard int
	key   event.ListKey
	asOf  int64
}

// sourceLog is a partition of the source topic.
type sourceLog struct {
	records  []sim.Record
	folded   []operators.Record
	appended int   // how many have come
	start    int64 // least offset that retention has left
	truth    *truth
}

// last returns the offset of the last record that has come, or -1.
func (l *sourceLog) last() int64 {
	if l.appended == 0 {
		return -1
	}
	return l.records[l.appended-1].Offset
}

// from returns the index of the first record at an offset or after it.
func (l *sourceLog) from(offset int64) int {
	i := 0
	for i < len(l.records) && l.records[i].Offset < offset {
		i++
	}
	return i
}

// topicLog is a partition of a topic of ours; a message's index is its offset.
type topicLog[C any] struct {
	start    int64 // least offset that retention has left
	messages []message[C]
}

type message[C any] struct {
	part    event.Part
	content []C
}

func (l *topicLog[C]) end() int64 { return int64(len(l.messages)) }

func newWorld(s *Scenario, cover *Coverage) *world {
	k := &s.Knobs
	w := &world{
		scenario: s, boards: k.boards(), trace: newTrace(), cover: cover,
		letters: map[place]event.Decision{}, redis: newRedis(), history: newClickhouse(), said: map[saying]uint64{},
	}
	for _, records := range s.Records {
		l := &sourceLog{records: records, truth: newTruth(k.Fold, records)}
		for _, r := range records {
			l.folded = append(l.folded, folded(r))
		}
		w.source = append(w.source, l)
		w.cover.decisions(l.truth)
	}
	for range k.Shards {
		w.updates = append(w.updates, &topicLog[event.Cell]{})
		w.shards = append(w.shards, newShardTruth(k, len(s.Records)))
	}
	for range k.Lanes {
		w.rankings = append(w.rankings, &topicLog[event.Ranking]{})
		w.lanes = append(w.lanes, newLaneTruth(k))
	}
	claims := [stages]int{Intake: len(s.Records), Rank: k.Shards, Board: k.Lanes, History: k.Lanes, Archive: k.Shards}
	for stage := range w.groups {
		w.groups[stage] = &group{stage: Place(stage), claims: make([]claim, claims[stage])}
	}
	return w
}

// violation is an invariant that doesn't hold. It is thrown, since it ends the run.
type violation struct {
	invariant string
	what      string
}

func (v violation) Error() string { return v.invariant + ": " + v.what }

func (w *world) failf(invariant, format string, args ...any) {
	panic(violation{invariant, fmt.Sprintf(format, args...)})
}

// publishUpdates appends a part to a shard's partition.
func (w *world) publishUpdates(shard int, part event.Part, cells []event.Cell) {
	l := w.updates[shard]
	l.messages = append(l.messages, message[event.Cell]{part, cells})
	w.shards[shard].appended(l.end()-1, part, cells)
	w.trace.part(shard, part)
	for i := range cells {
		w.trace.cell(&cells[i])
	}
}

// publishRankings appends a part to a lane's partition.
func (w *world) publishRankings(lane int, part event.Part, lists []event.Ranking) {
	l := w.rankings[lane]
	l.messages = append(l.messages, message[event.Ranking]{part, lists})
	w.lanes[lane].appended(l.end()-1, part, lists)
	w.trace.part(lane, part)
	for i := range lists {
		w.trace.list(&lists[i])
	}
}

// publishLetter appends to the dead-letter topic.
func (w *world) publishLetter(partition int, out operators.Outcome) {
	at := place{partition, out.Offset}
	if reason, there := w.letters[at]; there {
		w.cover.note(LetterTwice)
		if reason != out.Decision {
			w.failf("D", "the dead letter of source/%d offset %d says %v, and before it said %v", partition, out.Offset, out.Decision, reason)
		}
	}
	w.letters[at] = out.Decision
	w.trace.numbers(int64(partition), out.Offset, int64(out.Decision))
}

// revision checks that a revision of a list always means the same bytes.
func (w *world) revision(shard int, r *event.Ranking) {
	key := saying{shard, r.ListKey, r.Revision}
	hash := newTrace()
	hash.list(r)
	if said, there := w.said[key]; there && said != uint64(hash) {
		w.failf("R", "revision %d of list %+v has other bytes than it had before; now it is %+v", r.Revision, r.ListKey, *r)
	} else if there {
		w.cover.note(RevisionAgain)
	}
	w.said[key] = uint64(hash)
}

// closedAt checks that a list is final if its window had closed as of its revision, and only then.
func (w *world) closedAt(who string, partition int, r *event.Ranking, closed []int64) {
	at := event.NoTime
	if r.Revision >= 0 {
		at = closed[r.Revision]
	}
	if final := r.End+w.scenario.Knobs.Fold.AllowedLateness.Milliseconds() <= at; final != r.Final {
		w.failf("D", "%s/%d: final is %t, want %t: time was %d when this was said: %+v", who, partition, r.Final, final, at, *r)
	}
}

// retain removes what no group needs any more.
func (w *world) retain(topic Place, partition int) bool {
	readers := map[Place][]Place{Source: {Intake}, Updates: {Rank, Archive}, Rankings: {Board, History}}[topic]
	low := int64(math.MaxInt64)
	for _, stage := range readers {
		claims := w.groups[stage].claims
		if partition >= len(claims) {
			return false
		}
		c := claims[partition].committed
		if c == nil {
			return false
		}
		low = min(low, c.low)
		if w.has(RetentionHasty) {
			low = max(c.low, c.fold.ProcessedThrough+1, c.hop.PublishedThrough+1)
		}
	}
	var start *int64
	switch topic {
	case Source:
		start = &w.source[partition].start
	case Updates:
		start = &w.updates[partition].start
	case Rankings:
		start = &w.rankings[partition].start
	default:
		return false
	}
	if low <= *start {
		return false
	}
	*start = low
	w.cover.note(Retained)
	return true
}
