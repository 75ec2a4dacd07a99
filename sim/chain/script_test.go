package chain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs the scripts of testdata: each was a failure once, or shows something that is easy to get wrong.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			r := Run(s, nil)
			if r.Err != nil {
				t.Error(r.Err)
			}
			if r.Steps != len(s.Steps) {
				t.Errorf("%d of %d steps can be done: the script doesn't show any more what it was written for", r.Steps, len(s.Steps))
			}
		})
	}
}

// TestScriptSaysAll checks that a scenario, written and read, runs as before.
func TestScriptSaysAll(t *testing.T) {
	for seed := range uint64(300) {
		s, want := Draw(seed, nil)
		read, err := Parse(s.Script())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got := Run(read, nil); got != want {
			t.Fatalf("seed %d: read from its script, it comes to %+v, want %+v", seed, got, want)
		}
	}
}

// TestParseRefuses checks that what is wrong in a script is named, with its line.
func TestParseRefuses(t *testing.T) {
	s, _ := Draw(1, nil)
	good := s.Script()
	for _, c := range []struct{ line, want string }{
		{"tak rank/0", `no step "tak"`},
		{"take rank/x", `"x" is not a number`},
		{"take elsewhere/0", "elsewhere/0"},
		{"record partition=9 offset=0 time=0 kind=0 id=\"\" item=\"\" dimensions=\"\" at=0 value=0", "no partition 9"},
		{"fold pane=0", "line"},
	} {
		if _, err := Parse(good + c.line + "\n"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want an error with %q", c.line, err, c.want)
		}
	}
}
