// Package lint checks what this repository promises about its own structure: who may
// import what, that the core has no clocks, goroutines or I/O, that no package keeps
// state, and the shape of files and names. It is run as a test (TestRepository), so
// `go test ./...` fails where a rule is broken.
//
// What each package may do is data: see table.go, where a new package adds its line.
package lint

import (
	"cmp"
	"fmt"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is one broken rule.
type Finding struct {
	File string // from the root, with slashes
	Line int    // 1 where the rule is about the whole file
	Rule string // the rule's name, one word
	Text string // what is wrong, and what to do
}

// String returns the finding the way compilers print theirs.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s (rule %q)", f.File, f.Line, f.Text, f.Rule)
}

// Checker checks one source tree.
type Checker struct {
	Module string // the module's path
	Rooms  []Room // what each package may do
}

// Check reads the tree at root and returns all findings, sorted by file and line. An
// error means that the tree could not be read or parsed, not that a rule is broken.
func (c Checker) Check(root string) ([]Finding, error) {
	r := &run{Checker: c, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !d.IsDir() {
			return r.hosts(name, rel, d)
		}
		if rel != "." && skipped(d.Name()) {
			return filepath.SkipDir
		}
		if !holdsPackages(root, rel) {
			return nil // read for host names, but the go tool finds no packages here
		}
		return r.folder(name, rel)
	})
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return r.findings, err
}

// run is one walk over a tree.
type run struct {
	Checker
	fset     *token.FileSet
	findings []Finding
}

// folder applies the rules to the package, or packages, of one folder.
func (r *run) folder(name, rel string) error {
	files, err := r.parse(name, rel)
	if err != nil || len(files) == 0 {
		return err
	}
	room, known := roomOf(r.Rooms, rel)
	if !known {
		r.reportf(files[0], files[0].ast.Package, "table",
			"package %s is not in the table of rooms: add a line to internal/lint/table.go that says what it may import", rel)
	}
	for _, f := range files {
		r.packageName(f)
		r.dotImports(f)
		if f.test {
			r.sleeps(f)
			continue
		}
		if !f.generated { // nobody writes it, so its shape is its generator's
			r.length(f)
			r.inits(f)
			r.state(f)
		}
		if !known {
			continue
		}
		r.imports(f, room)
		if room.Pure {
			r.calls(f)
			r.concurrency(f)
		}
	}
	return nil
}

func (r *run) reportf(f *file, at token.Pos, rule, format string, args ...any) {
	r.add(f.name, r.fset.Position(at).Line, rule, fmt.Sprintf(format, args...))
}

func (r *run) add(name string, line int, rule, text string) {
	r.findings = append(r.findings, Finding{File: name, Line: line, Rule: rule, Text: text})
}

// skipped says which folders are not this repository's own text.
func skipped(folder string) bool {
	switch folder {
	case ".git", ".tools", "node_modules", "dist":
		return true
	}
	return false
}

// holdsPackages says whether the go tool finds packages of this module in a folder: not
// in testdata, not below a dot or an underscore, not in a module of its own.
func holdsPackages(root, rel string) bool {
	for dir := rel; dir != "."; dir = path.Dir(dir) {
		base := path.Base(dir)
		if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return false
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir), "go.mod")); err == nil {
			return false
		}
	}
	return true
}
