package wire

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millrank/millrank/event"
)

// rankSender is shard 1 of 3, which speaks to 4 partitions.
func rankSender() Sender {
	return Sender{Source: "eu/events", Generation: 3, Partition: 1, SourcePartitions: 3, ShardPartitions: 4}
}

// randomRankings returns a part with lists that share items, and have odd ones.
func randomRankings(rng *rand.Rand) event.Rankings {
	texts := []string{"", "a", "post-1", "post-2", "'; DROP", "\xff\x00", "日本", strings.Repeat("long", 50)}
	text := func() string { return texts[rng.IntN(len(texts))] }
	when := func() int64 {
		if rng.IntN(4) == 0 {
			return event.NoTime
		}
		return rng.Int64N(1<<41) - 1<<40
	}
	u := event.Rankings{Part: event.Part{
		Source: 1, Incarnation: rng.Uint64(), AsOf: rng.Int64N(1 << 40), Number: rng.IntN(3), Last: rng.IntN(2) == 0,
		ClosedThrough: when(), DroppedThrough: when(),
	}}
	u.Lists = []event.Ranking{}
	for range rng.IntN(6) {
		r := event.Ranking{
			ListKey: event.ListKey{Board: "board", By: "region", Group: event.NewGroup(text()), Start: rng.Int64N(1<<41) - 1<<40},
			End:     rng.Int64N(1 << 41), Final: rng.IntN(2) == 0, Exact: rng.IntN(2) == 0, Duplicates: rng.Int64N(5), Revision: u.AsOf,
			Entries: []event.Entry{},
		}
		if !r.Exact {
			r.MaxError = []float64{0, 0.5, 1e300, math.Inf(1)}[rng.IntN(4)]
		}
		for range rng.IntN(20) {
			r.Entries = append(r.Entries, event.Entry{Item: text(), Score: []float64{0, -1.5, 7, 1e18, math.MaxFloat64}[rng.IntN(5)]})
		}
		u.Lists = append(u.Lists, r)
	}
	return u
}

func encodeRankings(t testing.TB, e *RankingsEncoder, partition int, u event.Rankings) []byte {
	t.Helper()
	b, err := e.Append(nil, partition, u.Part, u.Lists)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRankings: what is encoded comes out as it was, by an encoder that is used again, and within the bound that Split is given.
func TestRankings(t *testing.T) {
	e, err := NewRankingsEncoder(rankSender())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		want := randomRankings(rng)
		partition := rng.IntN(4)
		b := encodeRankings(t, e, partition, want)
		sender, at, got, err := DecodeRankings(b)
		if err != nil || sender != rankSender() || at != partition {
			t.Fatalf("seed %d: from %+v to partition %d, want %d: %v", seed, sender, at, partition, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\n%+v\nwant\n%+v", seed, got, want)
		}
		bound := sender.HeadSize()
		for i := range want.Lists {
			bound += RankingSize(&want.Lists[i])
		}
		if len(b) > bound {
			t.Fatalf("seed %d: %d bytes, but HeadSize and RankingSize say at most %d", seed, len(b), bound)
		}
	}
}

// TestRankingsKeepNothing: what is decoded does not change with the bytes it came from, nor what is encoded with the lists.
func TestRankingsKeepNothing(t *testing.T) {
	e, err := NewRankingsEncoder(rankSender())
	if err != nil {
		t.Fatal(err)
	}
	want := randomRankings(rand.New(rand.NewPCG(3, 3)))
	b := encodeRankings(t, e, 0, want)
	_, _, got, err := DecodeRankings(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	runtime.GC()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}

// TestBadRankings: what can't be right is refused, with what is wrong.
func TestBadRankings(t *testing.T) {
	good := func() *Rankings {
		return &Rankings{
			Source: "eu/events", Shard: 1, Shards: 3, Partitions: 4, Partition: 2, Last: true,
			Items: []byte("abc"), ItemLengths: []uint32{1, 2},
			Lists: []*RankedList{{Board: "b", Items: []uint32{0, 1}, Scores: []float64{2, 1}}},
		}
	}
	for name, test := range map[string]struct {
		change func(*Rankings)
		want   string
	}{
		"shard":          {func(m *Rankings) { m.Shard = 3 }, "partition 3 of 3"},
		"partition":      {func(m *Rankings) { m.Partition = 4 }, "shard 4 of 4"},
		"part number":    {func(m *Rankings) { m.Number = math.MaxUint32 }, "part number"},
		"item lengths":   {func(m *Rankings) { m.ItemLengths = []uint32{1, 3} }, "only 2 are left"},
		"item bytes":     {func(m *Rankings) { m.ItemLengths = []uint32{1} }, "there are 3"},
		"position":       {func(m *Rankings) { m.Lists[0].Items[1] = 2 }, "entry 1 is item 2 of 2"},
		"scores":         {func(m *Rankings) { m.Lists[0].Scores = []float64{1} }, "2 items and 1 scores"},
		"not a number":   {func(m *Rankings) { m.Lists[0].Scores[1] = math.NaN() }, "not a number"},
		"nothing at all": {func(m *Rankings) { m.Reset() }, "source partitions"},
	} {
		m := good()
		test.change(m)
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := DecodeRankings(b); !errors.Is(err, ErrMalformedRankings) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, test.want)
		}
	}
	for _, b := range [][]byte{{0xff}, []byte("hello"), {0xf2, 0x01, 0x7f}} {
		if _, _, _, err := DecodeRankings(b); !errors.Is(err, ErrMalformedRankings) {
			t.Errorf("%x: the error is %v", b, err)
		}
	}
}

// TestRankingsEncoderRefuses: what would be read as something else is not written.
func TestRankingsEncoderRefuses(t *testing.T) {
	if _, err := NewRankingsEncoder(Sender{Source: "\xff", SourcePartitions: 1, ShardPartitions: 1}); err == nil {
		t.Error("a source that is not UTF-8 is taken")
	}
	e, err := NewRankingsEncoder(rankSender())
	if err != nil {
		t.Fatal(err)
	}
	part := event.Part{Source: 1}
	nan := []event.Ranking{{Entries: []event.Entry{{Item: "a", Score: math.NaN()}}}}
	for name, err := range map[string]error{
		"partition": second(e.Append(nil, 4, part, nil)),
		"shard":     second(e.Append(nil, 0, event.Part{Source: 2}, nil)),
		"number":    second(e.Append(nil, 0, event.Part{Source: 1, Number: -1}, nil)),
		"score":     second(e.Append(nil, 0, part, nan)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ []byte, err error) error { return err }

// FuzzRankings: any bytes are either malformed, or rankings that come out the same when they are encoded anew.
func FuzzRankings(f *testing.F) {
	e, err := NewRankingsEncoder(rankSender())
	if err != nil {
		f.Fatal(err)
	}
	for seed := range uint64(8) {
		f.Add(encodeRankings(f, e, 1, randomRankings(rand.New(rand.NewPCG(seed, 2)))))
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, partition, u, err := DecodeRankings(b)
		if err != nil {
			if !errors.Is(err, ErrMalformedRankings) {
				t.Fatalf("not ErrMalformedRankings: %v", err)
			}
			return
		}
		e, err := NewRankingsEncoder(s)
		if err != nil {
			t.Fatal(err)
		}
		sender, at, again, err := DecodeRankings(encodeRankings(t, e, partition, u))
		if err != nil || sender != s || at != partition || !reflect.DeepEqual(again, u) {
			t.Fatalf("%+v from %+v to %d, want %+v from %+v to %d: %v", again, sender, at, u, s, partition, err)
		}
	})
}
