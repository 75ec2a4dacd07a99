package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millrank/millrank/event"
)

func testSender() Sender {
	return Sender{Source: "eu/events", Generation: 3, Partition: 5, SourcePartitions: 12, ShardPartitions: 4}
}

func newEncoder(t testing.TB, s Sender) *Encoder {
	t.Helper()
	e, err := NewEncoder(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// encode returns the bytes of one update.
func encode(t testing.TB, e *Encoder, shard int, u event.Update) []byte {
	t.Helper()
	b, err := e.Append(nil, shard, u.Part, u.Cells)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode decodes what must be an update.
func decode(t testing.TB, b []byte) (Sender, int, event.Update) {
	t.Helper()
	s, shard, u, err := DecodeUpdate(b)
	if err != nil {
		t.Fatal(err)
	}
	return s, shard, u
}

// different says what differs between two updates, or "". Nil and empty are the same.
func different(a, b event.Update) string {
	if a.Part != b.Part {
		return fmt.Sprintf("part %+v, want %+v", a.Part, b.Part)
	}
	if len(a.Cells) != len(b.Cells) {
		return fmt.Sprintf("%d cells, want %d", len(a.Cells), len(b.Cells))
	}
	for i := range a.Cells {
		c, d := a.Cells[i], b.Cells[i]
		same := bytes.Equal(c.Group, d.Group) && bytes.Equal(c.Item, d.Item)
		c.Group, c.Item, d.Group, d.Item = nil, nil, nil, nil
		if !same || fmt.Sprint(c) != fmt.Sprint(d) {
			return fmt.Sprintf("cell %d: %+v, want %+v", i, a.Cells[i], b.Cells[i])
		}
	}
	return ""
}

// randomInt64 draws from all of int64, small numbers and ends more often.
func randomInt64(rng *rand.Rand) int64 {
	switch rng.IntN(4) {
	case 0:
		return []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}[rng.IntN(6)]
	case 1:
		return rng.Int64N(300) - 100
	}
	return int64(rng.Uint64()) >> rng.IntN(64)
}

func randomBytes(rng *rand.Rand, lengthMax int) []byte {
	b := make([]byte, rng.IntN(lengthMax+1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// randomUpdate draws a sender, a shard and an update. Some columns are plain in all cells.
func randomUpdate(rng *rand.Rand) (Sender, int, event.Update) {
	s := Sender{
		Source: strings.Repeat("é/x", rng.IntN(4)), Generation: rng.Uint32() >> rng.IntN(32),
		SourcePartitions: 1 + rng.IntN(math.MaxInt32>>rng.IntN(31)), ShardPartitions: 1 + rng.IntN(math.MaxInt32>>rng.IntN(31)),
	}
	s.Partition = rng.IntN(s.SourcePartitions)
	u := event.Update{Part: event.Part{
		Source: s.Partition, Incarnation: rng.Uint64() >> rng.IntN(64), AsOf: randomInt64(rng),
		Number: rng.IntN(math.MaxInt32 >> rng.IntN(31)), Last: rng.IntN(2) == 0,
		ClosedThrough: randomInt64(rng), DroppedThrough: randomInt64(rng), // NoTime, too
		Idle: rng.IntN(2) == 0, IdleFor: randomInt64(rng),
	}}
	size := []int{0, 1, 10, 100, 1000}[rng.IntN(5)]
	items, groups, panes := 1+rng.IntN(size+1), 1+rng.IntN(20), 1+rng.IntN(20)
	pool := make([]event.Cell, max(items, groups, panes))
	for i := range pool {
		pool[i] = event.Cell{Pane: randomInt64(rng), Group: randomBytes(rng, 8), Item: randomBytes(rng, 1<<rng.IntN(9))}
	}
	plain := rng.IntN(16)
	for range size {
		c := event.Cell{
			Pane: pool[rng.IntN(panes)].Pane, Group: pool[rng.IntN(groups)].Group, Item: pool[rng.IntN(items)].Item,
			Count: randomInt64(rng), Min: 1, Max: 1,
		}
		c.Sum = c.Count
		if plain&1 == 0 {
			c.Sum = randomInt64(rng)
		}
		if plain&2 == 0 {
			c.Min = randomInt64(rng)
		}
		if plain&4 == 0 {
			c.Max = randomInt64(rng)
		}
		if plain&8 == 0 {
			c.Duplicates = randomInt64(rng)
		}
		u.Cells = append(u.Cells, c)
	}
	return s, rng.IntN(s.ShardPartitions), u
}

// TestUpdateRoundTrip: random updates come out as they went in, are within their bound,
// and are Protobuf to the plain library, whose encoding is as long.
func TestUpdateRoundTrip(t *testing.T) {
	for seed := range uint64(1500) {
		s, shard, u := randomUpdate(rand.New(rand.NewPCG(seed, 1)))
		e := newEncoder(t, s)
		b := encode(t, e, shard, u)
		gotSender, gotShard, got := decode(t, b)
		if gotSender != s || gotShard != shard {
			t.Fatalf("seed %d: from %+v to shard %d, want %+v, %d", seed, gotSender, gotShard, s, shard)
		}
		if d := different(got, u); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		bound := s.HeadSize()
		for i := range u.Cells {
			bound += CellSize(&u.Cells[i])
		}
		if len(b) > bound {
			t.Fatalf("seed %d: %d bytes, but HeadSize and CellSize say at most %d", seed, len(b), bound)
		}
		var plain Update
		if err := proto.Unmarshal(b, &plain); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !proto.Equal(&plain, &e.message) || proto.Size(&plain) != len(b) {
			t.Fatalf("seed %d: the plain library reads something else", seed)
		}
	}
}

// TestUpdateReuse: one encoder for updates large and small gives the bytes that a new one gives.
func TestUpdateReuse(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	s := testSender()
	reused := newEncoder(t, s)
	b := []byte("head")
	for i := range 300 {
		_, _, u := randomUpdate(rng)
		u.Source = s.Partition
		from := len(b)
		var err error
		if b, err = reused.Append(b, i%4, u.Part, u.Cells); err != nil {
			t.Fatal(err)
		}
		if want := encode(t, newEncoder(t, s), i%4, u); !bytes.Equal(b[from:], want) {
			t.Fatalf("update %d differs from a new encoder's", i)
		}
	}
	if !bytes.HasPrefix(b, []byte("head")) {
		t.Error("what stood in dst was overwritten")
	}
}

// TestUpdateHeadSize: the largest head and the greatest cell fit their bounds.
func TestUpdateHeadSize(t *testing.T) {
	s := Sender{Source: strings.Repeat("x", 100000), Generation: math.MaxUint32, Partition: math.MaxInt32 - 1, SourcePartitions: math.MaxInt32, ShardPartitions: math.MaxInt32}
	part := event.Part{
		Source: s.Partition, Incarnation: math.MaxUint64, AsOf: -1, Number: math.MaxInt32, Last: true,
		ClosedThrough: -1, DroppedThrough: -1, Idle: true, IdleFor: -1,
	}
	e := newEncoder(t, s)
	if n := len(encode(t, e, s.ShardPartitions-1, event.Update{Part: part})); n > s.HeadSize() {
		t.Errorf("a head of %d bytes, HeadSize says %d", n, s.HeadSize())
	}
	for _, n := range []int{1, 2, 1000} {
		u := event.Update{Part: part}
		bound := s.HeadSize()
		for i := range n {
			c := event.Cell{
				Pane: -1 - int64(i), Group: []byte{byte(i), byte(i >> 8)}, Item: fmt.Appendf(nil, "%d", i),
				Count: -1, Sum: math.MinInt64, Min: math.MinInt64, Max: math.MaxInt64, Duplicates: -1,
			}
			u.Cells = append(u.Cells, c)
			bound += CellSize(&c)
		}
		if got := len(encode(t, e, s.ShardPartitions-1, u)); got > bound {
			t.Errorf("%d cells: %d bytes, at most %d", n, got, bound)
		}
	}
}

// TestUpdateOwnership: neither side keeps what the other one can change.
func TestUpdateOwnership(t *testing.T) {
	u := event.Update{Part: event.Part{Source: 5, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime}}
	for i := range 3 {
		u.Cells = append(u.Cells, event.Cell{Group: []byte("g"), Item: []byte{'a' + byte(i)}, Count: 2, Sum: 2, Min: 1, Max: 1})
	}
	b := encode(t, newEncoder(t, testSender()), 0, u)
	_, _, got := decode(t, b)
	for i := range b {
		b[i] = 0xff
	}
	_ = append(got.Cells[0].Item, "over the next item"...)
	_ = append(got.Cells[0].Group, "over the next group"...)
	if d := different(got, u); d != "" {
		t.Error(d)
	}
}

// TestUpdateLeftOut: a column is left out when all its cells are plain, and only then.
func TestUpdateLeftOut(t *testing.T) {
	plain := event.Cell{Pane: 60000, Item: []byte("i"), Count: 9, Sum: 9, Min: 1, Max: 1}
	for name, change := range map[string]func(c *event.Cell){
		"":           func(*event.Cell) {},
		"sums":       func(c *event.Cell) { c.Sum = 8 },
		"minima":     func(c *event.Cell) { c.Min = 0 },
		"maxima":     func(c *event.Cell) { c.Max = 2 },
		"duplicates": func(c *event.Cell) { c.Duplicates = 1 },
	} {
		cells := slices.Repeat([]event.Cell{plain}, 3)
		change(&cells[1])
		var m Update
		if err := proto.Unmarshal(encode(t, newEncoder(t, testSender()), 1, event.Update{Part: event.Part{Source: 5}, Cells: cells}), &m); err != nil {
			t.Fatal(err)
		}
		for column, entries := range map[string]int{
			"sums": len(m.GetSums()), "minima": len(m.GetMinima()), "maxima": len(m.GetMaxima()), "duplicates": len(m.GetDuplicates()),
		} {
			if there := entries > 0; there != (column == name) {
				t.Errorf("where %q is not plain: column %s has %d entries", name, column, entries)
			}
		}
	}
}

// TestUpdateNotEncoded: what has no message is an error that names it, and dst stays.
func TestUpdateNotEncoded(t *testing.T) {
	for _, tt := range []struct {
		change func(s *Sender)
		want   string
	}{
		{func(s *Sender) { s.Source = "\xff" }, `source "\xff" is not UTF-8`},
		{func(s *Sender) { s.SourcePartitions = 0 }, "0 source partitions"},
		{func(s *Sender) { s.SourcePartitions = math.MaxInt32 + 1 }, "2147483648 source partitions"},
		{func(s *Sender) { s.Partition = 12 }, "partition 12 of 12"},
		{func(s *Sender) { s.Partition = -1 }, "partition -1 of 12"},
		{func(s *Sender) { s.ShardPartitions = 0 }, "0 shard partitions"},
		{func(s *Sender) { s.ShardPartitions = math.MaxInt32 + 1 }, "2147483648 shard partitions"},
	} {
		s := testSender()
		tt.change(&s)
		if _, err := NewEncoder(s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewEncoder: %v, want %q", err, tt.want)
		}
	}
	e := newEncoder(t, testSender())
	for _, tt := range []struct {
		shard int
		part  event.Part
		want  string
	}{
		{4, event.Part{Source: 5}, "shard 4 of 4"},
		{-1, event.Part{Source: 5}, "shard -1 of 4"},
		{0, event.Part{Source: 6}, "a part of partition 6, from the sender of partition 5"},
		{0, event.Part{Source: 5, Number: -1}, "part number -1"},
		{0, event.Part{Source: 5, Number: math.MaxInt32 + 1}, "part number 2147483648"},
	} {
		b, err := e.Append([]byte("dst"), tt.shard, tt.part, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrMalformed) || string(b) != "dst" {
			t.Errorf("Append: %q, %v, want %q", b, err, tt.want)
		}
	}
}
