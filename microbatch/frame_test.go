package microbatch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrank/millrank/microbatch"
)

// records draws what Kafka may hold: offsets with gaps, timestamps in any order or missing, keys and
// values that are null, empty or long, headers with and without values, names twice.
func records(r *rand.Rand) []microbatch.Record {
	some := func() []byte {
		switch r.IntN(5) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	offset := r.Int64N(1 << 40)
	all := make([]microbatch.Record, r.IntN(40))
	for i := range all {
		all[i] = microbatch.Record{Offset: offset, Time: r.Int64N(1 << 45), Key: some(), Value: some()}
		offset += 1 + []int64{0, 0, 0, 1, 1000, 1 << 33}[r.IntN(6)]
		if r.IntN(5) == 0 {
			all[i].Time = microbatch.NoTimestamp
		}
		for range r.IntN(3) * r.IntN(4) {
			name := []byte{}
			if r.IntN(4) > 0 {
				name = []byte{'a' + byte(r.IntN(3))}
			}
			all[i].Headers = append(all[i].Headers, microbatch.Header{Name: name, Value: some()})
		}
	}
	return all
}

// equal compares all, null and empty too.
func equal(a, b microbatch.Record) bool {
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	return a.Offset == b.Offset && a.Time == b.Time && same(a.Key, b.Key) && same(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(a, b microbatch.Header) bool { return same(a.Name, b.Name) && same(a.Value, b.Value) })
}

// TestFrame: what is written is read.
func TestFrame(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		want := records(r)
		b, err := microbatch.Open(microbatch.Encode(want...))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if b.Count != len(want) || len(want) > 0 && b.Position != want[0].Offset || b.LogEnd != -1 || b.Quiet || b.Unsure || b.Leaving {
			t.Fatalf("seed %d: %d records from %d on, want %d", seed, b.Count, b.Position, len(want))
		}
		var got []microbatch.Record
		var next microbatch.Record // its headers are used again
		for b.Next(&next) {
			record := next
			record.Headers = append([]microbatch.Header(nil), next.Headers...)
			got = append(got, record)
		}
		if b.Err() != nil || b.Next(&next) {
			t.Fatalf("seed %d: it ends with %v", seed, b.Err())
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d records, want %d", seed, len(got), len(want))
		}
		for i := range want {
			if !equal(got[i], want[i]) {
				t.Fatalf("seed %d: record %d is %+v, want %+v", seed, i, got[i], want[i])
			}
		}
	}
}

// TestFrameLimits: the greatest and smallest numbers come back, too.
func TestFrameLimits(t *testing.T) {
	t.Parallel()
	want := []microbatch.Record{
		{Offset: 0, Time: math.MaxInt64, Value: make([]byte, 1<<20)},
		{Offset: math.MaxInt64 - 1, Time: microbatch.NoTimestamp, Key: make([]byte, 127)},
		{Offset: math.MaxInt64, Time: 0, Key: make([]byte, 128)},
	}
	b, err := microbatch.Open(microbatch.Encode(want...))
	if err != nil {
		t.Fatal(err)
	}
	var r microbatch.Record
	for i := range want {
		if !b.Next(&r) || !equal(r, want[i]) {
			t.Errorf("record %d: offset %d, time %d, %d and %d bytes (%v)", i, r.Offset, r.Time, len(r.Key), len(r.Value), b.Err())
		}
		r = microbatch.Record{}
	}
}

// TestDamagedFrame: a frame that is cut off, at whatever byte, is noticed, and what can't be a frame
// isn't opened.
func TestDamagedFrame(t *testing.T) {
	t.Parallel()
	frame := microbatch.Encode(
		microbatch.Record{Offset: 7, Time: 5, Key: []byte("key"), Value: []byte("value"), Headers: []microbatch.Header{{Name: []byte("n"), Value: []byte("v")}}},
		microbatch.Record{Offset: 9, Time: 6, Value: []byte("value")},
	)
	for n := range frame {
		b, err := microbatch.Open(frame[:n:n])
		if err == nil {
			var r microbatch.Record
			for b.Next(&r) {
			}
			err = b.Err()
		}
		if !errors.Is(err, microbatch.ErrFrame) {
			t.Errorf("cut off at byte %d: %v", n, err)
		}
	}
	for name, change := range map[string]func([]byte){
		"another magic":    func(b []byte) { b[0]++ },
		"too many records": func(b []byte) { binary.LittleEndian.PutUint32(b[4:], math.MaxUint32) },
		"one record more":  func(b []byte) { b[4]++ },
		"one record fewer": func(b []byte) { b[4]-- },
	} {
		damaged := append([]byte(nil), frame...)
		change(damaged)
		b, err := microbatch.Open(damaged)
		if err == nil {
			var r microbatch.Record
			for b.Next(&r) {
			}
			err = b.Err()
		}
		if !errors.Is(err, microbatch.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFrameAllocations: reading a frame allocates nothing for a record.
func TestFrameAllocations(t *testing.T) {
	var all []microbatch.Record
	for i := range 1000 {
		all = append(all, microbatch.Record{
			Offset: int64(i), Time: int64(i), Key: []byte("key"), Value: []byte(strings.Repeat("v", 200)),
			Headers: []microbatch.Header{{Name: []byte("a"), Value: []byte("b")}, {Name: []byte("a")}},
		})
	}
	frame := microbatch.Encode(all...)
	var r microbatch.Record
	read := func() {
		b, err := microbatch.Open(frame)
		if err != nil {
			t.Fatal(err)
		}
		for b.Next(&r) {
		}
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
	}
	read() // the headers grow once
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations for 1000 records", n)
	}
}

// FuzzOpen: nothing that is no frame does harm, and what is one comes back the same.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("MRB1"))
	f.Add(microbatch.Encode())
	f.Add(microbatch.Encode(microbatch.Record{Offset: 5, Time: -1, Key: []byte{}, Headers: []microbatch.Header{{}}}))
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		f.Add(microbatch.Encode(records(r)...))
	}
	f.Add(append(microbatch.Encode(microbatch.Record{}), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := microbatch.Open(payload)
		if err != nil {
			if !errors.Is(err, microbatch.ErrFrame) {
				t.Errorf("%v is not ErrFrame", err)
			}
			return
		}
		var all []microbatch.Record
		var r microbatch.Record
		for b.Next(&r) {
			all = append(all, r)
			r.Headers = nil
		}
		if b.Err() != nil {
			if !errors.Is(b.Err(), microbatch.ErrFrame) {
				t.Errorf("%v is not ErrFrame", b.Err())
			}
			return
		}
		if len(all) != b.Count {
			t.Fatalf("%d records, %d announced", len(all), b.Count)
		}
		again, err := microbatch.Open(microbatch.Encode(all...))
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if !again.Next(&r) || !equal(r, all[i]) {
				t.Fatalf("record %d: %+v, want %+v", i, r, all[i])
			}
			r.Headers = nil
		}
	})
}
