package mutants

import (
	"errors"
	"fmt"
	"regexp"
)

// What can become of a mutant that no test has caught.
var (
	errSurvived = errors.New("THE MUTANT SURVIVED: no test notices this mistake; write one, or drop the mutant if it changes no result")
	errBroken   = errors.New("the mutant doesn't compile: mend it")
	errEndless  = errors.New("the mutant doesn't come to an end: choose a mistake that does")
	errNoTest   = errors.New("the run has failed, but none of its tests")
)

var (
	ran       = regexp.MustCompile(`(?m)^=== RUN +(\S+)$`)
	failed    = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+) `)
	notBuilt  = regexp.MustCompile(`(?m)^FAIL\s.*\[(build|setup) failed\]$`)
	timedOut  = regexp.MustCompile(`(?m)^panic: test timed out`)
	panicking = regexp.MustCompile(`(?m)^(panic|fatal error): `)
)

// judge reads what go test -v has printed about a mutant, and its error: it returns the test that
// caught the mutant, or why none has.
func judge(output string, err error) (test string, verdict error) {
	switch {
	case err == nil:
		return "", errSurvived
	case notBuilt.MatchString(output):
		return "", errBroken
	case timedOut.MatchString(output):
		return "", errEndless
	}
	if m := failed.FindStringSubmatch(output); m != nil {
		return m[1], nil
	}
	// A panic on a goroutine that a test has started ends the run without a word about the test.
	if runs := ran.FindAllStringSubmatch(output, -1); len(runs) > 0 && panicking.MatchString(output) {
		return runs[len(runs)-1][1], nil
	}
	return "", fmt.Errorf("%w: %w", errNoTest, err)
}
