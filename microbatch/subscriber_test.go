package microbatch_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/microbatch"
)

// TestBatches: all records come, in order, many in a message; and what a handler asks for is committed.
func TestBatches(t *testing.T) {
	each(t, 3, func(t *testing.T, k *kafka, strategy string) {
		for p := range int32(3) {
			k.produce(t, p, 0, 5000)
		}
		m := join(t, k, k.settings(strategy), committing)
		m.untilAll(t, 15000)
		m.read(func() {
			for p := range int32(3) {
				if err := same(m.values(p), values(p, 0, 5000)); err != nil {
					t.Errorf("partition %d: %v", p, err)
				}
			}
			if len(m.batches) > 300 {
				t.Errorf("%d batches for 15000 records", len(m.batches))
			}
		})
		for p := range int32(3) {
			eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, p); return offset == 5000 })
		}
	})
}

// TestOtherStrategies: the other ways of assigning partitions work, too.
func TestOtherStrategies(t *testing.T) {
	for _, strategy := range []string{"range", "roundrobin"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 4, 1)
			for p := range int32(4) {
				k.produce(t, p, 0, 10)
			}
			first := join(t, k, k.settings(strategy), committing)
			first.untilAll(t, 40)
			second := join(t, k, k.settings(strategy), committing)
			second.untilOwns(t, 2)
			first.untilOwns(t, 2)
			first.leave(t)
			second.untilOwns(t, 4)
			second.read(func() {
				if n := second.count(); n > 0 {
					t.Errorf("%d records came again", n)
				}
			})
		})
	}
}

// TestRecords: records come as they are in Kafka.
func TestRecords(t *testing.T) {
	eachKafka(t, 1, func(t *testing.T, k *kafka) {
		at := time.UnixMilli(1_700_000_000_123)
		produced := []*kgo.Record{
			{Key: []byte("key"), Value: []byte("value"), Timestamp: at},
			{Timestamp: at.Add(-time.Hour)}, // out of order; no key, a tombstone
			{Key: []byte{}, Value: []byte{}, Timestamp: time.UnixMilli(0)},
			{Value: []byte{0, 0xff, '\n'}, Timestamp: at, Headers: []kgo.RecordHeader{
				{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "", Value: nil}, {Key: "b", Value: []byte{}},
			}},
		}
		if err := k.client.ProduceSync(t.Context(), produced...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		m := join(t, k, k.settings("cooperative-sticky"), ack)
		m.untilAll(t, len(produced))
		m.leave(t)
		var got []microbatch.Record
		for _, d := range m.batches {
			b, err := microbatch.Open(d.message.Payload)
			if err != nil {
				t.Fatal(err)
			}
			var r microbatch.Record
			for b.Next(&r) {
				got = append(got, r)
				r.Headers = nil
			}
		}
		header := func(name, value string) microbatch.Header {
			return microbatch.Header{Name: []byte(name), Value: []byte(value)}
		}
		want := []microbatch.Record{
			{Offset: 0, Key: []byte("key"), Value: []byte("value"), Time: at.UnixMilli()},
			{Offset: 1, Time: at.Add(-time.Hour).UnixMilli()},
			{Offset: 2, Key: []byte{}, Value: []byte{}, Time: 0},
			{Offset: 3, Value: []byte{0, 0xff, '\n'}, Time: at.UnixMilli(), Headers: []microbatch.Header{
				header("a", "1"), header("a", "2"), {Name: []byte{}, Value: nil}, header("b", ""),
			}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
}
