package wire

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/millrank/millrank/event"
)

// ErrMalformedRankings is wrapped by all errors of DecodeRankings: the bytes are not a message of the rankings topic.
// Trying again is of no use.
var ErrMalformedRankings = errors.New("malformed rankings")

// RankingsEncoder makes rankings of one sender: a shard. It is reused, and keeps as much memory
// as its largest message took. It serves one goroutine.
type RankingsEncoder struct {
	sender  Sender
	message Rankings // of the last message, to be written anew
	lists   []RankedList

	closed, dropped int64 // what the message's optional fields point to
	items           dictionary
	positions       []uint32
	scores          []float64
}

// NewRankingsEncoder returns an encoder of a shard's rankings. Of the sender, Partition is the shard, SourcePartitions is how many shards there are, and
// ShardPartitions how many partitions the rankings topic has. The error says what is wrong with it.
func NewRankingsEncoder(s Sender) (*RankingsEncoder, error) {
	if err := s.check(0); err != nil {
		return nil, fmt.Errorf("sender of rankings: %w", err)
	}
	return &RankingsEncoder{sender: s, items: newDictionary()}, nil
}

// RankingSize returns an upper bound on the bytes that a list adds to a message, as if nothing of it were shared: it
// serves operators.Split.
func RankingSize(r *event.Ranking) int {
	const numbers = 8*11 + 3*6 // start, end, flags, error, duplicates with their keys, lengths of the texts
	n := numbers + len(r.Board) + len(r.By) + len(r.Group)
	for i := range r.Entries {
		n += len(r.Entries[i].Item) + varintSize(uint64(len(r.Entries[i].Item))) + 4 + 8 // its bytes, its length, its position, its score
	}
	return n
}

// Append appends one message for a partition of the rankings topic to dst and returns the longer slice. It keeps nothing of the lists. The same sender, partition,
// part and lists always give the same bytes.
//
// It fails, and returns dst as it was, for a partition that there is none of, a part of another shard
// than the sender's, a score that is not a number, and a message of more than 2 GiB, which Protobuf forbids.
func (e *RankingsEncoder) Append(dst []byte, partition int, part event.Part, lists []event.Ranking) ([]byte, error) {
	if err := e.sender.check(partition); err != nil {
		return dst, fmt.Errorf("rankings: %w", err)
	}
	if part.Source != e.sender.Partition {
		return dst, fmt.Errorf("rankings: a part of shard %d, from the sender of shard %d", part.Source, e.sender.Partition)
	}
	if part.Number < 0 || part.Number > math.MaxInt32 {
		return dst, fmt.Errorf("rankings: part number %d, must be 0 to %d", part.Number, math.MaxInt32)
	}
	e.closed, e.dropped = part.ClosedThrough, part.DroppedThrough
	e.message = Rankings{
		Source: e.sender.Source, Generation: e.sender.Generation,
		Shard: uint32(e.sender.Partition), Shards: uint32(e.sender.SourcePartitions),
		Partitions: uint32(e.sender.ShardPartitions), Partition: uint32(partition),
		Incarnation: part.Incarnation, AsOf: part.AsOf, Number: uint32(part.Number), Last: part.Last,
		ClosedThrough: optional(&e.closed), DroppedThrough: optional(&e.dropped),
	}
	if err := e.take(lists); err != nil {
		return dst, fmt.Errorf("rankings: %w", err)
	}
	size := e.message.SizeVT()
	if size > math.MaxInt32 {
		return dst, fmt.Errorf("rankings: %d bytes in %d lists, at most %d: cut the flush into smaller parts", size, len(lists), math.MaxInt32)
	}
	longer := slices.Grow(dst, size)[:len(dst)+size]
	if _, err := e.message.MarshalToSizedBufferVT(longer[len(dst):]); err != nil {
		return dst, fmt.Errorf("rankings: %w", err)
	}
	return longer, nil
}

// take sets the message's lists.
func (e *RankingsEncoder) take(lists []event.Ranking) error {
	n := 0
	for i := range lists {
		n += len(lists[i].Entries)
	}
	e.items.reset(n)
	e.positions, e.scores = slices.Grow(e.positions[:0], n)[:n], slices.Grow(e.scores[:0], n)[:n]
	e.lists = slices.Grow(e.lists[:0], len(lists))[:len(lists)]
	e.message.Lists = make([]*RankedList, len(lists))
	at := 0
	for i := range lists {
		r := &lists[i]
		from := at
		for _, entry := range r.Entries {
			if math.IsNaN(entry.Score) {
				return fmt.Errorf("board %s: the score of %q is not a number", r.Board, entry.Item)
			}
			e.positions[at], e.scores[at] = e.items.position([]byte(entry.Item)), entry.Score
			at++
		}
		e.lists[i] = RankedList{
			Board: r.Board, By: r.By, Group: []byte(r.Group), Start: r.Start, End: r.End,
			Final: r.Final, Inexact: !r.Exact, MaxError: r.MaxError, Duplicates: r.Duplicates,
			Items: e.positions[from:at:at], Scores: e.scores[from:at:at],
		}
		e.message.Lists[i] = &e.lists[i]
	}
	e.message.Items, e.message.ItemLengths = e.items.bytes, e.items.lengths
	return nil
}

// DecodeRankings makes rankings of a message: who speaks (as for NewRankingsEncoder), the partition that is spoken to, and
// the part with its lists, as the encoder was given them; each list's revision is the part's as-of.
//
// Nothing of what it returns points into b. A message's items share one piece of memory. Any bytes are safe to give: what is
// not rankings is an error that wraps ErrMalformedRankings and says what is wrong, and the memory taken is at most some
// 300 times len(b): an empty list is two bytes in a message. Unknown fields are ignored.
func DecodeRankings(b []byte) (Sender, int, event.Rankings, error) {
	s, partition, u, err := decodeRankings(b)
	if err != nil {
		return Sender{}, 0, event.Rankings{}, fmt.Errorf("%w: %w", ErrMalformedRankings, err)
	}
	return s, partition, u, nil
}

func decodeRankings(b []byte) (s Sender, partition int, u event.Rankings, err error) {
	if len(b) > math.MaxInt32 {
		return s, 0, u, fmt.Errorf("%d bytes, at most %d", len(b), math.MaxInt32)
	}
	var m Rankings
	if err := m.UnmarshalVT(b); err != nil {
		return s, 0, u, err
	}
	s = Sender{
		Source: m.GetSource(), Generation: m.GetGeneration(),
		Partition: int(m.GetShard()), SourcePartitions: int(m.GetShards()), ShardPartitions: int(m.GetPartitions()),
	}
	partition = int(m.GetPartition())
	if err := s.check(partition); err != nil {
		return s, 0, u, err
	}
	if m.GetNumber() > math.MaxInt32 {
		return s, 0, u, fmt.Errorf("part number %d, must be 0 to %d", m.GetNumber(), math.MaxInt32)
	}
	u.Part = event.Part{
		Source: s.Partition, Incarnation: m.GetIncarnation(), AsOf: m.GetAsOf(),
		Number: int(m.GetNumber()), Last: m.GetLast(),
		ClosedThrough: event.NoTime, DroppedThrough: event.NoTime,
	}
	if m.ClosedThrough != nil {
		u.ClosedThrough = m.GetClosedThrough()
	}
	if m.DroppedThrough != nil {
		u.DroppedThrough = m.GetDroppedThrough()
	}
	items := string(m.GetItems())
	itemEnds, err := ends("item", m.GetItems(), m.GetItemLengths())
	if err != nil {
		return s, 0, u, err
	}
	u.Lists = make([]event.Ranking, len(m.GetLists()))
	for i, l := range m.GetLists() {
		if u.Lists[i], err = l.ranking(items, itemEnds); err != nil {
			return s, 0, u, fmt.Errorf("list %d: %w", i, err)
		}
		u.Lists[i].Revision = u.AsOf
	}
	return s, partition, u, nil
}

// ranking makes a list of its message.
func (l *RankedList) ranking(items string, ends []uint32) (event.Ranking, error) {
	r := event.Ranking{
		ListKey: event.ListKey{Board: l.GetBoard(), By: l.GetBy(), Group: event.Group(l.GetGroup()), Start: l.GetStart()},
		End:     l.GetEnd(), Final: l.GetFinal(), Exact: !l.GetInexact(), MaxError: l.GetMaxError(), Duplicates: l.GetDuplicates(),
	}
	if !utf8.ValidString(r.Board) || !utf8.ValidString(r.By) {
		return r, fmt.Errorf("board %q by %q is not UTF-8", r.Board, r.By)
	}
	if len(l.GetItems()) != len(l.GetScores()) {
		return r, fmt.Errorf("%d items and %d scores", len(l.GetItems()), len(l.GetScores()))
	}
	r.Entries = make([]event.Entry, len(l.GetItems()))
	for i, item := range l.GetItems() {
		if uint(item) >= uint(len(ends)) {
			return r, fmt.Errorf("entry %d is item %d of %d", i, item, len(ends))
		}
		from := uint32(0)
		if item > 0 {
			from = ends[item-1]
		}
		r.Entries[i] = event.Entry{Item: items[from:ends[item]], Score: l.GetScores()[i]}
		if math.IsNaN(r.Entries[i].Score) {
			return r, fmt.Errorf("the score of entry %d is not a number", i)
		}
	}
	return r, nil
}
