package chain

import "testing"

// bugSeedsMax is within how many seeds each bug must be noticed.
const bugSeedsMax = 1000

// TestBugs checks that each bug around the machines is noticed, and that what shows it is made small.
func TestBugs(t *testing.T) {
	for bug := NoBug + 1; bug < bugs; bug++ {
		t.Run(bug.String(), func(t *testing.T) {
			for seed := range uint64(bugSeedsMax) {
				s, r := draw(seed+1, bug, nil)
				if r.Err == nil {
					continue
				}
				small := Shrink(s, 1000)
				err := Run(small, nil).Err
				t.Logf("seed %d, %d steps; made smaller: %d steps. %.300v", seed+1, len(s.Steps), len(small.Steps), err)
				if invariantOf(err) != invariantOf(r.Err) {
					t.Errorf("the smaller one breaks %v, not %v", err, r.Err)
				}
				return
			}
			t.Errorf("not noticed in %d seeds", bugSeedsMax)
		})
	}
}
