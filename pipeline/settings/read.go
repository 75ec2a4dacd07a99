package settings

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader puts YAML into settings, and notes where each of them stands, and what is wrong. It goes on after a problem, to find all.
type reader struct {
	source   string // what is being read, as in Place.Source
	places   map[string]Place
	problems Problems
	anchors  map[string]ast.Node
	merging  int  // sections that are being merged into others
	textOnly bool // the lines are of no file
}

// document reads a whole document into a value; where there is nothing in it, the value stays.
func (r *reader) document(text []byte, v reflect.Value, k key, path string) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(path, err)
		return
	}
	r.anchors = map[string]ast.Node{}
	for i, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case i > 0:
			r.wrong(r.place(doc.Body.GetToken()), path, "a second document begins here", "one document: leave out the line ---")
		default:
			r.read(doc.Body, v, k, path)
		}
	}
}

// notYAML begins the problem of a text that is none.
const notYAML = "not YAML: "

func (r *reader) syntax(path string, err error) {
	problem := Problem{Place: Place{Source: r.source}, Key: path, Found: notYAML + err.Error()}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		problem.Place, problem.Found = r.place(e.GetToken()), notYAML+e.GetMessage()
	}
	r.problems = append(r.problems, problem)
}

// place returns where a token stands.
func (r *reader) place(t *token.Token) Place {
	p := Place{Source: r.source}
	if t != nil && t.Position != nil && !r.textOnly {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

func (r *reader) wrong(at Place, path, found, allowed string) {
	r.problems = append(r.problems, Problem{Place: at, Key: path, Found: found, Allowed: allowed})
}

// read puts a node into a value.
func (r *reader) read(n ast.Node, v reflect.Value, k key, path string) {
	n = r.resolve(n, path)
	if n == nil || n.Type() == ast.NullType { // nothing is said: what there was stays
		return
	}
	switch {
	case isSection(v.Type()):
		r.section(n, v, k, path)
	case v.Kind() == reflect.Slice:
		r.list(n, v, k, path)
	default:
		text, kind := scalar(n)
		if host, ok := torn(n); ok {
			text, kind = host, "text"
		}
		r.places[path] = r.place(first(n))
		if err := set(v, text, kind); err != nil {
			r.wrong(r.place(n.GetToken()), path, found(k, text, kind), k.allowed())
		}
	}
}

// resolve returns what an alias or a tag stands before.
func (r *reader) resolve(n ast.Node, path string) ast.Node {
	for {
		switch node := n.(type) {
		case *ast.AnchorNode:
			r.anchors[node.Name.GetToken().Value] = node.Value
			n = node.Value
		case *ast.AliasNode:
			name := node.Value.GetToken().Value
			of, ok := r.anchors[name]
			if !ok {
				r.wrong(r.place(node.GetToken()), path, fmt.Sprintf("*%s stands for nothing", name), "an alias of an anchor (&"+name+") above it")
				return nil
			}
			n = of
		case *ast.TagNode:
			n = node.Value
		default:
			return n
		}
	}
}

func (r *reader) section(n ast.Node, v reflect.Value, k key, path string) {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		text, kind := scalar(n)
		r.wrong(r.place(n.GetToken()), path, found(k, text, kind), "a section, with "+names(k.keys))
		return
	}
	seen := map[string]Place{}
	for _, entry := range mapping.Values {
		at, name := r.place(entry.Key.GetToken()), entry.Key.GetToken().Value
		if entry.Key.Type() == ast.MergeKeyType {
			r.merge(entry.Value, v, k, path)
			continue
		}
		inner := join(path, name)
		if before, twice := seen[name]; twice {
			r.wrong(at, inner, "is there twice; first at line "+strconv.Itoa(before.Line), "each key once")
			continue
		}
		seen[name] = at
		i := indexOf(k.keys, name)
		if i < 0 {
			r.unknown(at, inner, name, path, k.keys)
			continue
		}
		r.places[inner] = at
		r.read(entry.Value, v.Field(i), k.keys[i], inner)
	}
}

// merge puts another section's settings (<<: *other) into a section.
func (r *reader) merge(n ast.Node, v reflect.Value, k key, path string) {
	const mergesMax = 20
	if r.merging++; r.merging > mergesMax {
		r.wrong(r.place(n.GetToken()), path, "is merged from itself", "another section")
		return
	}
	r.read(n, v, k, path)
	r.merging--
}

// unknown reports a key that there isn't, and the one that may be meant: one of this section, or else of another that has this very name.
func (r *reader) unknown(at Place, path, name, section string, keys []key) {
	problem := Problem{Place: at, Key: path, Found: "is no setting"}
	known := make([]string, 0, len(keys))
	for _, k := range keys {
		known = append(known, k.name)
	}
	if n := nearest(name, known); n != "" {
		problem.Near = join(section, n)
	} else {
		for _, k := range leaves(allKeys()) {
			if k.name == name {
				problem.Near = k.path
			}
		}
	}
	if problem.Near == "" {
		problem.Allowed = names(keys)
	}
	r.problems = append(r.problems, problem)
}

func (r *reader) list(n ast.Node, v reflect.Value, k key, path string) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		text, kind := scalar(n)
		r.wrong(r.place(n.GetToken()), path, found(k, text, kind), k.allowed())
		return
	}
	items := reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values))
	for i, item := range sequence.Values {
		inner := fmt.Sprintf("%s[%d]", path, i)
		r.places[inner] = r.place(first(item))
		if v.Type().Elem() == reflect.TypeFor[Board]() {
			items.Index(i).Set(reflect.ValueOf(DefaultBoard()))
		}
		if item.Type() == ast.NullType {
			r.wrong(r.place(item.GetToken()), inner, "is empty", k.item().allowed())
			continue
		}
		r.read(item, items.Index(i), k.item(), inner)
	}
	v.Set(items)
}

// item returns what describes an item of a list.
func (k key) item() key {
	return key{path: k.path + "[]", name: k.name, doc: k.doc, rules: k.items, kind: k.kind.Elem(), keys: k.keys}
}

// first returns where a node begins.
func first(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func indexOf(keys []key, name string) int {
	for i, k := range keys {
		if k.name == name {
			return i
		}
	}
	return -1
}

func names(keys []key) string {
	all := make([]string, 0, len(keys))
	for _, k := range keys {
		all = append(all, k.name)
	}
	return strings.Join(all, ", ")
}
