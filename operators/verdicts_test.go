package operators

import "testing"

// TestVerdicts: the queue gives what it was given, in order, and its memory stays in proportion to what waits, also where it is never empty.
func TestVerdicts(t *testing.T) {
	var q verdicts
	next, given := int64(0), int64(0)
	for step := range 100_000 {
		q.add(Verdict{Offset: given})
		given++
		if step < 100 { // never fewer than 100 from here on
			continue
		}
		if first := q.waiting()[0].Offset; first != next || len(q.waiting()) != int(given-next) {
			t.Fatalf("%d verdicts from %d on wait, want %d from %d on", len(q.waiting()), first, given-next, next)
		}
		q.taken()
		next++
	}
	if cap(q.all) > 500 {
		t.Errorf("100 verdicts stand in memory for %d", cap(q.all))
	}
	for len(q.waiting()) > 0 {
		q.taken()
	}
	if q.gone != 0 || len(q.all) != 0 {
		t.Errorf("an empty queue begins at %d of %d", q.gone, len(q.all))
	}
	if allocs := testing.AllocsPerRun(100, func() {
		for range 100 {
			q.add(Verdict{})
		}
		for range 100 {
			q.taken()
		}
	}); allocs > 0 {
		t.Errorf("%v allocations for what has been there before", allocs)
	}
}
