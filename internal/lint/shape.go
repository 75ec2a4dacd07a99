package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// linesMax is how long a file may be, where a person writes it and it is no test.
const linesMax = 500

// packageName refuses names that say nothing of what a package gives.
func (r *run) packageName(f *file) {
	switch name := strings.TrimSuffix(f.ast.Name.Name, "_test"); name {
	case "util", "utils", "common", "models", "types", "helpers", "misc", "base":
		r.reportf(f, f.ast.Name.Pos(), "name", "package %s says nothing: name it for what it gives", name)
	}
}

// length refuses long files.
func (r *run) length(f *file) {
	if n := r.fset.File(f.ast.FileStart).LineCount(); n > linesMax {
		r.reportf(f, f.ast.FileStart, "length", "%d lines, at most %d: two things live here, give each a file", n, linesMax)
	}
}

// inits refuses init functions, which act at a distance and can't be tested.
func (r *run) inits(f *file) {
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			r.reportf(f, fn.Pos(), "init", "func init: build it in a constructor, and hand it over where it is used")
		}
	}
}

// sleeps refuses time.Sleep in tests, but for those in testing/synctest's bubble, where
// sleeping is how time is made to pass.
func (r *run) sleeps(f *file) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			return !ok || f.imported(sel) != "testing/synctest" // what is in a bubble is fine
		case *ast.SelectorExpr:
			if f.imported(n) == "time" && n.Sel.Name == "Sleep" {
				r.reportf(f, n.Pos(), "sleep", "time.Sleep in a test is slow and flaky: wait for the event itself, inject a clock, or use testing/synctest")
			}
		}
		return true
	})
}

// state refuses package-level variables that change: those that this package writes to,
// or declares as a lock or an atomic. Tables and sentinel errors that are only read are
// fine. Writes through a pointer are not seen: pointing into a table, to read it, is
// ordinary in a hot path.
func (r *run) state(f *file) {
	const mend = "package-level state is shared by everyone: make it a field, or a local"
	written := func(e ast.Expr, how string) {
		id := root(e)
		if v, ok := f.uses[id].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
			r.reportf(f, e.Pos(), "state", "package variable %s %s: %s", id.Name, how, mend)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				written(e, "is assigned")
			}
		case *ast.IncDecStmt:
			written(n.X, "is assigned")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				written(n.Key, "is assigned")
				written(n.Value, "is assigned")
			}
		case *ast.CallExpr:
			id, ok := n.Fun.(*ast.Ident)
			if !ok || len(n.Args) == 0 {
				return true
			}
			if b, ok := f.uses[id].(*types.Builtin); ok && slices.Contains([]string{"delete", "clear", "copy"}, b.Name()) {
				written(n.Args[0], "is changed by "+b.Name())
			}
		}
		return true
	})
	for _, d := range f.ast.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok || spec.Type == nil {
				continue
			}
			ast.Inspect(spec.Type, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if p := f.imported(sel); p == "sync" || p == "sync/atomic" {
						r.reportf(f, spec.Pos(), "state", "package variable %s is a %s.%s: %s", spec.Names[0].Name, p, sel.Sel.Name, mend)
					}
				}
				return true
			})
		}
	}
}

// root returns the variable that an assignment to e changes: v for v.f[i], nil where
// it is no plain name.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
