package wire

import (
	"errors"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
)

// FuzzUpdate: any bytes are either malformed, or an update that comes out the same when
// it is encoded anew, in a message that the plain library can read, too.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte(nil))
	seeds := []*Update{goodMessage()}
	for _, change := range badUpdates() {
		m := goodMessage()
		change(m)
		seeds = append(seeds, m)
	}
	for _, m := range seeds {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for seed := range uint64(8) {
		s, shard, u := randomUpdate(rand.New(rand.NewPCG(seed, 2)))
		u.Cells = u.Cells[:min(len(u.Cells), 10)]
		f.Add(encode(f, newEncoder(f, s), shard, u))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, shard, u, err := DecodeUpdate(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("not ErrMalformed: %v", err)
			}
			return
		}
		again := encode(t, newEncoder(t, s), shard, u)
		sender, shardAgain, got := decode(t, again)
		if sender != s || shardAgain != shard {
			t.Fatalf("from %+v to shard %d, want %+v, %d", sender, shardAgain, s, shard)
		}
		if d := different(got, u); d != "" {
			t.Fatal(d)
		}
		if err := proto.Unmarshal(again, new(Update)); err != nil {
			t.Fatal(err)
		}
		bound := s.HeadSize()
		for i := range u.Cells {
			bound += CellSize(&u.Cells[i])
		}
		if len(again) > bound {
			t.Fatalf("%d bytes, but HeadSize and CellSize say at most %d", len(again), bound)
		}
	})
}
