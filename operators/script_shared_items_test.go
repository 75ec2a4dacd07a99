package operators

import (
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
)

// TestMergeOfPartsThatShareItems pins the numbers of Rule 4: why the Top-Ks of parts that
// share items can't be merged, and that shards, which share none, can.
func TestMergeOfPartsThatShareItems(t *testing.T) {
	one := map[string]float64{"A": 7, "B": 6, "C": 5}
	two := map[string]float64{"A": 2, "B": 4, "C": 5}
	right := []event.Entry{{Item: "C", Score: 10}, {Item: "B", Score: 10}}
	wrong := []event.Entry{{Item: "B", Score: 10}, {Item: "A", Score: 7}}

	if diff := gocmp.Diff(right, topOf(2, addScores(one, two))); diff != "" {
		t.Errorf("adding the parts up, then cutting (-want +got):\n%s", diff)
	}
	cut := addScores(scoresOf(topOf(2, one)), scoresOf(topOf(2, two)))
	if diff := gocmp.Diff(wrong, topOf(2, cut)); diff != "" {
		t.Errorf("cutting the parts, then adding up (-want +got):\n%s", diff)
	}

	world := &scriptWorld{}
	for _, line := range []string{
		"settings partitions=2 shards=2", "board top measure=sum k=2",
		"event a1 partition=0 at=12:00:00 item=A value=7", "event a2 partition=1 at=12:00:00 item=A value=2",
		"event b1 partition=0 at=12:00:00 item=B value=6", "event b2 partition=1 at=12:00:00 item=B value=4",
		"event c1 partition=0 at=12:00:00 item=C value=5", "event c2 partition=1 at=12:00:00 item=C value=5",
		"flush",
	} {
		if err := runCommand(world, line); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range world.merge.sink {
		if diff := gocmp.Diff(right, list.Entries); diff != "" {
			t.Errorf("through two shards (-want +got):\n%s", diff)
		}
	}
	if len(world.merge.sink) != 1 {
		t.Errorf("%d lists, want 1", len(world.merge.sink))
	}
}

// topOf returns the first k of these scores, by sorting them all.
func topOf(k int, scores map[string]float64) []event.Entry {
	var all []event.Entry
	for item, score := range scores {
		all = append(all, event.Entry{Item: item, Score: score})
	}
	slices.SortFunc(all, event.Top.Compare)
	return all[:min(k, len(all))]
}

func scoresOf(entries []event.Entry) map[string]float64 {
	scores := map[string]float64{}
	for _, e := range entries {
		scores[e.Item] = e.Score
	}
	return scores
}

func addScores(a, b map[string]float64) map[string]float64 {
	sum := maps.Clone(a)
	for item, score := range b {
		sum[item] += score
	}
	return sum
}
