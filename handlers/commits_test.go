package handlers_test

import (
	"testing"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/operators"
)

// What is committed can be read from outside; what is another handler's can't.
func TestParseCommits(t *testing.T) {
	t.Parallel()
	const intake, hop = "watermark:1784541600000,count-from:12,processed-through:20", "published-through:20,closed-through:1784541600000,dropped-through:1784541000000"
	checkpoint, err := handlers.ParseCheckpoint(10, intake)
	if want := (operators.Checkpoint{LowWater: 10, Watermark: 1784541600000, CountFrom: 12, ProcessedThrough: 20}); err != nil || checkpoint != want {
		t.Errorf("%+v, %v", checkpoint, err)
	}
	resume, err := handlers.ParseResume(10, hop)
	if want := (operators.Resume{LowWater: 10, PublishedThrough: 20, ClosedThrough: 1784541600000, DroppedThrough: 1784541000000}); err != nil || resume != want {
		t.Errorf("%+v, %v", resume, err)
	}
	if _, err := handlers.ParseCheckpoint(10, hop); err == nil {
		t.Error("rank's state is taken for the intake's")
	}
	if _, err := handlers.ParseResume(10, intake); err == nil {
		t.Error("the intake's state is taken for rank's")
	}
}
