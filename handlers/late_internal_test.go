package handlers

import (
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

// TestLateCountsItsOwnGeneration gives late events of several generations to handlers of each.
func TestLateCountsItsOwnGeneration(t *testing.T) {
	codec, err := JSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	for letters := range uint32(3) {
		for own := range uint32(3) {
			l := &LateCounts{config: LateConfig{Codec: codec, Generation: own}}
			_, ok, err := l.lateOf(lateRecord(letters), codec.New())
			if err != nil || ok != (letters == own) {
				t.Errorf("generation %d counts a letter of %d: %v (%v)", own, letters, ok, err)
			}
		}
	}
}

func lateRecord(generation uint32) *microbatch.Record {
	letter := deadletters.Letter{
		Reason: event.Late, Topic: "events", Value: []byte(`{"event_id":"1","item_id":"a","timestamp":"2026-09-18T14:00:00Z","region":"eu"}`),
		Watermark: event.NoTime, EventTime: event.NoTime, Pane: 0, Generation: generation,
	}
	msg := letter.Message()
	r := &microbatch.Record{Value: msg.Payload}
	for name, value := range msg.Metadata {
		r.Headers = append(r.Headers, microbatch.Header{Name: []byte(name), Value: []byte(value)})
	}
	return r
}
