package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// file is one parsed Go file.
type file struct {
	name      string // from the root, with slashes
	ast       *ast.File
	test      bool
	generated bool
	uses      map[*ast.Ident]types.Object // what each name in the file stands for
}

// parse reads the Go files of one folder and resolves the names in them. Files that
// belong together (same package, test or not) are resolved together. Nothing is
// imported: a name from another package resolves to the package, which is all that the
// rules need, so the check needs no build and works on code that doesn't compile.
func (r *run) parse(folder, rel string) ([]*file, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []*file
	groups := map[string][]*ast.File{}
	group := func(f *file) string {
		if f.test {
			return f.name // alone: all that is asked of it is which package a name stands for
		}
		return f.ast.Name.Name
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") {
			continue
		}
		parsed, err := parser.ParseFile(r.fset, filepath.Join(folder, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		f := &file{
			name:      path.Join(rel, e.Name()),
			ast:       parsed,
			test:      strings.HasSuffix(e.Name(), "_test.go"),
			generated: ast.IsGenerated(parsed),
		}
		files = append(files, f)
		groups[group(f)] = append(groups[group(f)], parsed)
	}
	resolved := map[string]map[*ast.Ident]types.Object{}
	for _, f := range files {
		key := group(f)
		if resolved[key] == nil {
			resolved[key] = resolve(r.fset, f.ast.Name.Name, groups[key])
		}
		f.uses = resolved[key]
	}
	return files, nil
}

// resolve type-checks the files as far as that goes without their imports.
func resolve(fset *token.FileSet, name string, files []*ast.File) map[*ast.Ident]types.Object {
	uses := map[*ast.Ident]types.Object{}
	config := types.Config{
		Importer:    emptyImporter{},
		FakeImportC: true,
		Error:       func(error) {}, // what imports hold is unknown, so there are many
	}
	_, _ = config.Check(name, fset, files, &types.Info{Uses: uses})
	return uses
}

// emptyImporter gives every import path a package with nothing in it.
type emptyImporter struct{}

// Import implements types.Importer.
func (emptyImporter) Import(importPath string) (*types.Package, error) {
	base := path.Base(importPath)
	if majorVersion.MatchString(base) {
		base = path.Base(path.Dir(importPath))
	}
	p := types.NewPackage(importPath, base)
	p.MarkComplete()
	return p, nil
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// imported returns the path of the package that a selector picks a name from, such as
// "time" for time.Now, and "" where x.y is a field or method.
func (f *file) imported(sel *ast.SelectorExpr) string {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	if p, ok := f.uses[id].(*types.PkgName); ok {
		return p.Imported().Path()
	}
	return ""
}
