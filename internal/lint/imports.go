package lint

import (
	"slices"
	"strconv"
	"strings"
)

// imports compares a file's imports with its room's line in the table.
func (r *run) imports(f *file, room Room) {
	if room.Any {
		return
	}
	const mend = "move the code to a package that may, or change its line in internal/lint/table.go"
	for _, spec := range f.ast.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser accepts only quoted strings
		}
		own, isOwn := strings.CutPrefix(path, r.Module+"/")
		first, _, _ := strings.Cut(path, "/")
		switch {
		case isOwn:
			if !coversAny(room.Own, own) {
				r.reportf(f, spec.Pos(), "imports", "%s must not import %s; of this module it may import %s: %s", room.Path, own, list(room.Own), mend)
			}
		case !strings.Contains(first, "."):
			if room.Std != nil && !slices.Contains(room.Std, path) {
				r.reportf(f, spec.Pos(), "imports", "%s must not import %s; it takes time, input and context as data: hand in what it needs, %s", room.Path, path, mend)
			}
		case !slices.ContainsFunc(room.Outside, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }):
			r.reportf(f, spec.Pos(), "imports", "%s must not import %s; of other modules it may import %s: %s", room.Path, path, list(room.Outside), mend)
		}
	}
}

// dotImports refuses `import . "x"`, which hides from which package a name comes, from
// readers and from the other rules.
func (r *run) dotImports(f *file) {
	for _, spec := range f.ast.Imports {
		if spec.Name != nil && spec.Name.Name == "." {
			r.reportf(f, spec.Pos(), "imports", "import . %s hides where names come from: import it by its name", spec.Path.Value)
		}
	}
}

func list(of []string) string {
	if len(of) == 0 {
		return "nothing"
	}
	return strings.Join(of, ", ")
}
