package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// runMax bounds one run of the tests: a mutant must not loop for ever.
const runMax = 3 * time.Minute

// TestSnippets checks that every mutant fits the code. It takes no time.
func TestSnippets(t *testing.T) {
	names := map[string]bool{}
	for _, m := range All() {
		if names[m.Name] {
			t.Errorf("there are two mutants %s", m.Name)
		}
		names[m.Name] = true
		text, err := os.ReadFile(filepath.Join(repositoryRoot(t), m.File))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Apply(string(text)); err != nil {
			t.Error(err)
		}
		if len(m.CaughtBy) == 0 || m.Mistake == "" || len(m.Edits) == 0 {
			t.Errorf("the mutant %s must say what it breaks, how, and which tests catch it", m.Name)
		}
	}
}

// TestMutants runs, for each mutant, the tests that must catch it, as many at a time as there are cores.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes; make mutants runs it")
	}
	root := repositoryRoot(t)
	if !t.Run("control", func(t *testing.T) { control(t, root) }) {
		t.Fatal("the tests fail without any mistake: nothing can be said of mutants")
	}
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			try(t, root, m)
		})
	}
}

// control checks that all tests that mutants name are there, and pass on the code as it is.
func control(t *testing.T, root string) {
	named := map[string][]string{}
	for _, m := range All() {
		named[m.Package()] = append(named[m.Package()], m.CaughtBy...)
	}
	for pkg, tests := range named {
		slices.Sort(tests)
		tests = slices.Compact(tests)
		output, err := goTest(t, root, pkg, tests, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", pkg, err, tail(output))
		}
		for _, test := range tests {
			if err == nil && !strings.Contains(output, "--- PASS: "+test+" ") {
				t.Errorf("%s: a mutant names the test %s, which did not run", pkg, test)
			}
		}
	}
}

// try runs the tests of one mutant.
func try(t *testing.T, root string, m Mutant) {
	file := filepath.Join(root, m.File)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mutated, err := m.Apply(string(text))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	output, err := goTest(t, root, m.Package(), m.CaughtBy, map[string]string{file: mutated})
	took := time.Since(start).Round(100 * time.Millisecond)
	test, err := judge(output, err)
	if err != nil {
		t.Fatalf("%s\n%v (%v)\n%s", m.Mistake, err, took, tail(output))
	}
	t.Logf("%s Caught by %s in %v.", m.Mistake, test, took)
}

// goTest runs tests of a package, with the text of some files replaced.
func goTest(t *testing.T, root, pkg string, tests []string, replaced map[string]string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-v", "-count=1", "-failfast", "-timeout="+runMax.String(),
		"-vet=off", "-ldflags=-s -w", // quicker to build
		"-run=^("+strings.Join(tests, "|")+")$", "-overlay="+overlay(t, replaced), "./"+pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// overlay writes the files' new texts, and the list of them that go's -overlay takes.
func overlay(t *testing.T, replaced map[string]string) (name string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	list := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range replaced {
		list.Replace[file] = write(filepath.Base(file), []byte(text))
	}
	encoded, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return write("overlay.json", encoded)
}

// tail returns the end of an output.
func tail(output string) string {
	const linesMax = 40
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-linesMax):], "\n")
}

// repositoryRoot is the folder of go.mod.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
