package mutants

import (
	"errors"
	"testing"
)

func TestJudge(t *testing.T) {
	exit := errors.New("exit status 1")
	for _, tt := range []struct {
		name, output string
		err          error
		test         string
		verdict      error
	}{
		{"survivor", "=== RUN   TestA\n--- PASS: TestA (0.01s)\nPASS\nok  \tx\t0.01s\n", nil, "", errSurvived},
		{"test fails", "=== RUN   TestA\n    a_test.go:1: no\n--- FAIL: TestA (0.01s)\nFAIL\tx\t0.01s\n", exit, "TestA", nil},
		{"test panics", "=== RUN   TestA\n--- FAIL: TestA (0.00s)\npanic: oh [recovered]\nFAIL\tx\t0.01s\n", exit, "TestA", nil},
		{"goroutine of a test panics", "=== RUN   TestA\n--- PASS: TestA (0.01s)\n=== RUN   TestB\npanic: oh\nFAIL\tx\t0.01s\n", exit, "TestB", nil},
		{"does not compile", "# x\na.go:1: undefined: y\nFAIL\tx [build failed]\nFAIL\n", exit, "", errBroken},
		{"endless", "=== RUN   TestA\npanic: test timed out after 1m0s\nFAIL\tx\t60s\n", exit, "", errEndless},
		{"something else", "go: no such tool\n", exit, "", errNoTest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			test, verdict := judge(tt.output, tt.err)
			if test != tt.test || !errors.Is(verdict, tt.verdict) {
				t.Errorf("caught by %q, %v; want %q, %v", test, verdict, tt.test, tt.verdict)
			}
		})
	}
}
