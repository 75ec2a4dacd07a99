package microbatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/millrank/millrank/microbatch"
)

// TestReadPartition: everything from the log's start to its end, in order, outside of any group.
func TestReadPartition(t *testing.T) {
	t.Parallel()
	k := fake(t, 2, 1)
	connection := k.settings("sticky").Connection
	read := func(partition int32, take func(microbatch.Record) error) error {
		return microbatch.ReadPartition(t.Context(), connection, k.topic, partition, take)
	}
	never := func(microbatch.Record) error {
		t.Error("a record of an empty partition")
		return nil
	}
	if err := read(0, never); err != nil {
		t.Error(err)
	}
	k.produce(t, 0, 0, 5000)
	k.deleteRecords(t, 0, 1000)
	next := int64(1000)
	if err := read(0, func(r microbatch.Record) error {
		if r.Offset != next || len(r.Value) == 0 {
			t.Fatalf("offset %d with %q, want %d", r.Offset, r.Value, next)
		}
		next++
		return nil
	}); err != nil || next != 5000 {
		t.Errorf("read up to %d: %v", next, err)
	}
	if err := read(1, never); err != nil {
		t.Error(err)
	}
	k.deleteRecords(t, 0, 5000)
	if err := read(0, never); err != nil {
		t.Error(err)
	}
}

// TestReadPartitionEnds: it ends with what take says, with its context, and where there is nothing to be read.
func TestReadPartitionEnds(t *testing.T) {
	t.Parallel()
	k := fake(t, 1, 1)
	k.produce(t, 0, 0, 100)
	connection := k.settings("sticky").Connection
	enough := errors.New("enough")
	taken := 0
	if err := microbatch.ReadPartition(t.Context(), connection, k.topic, 0, func(microbatch.Record) error {
		if taken++; taken == 10 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) || taken != 10 {
		t.Errorf("%d taken: %v", taken, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	taken = 0
	err := microbatch.ReadPartition(ctx, connection, k.topic, 0, func(microbatch.Record) error {
		if taken++; taken == 1 {
			cancel()
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after %d: %v", taken, err)
	}
	if err := microbatch.ReadPartition(t.Context(), connection, k.topic, 7, func(microbatch.Record) error { return nil }); err == nil {
		t.Error("a partition that isn't there is read")
	}
}
