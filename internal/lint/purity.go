package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// notPure is what a pure package may not use of packages that it may import.
func notPure(path string) (names []string, mend string) {
	switch path {
	case "time":
		return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"},
			"time enters the core as data: take it as an argument or from the event (event times are UTC)"
	case "fmt":
		return []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
			"the core does no I/O: return what there is to say"
	}
	return nil, ""
}

// calls finds uses of the clock, the terminal and other things of the machine's.
// Mentioning is enough: a function that is passed on is called somewhere.
func (r *run) calls(f *file) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			path := f.imported(n)
			if names, mend := notPure(path); slices.Contains(names, n.Sel.Name) {
				r.reportf(f, n.Pos(), "purity", "%s.%s in a pure package: %s", path, n.Sel.Name, mend)
			}
		case *ast.Ident:
			if b, ok := f.uses[n].(*types.Builtin); ok && (b.Name() == "print" || b.Name() == "println") {
				r.reportf(f, n.Pos(), "purity", "%s in a pure package: the core does no I/O: return what there is to say", b.Name())
			}
		}
		return true
	})
}

// concurrency finds goroutines, channels and select.
func (r *run) concurrency(f *file) {
	const mend = "one goroutine steps a core machine; goroutines and channels belong to the shell"
	found := func(n ast.Node, what string) {
		r.reportf(f, n.Pos(), "concurrency", "%s in a pure package: %s", what, mend)
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found(n, "go statement")
		case *ast.SelectStmt:
			found(n, "select")
			return false // its cases are channel operations, which would say it again
		case *ast.ChanType:
			found(n, "channel type")
		case *ast.SendStmt:
			found(n, "send")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				found(n, "receive")
			}
		}
		return true
	})
}
