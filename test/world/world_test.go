package world_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/sim"
	"github.com/millrank/millrank/test/world"
)

// TestProducedTwice: where a broker has records twice, as after a producer's repetition, the oracle decides what the topic holds.
func TestProducedTwice(t *testing.T) {
	w := world.New(t, world.Kfake(t, 1).Brokers(), world.LiveSettings(), 4, 1)
	logs := w.LiveLogs(world.NewRand(t, rand.Uint64()%1_000_000).Uint64(), 2000)
	w.ProducePart(logs, 0, 2)
	again := w.ReadAll(w.Topics.Events, w.Partitions)[2]
	twice := slices.Concat(w.Logs[2], w.Logs[2][10:30])
	for _, r := range again[10:30] {
		if err := w.Client.ProduceSync(t.Context(), &kgo.Record{Topic: r.Topic, Partition: 2, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	w.ProducePart(logs, 1, 2)
	want := slices.Concat(twice, logs[2][len(logs[2])/2:])
	if len(w.Logs[2]) != len(want) || w.LastOffset(2) != int64(len(want)-1) {
		t.Fatalf("%d records up to %d, want %d", len(w.Logs[2]), w.LastOffset(2), len(want))
	}
	for i, r := range w.Logs[2] {
		want[i].Offset = int64(i)
		if r.Kind != want[i].Kind || r.Kind != sim.Malformed && (r.EventID != want[i].EventID || r.At != want[i].At) || r.Time != want[i].Time {
			t.Fatalf("record %d is %+v, want %+v", i, r, want[i])
		}
	}
}
