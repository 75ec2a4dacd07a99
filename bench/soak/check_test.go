package main

import (
	"slices"
	"testing"

	"github.com/millrank/millrank/event"
)

// TestListDiffers: whatever is wrong with a list is seen.
func TestListDiffers(t *testing.T) {
	l := list{entries: []event.Entry{{Item: "b", Score: 2}, {Item: "a", Score: 1}}, duplicates: 3}
	good := slices.Clone(l.entries)
	for name, c := range map[string]struct {
		entries             []event.Entry
		there, final, exact bool
		duplicates          string
		want                string
	}{
		"right":           {good, true, true, true, "3", ""},
		"missing":         {nil, false, false, false, "", "it isn't there"},
		"interim":         {good, true, false, true, "3", "it isn't final"},
		"not exact":       {good, true, true, false, "3", "it says that it isn't exact"},
		"duplicates":      {good, true, true, true, "2", "2 duplicates, want 3"},
		"another score":   {[]event.Entry{{Item: "b", Score: 2}, {Item: "a", Score: 2}}, true, true, true, "3", "entry 2 is {a 2}, want {a 1}"},
		"another order":   {[]event.Entry{good[1], good[0]}, true, true, true, "3", "entry 1 is {a 1}, want {b 2}"},
		"an entry short":  {good[:1], true, true, true, "3", "1 entries, want 2"},
		"an entry beside": {append(slices.Clone(good), event.Entry{Item: "c"}), true, true, true, "3", "3 entries, want 2"},
	} {
		if got := l.differs(c.entries, c.there, c.final, c.exact, c.duplicates); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestLettersDiffer: repeats don't matter, nor the order; another record, another reason, one too many or too few do.
func TestLettersDiffer(t *testing.T) {
	type letter struct {
		reason    string
		partition int32
		offset    int64
	}
	all := []letter{{"late", 0, 5}, {"late", 1, 5}, {"future", 0, 1_000_000}, {"malformed", 2, 64}}
	want := map[event.Decision]*letters{event.Late: {}, event.Future: {}, event.Malformed: {}}
	want[event.Late].add(0, 5)
	want[event.Late].add(1, 5)
	want[event.Future].add(0, 1_000_000)
	want[event.Malformed].add(2, 64)
	differs := func(letters ...letter) string {
		s := newSums()
		for _, l := range letters {
			s.add(l.reason, l.partition, l.offset)
		}
		return s.differs(want)
	}
	if text := differs(all...); text != "" {
		t.Error(text)
	}
	if text := differs(all[3], all[2], all[3], all[1], all[0], all[0]); text != "" {
		t.Error(text)
	}
	for name, bad := range map[string][]letter{
		"one short":        all[:3],
		"another record":   {all[0], {"late", 1, 6}, all[2], all[3]},
		"partition":        {all[0], {"late", 2, 5}, all[2], all[3]},
		"another reason":   {all[0], {"future", 1, 5}, all[2], all[3]},
		"one beside":       append(slices.Clone(all), letter{"late", 7, 7}),
		"a reason unknown": append(slices.Clone(all), letter{"lost", 7, 7}),
	} {
		if differs(bad...) == "" {
			t.Errorf("%s: no difference", name)
		}
	}
}

// TestPlan: the seed decides, no process comes first, and each kind comes before one comes again.
func TestPlan(t *testing.T) {
	c := defaults()
	one, other := newPlan(c), newPlan(c)
	kinds := map[string]int{}
	for i := range 3 * len(faultKinds()) {
		f, kind := one.next()
		same, _ := other.next()
		if f != same {
			t.Fatalf("the same seed gives %v and %v", f, same)
		}
		if kind.process != (f.Slot > 0) || f.Slot >= c.Processes || f.Length < kind.from || f.Length > kind.until {
			t.Errorf("%v of %+v", f, kind)
		}
		kinds[f.Kind]++
		if (i+1)%len(faultKinds()) == 0 && len(kinds) != len(faultKinds()) {
			t.Errorf("after %d faults there were only %v", i+1, kinds)
		}
	}
}
