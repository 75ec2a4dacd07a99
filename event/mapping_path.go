package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// pathTree holds the mapped paths as a tree of field names, so that the scanner
// compares a key with the few names that can follow at its place: six for flat events.
//
// Paths are inserted first and numbered then: compile gives each path its slot, such
// that all slots below an inner edge are neighbours. A key that comes a second time
// then forgets what the first one held by clearing one range.
type pathTree struct {
	nodes []pathNode // nodes[0] is the record's object
}

// pathNode is an object on the way to mapped fields.
type pathNode struct {
	edges []pathEdge
}

// pathEdge is one field of a pathNode: a mapped field (a leaf), or an object that
// holds some.
type pathEdge struct {
	name     string
	path     string // a leaf's path, as configured
	node     int16  // the object that it leads to, or noNode for a leaf
	from, to int16  // the slots at (a leaf) or below this edge: [from, to)
}

const noNode = -1

// insert adds a path, once. It returns the path's names, or what is wrong with it.
func (t *pathTree) insert(path string) ([]string, error) {
	names, err := splitPath(path)
	if err != nil {
		return nil, err
	}
	if t.nodes == nil {
		t.nodes = make([]pathNode, 1)
	}
	at := 0
	for i, name := range names {
		last := i == len(names)-1
		e := t.edge(at, name)
		switch {
		case e == nil:
			e = t.grow(at, name, last)
			e.path = path
		case last != (e.node == noNode):
			return nil, fmt.Errorf("%q can't be mapped beside %q: one leads through the other", path, e.path)
		}
		at = int(e.node)
	}
	return names, nil
}

// grow adds an edge to a node that has none of that name.
func (t *pathTree) grow(at int, name string, leaf bool) *pathEdge {
	e := pathEdge{name: name, node: noNode}
	if !leaf {
		e.node = int16(len(t.nodes))
		t.nodes = append(t.nodes, pathNode{})
	}
	n := &t.nodes[at]
	n.edges = append(n.edges, e)
	return &n.edges[len(n.edges)-1]
}

// edge returns a node's edge of that name, or nil.
func (t *pathTree) edge(at int, name string) *pathEdge {
	edges := t.nodes[at].edges
	for i := range edges {
		if edges[i].name == name {
			return &edges[i]
		}
	}
	return nil
}

// compile numbers the slots below a node, from next on, depth first, and returns the
// next free one. The recursion is as deep as the longest path: at most depthMax.
func (t *pathTree) compile(at int, next int16) int16 {
	edges := t.nodes[at].edges
	for i := range edges {
		edges[i].from = next
		if edges[i].node == noNode {
			next++
		} else {
			next = t.compile(int(edges[i].node), next)
		}
		edges[i].to = next
	}
	return next
}

// slot returns the slot of a path that was inserted before compile.
func (t *pathTree) slot(names []string) int16 {
	var e *pathEdge
	at := 0
	for _, name := range names {
		e = t.edge(at, name)
		at = int(e.node)
	}
	return e.from
}

// splitPath splits a path at its dots and removes its escapes.
func splitPath(path string) ([]string, error) {
	switch {
	case path == "":
		return nil, errors.New("is not set; name the field")
	case !utf8.ValidString(path):
		return nil, fmt.Errorf("%q is not valid UTF-8", path)
	}
	var names []string
	var name strings.Builder
	for i := 0; i <= len(path); i++ {
		switch {
		case i == len(path) || path[i] == '.':
			if name.Len() == 0 {
				return nil, fmt.Errorf(`%q has an empty field name; a dot inside a name is written \.`, path)
			}
			names = append(names, name.String())
			name.Reset()
		case path[i] == '\\':
			i++
			if i == len(path) || path[i] != '.' && path[i] != '\\' {
				return nil, fmt.Errorf(`%q has a stray backslash; only \. and \\ are escapes`, path)
			}
			name.WriteByte(path[i])
		default:
			name.WriteByte(path[i])
		}
	}
	if len(names) > depthMax {
		return nil, fmt.Errorf("%q is %d names deep; records nest at most %d deep", path, len(names), depthMax)
	}
	return names, nil
}
