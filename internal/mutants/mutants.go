// Package mutants breaks the core in known ways, one at a time: each mutant is a plausible
// mistake, and TestMutants expects that one of the tests which it names notices it. So the tests are
// tested: that they pass says something only if they would fail.
//
// The mistakes stand in tables, one for each area. Change code that a mutant is about, and
// TestSnippets says that the mutant must be mended; add a rule, and add a mutant that
// breaks it. What changes no result whatever the input is no mutant.
package mutants

import (
	"fmt"
	"slices"
	"strings"
)

// Mutant is a plausible mistake.
type Mutant struct {
	Name     string   // area/words-with-dashes
	Mistake  string   // what goes wrong, one sentence
	File     string   // from the root
	Edits    []Edit   // most have one
	CaughtBy []string // tests: at least one of them must fail
	In       string   // their package, from the root; "" is operators
}

// Edit replaces a piece of code that stands exactly once in its file.
type Edit struct{ Old, New string }

// All returns every mutant.
func All() []Mutant {
	all := slices.Concat(
		replayMutants(), foldMutants(), dedupMutants(), paneMutants(),
		sendMutants(), commitMutants(), receiveMutants(), resumeMutants(), timeMutants(), idleMutants(),
		rankMutants(), publishMutants(), leadersMutants(), scoreMutants(), windowMutants(), mergeMutants(),
		roomMutants(), tableMutants(), indexMutants(), eventMutants(),
	)
	return append(all, chainMutants(all)...)
}

// Apply returns the file's text with the mistake in it.
func (m Mutant) Apply(text string) (string, error) {
	for _, e := range m.Edits {
		if n := strings.Count(text, e.Old); n != 1 {
			return "", fmt.Errorf("the code has changed: mend the mutant %s: in %s this stands %d times, not once:\n%s", m.Name, m.File, n, e.Old)
		}
		text = strings.Replace(text, e.Old, e.New, 1)
	}
	return text, nil
}

// Package returns the folder of the tests that must catch the mutant, from the root.
func (m Mutant) Package() string {
	if m.In == "" {
		return "operators"
	}
	return m.In
}

// The tests that catch most.
const (
	foldSpecification        = "TestPartitionSpecification"        // against fold.py's traces
	foldSpecificationRestart = "TestPartitionSpecificationRestart" // likewise, restarted after each record
	foldRestarts             = "TestRestartAtEveryOffset"          // against the oracle, with lost flushes and zombies
	rankSpecification        = "TestRankSpecification"             // against rank.py's traces
	rankSpecificationRestart = "TestRankSpecificationRestart"      // likewise, restarted after each message
	rankingsEqualOracle      = "TestRankingsEqualOracle"           // from events to merged lists
)
