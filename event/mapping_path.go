package event

import (
	"encoding/binary"
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
	in       int16  // the node that it is an edge of
	quick    quickName
	follower *pathEdge // the edge whose key came after this one's, the last time; nil at first
}

// quickName is a name, its closing quote and the colon behind it (which few producers
// set apart), made up to be compared with a record eight bytes at once, without finding
// the key's end first.
type quickName struct {
	head, mask uint64 // the first eight bytes, or all, little-endian, and which of them count
	tail       string // those after the first eight
	size       int    // how many they are
}

// newQuickName returns the quickName of a name. One that JSON can only write with
// escapes gets a quickName that no record matches.
func newQuickName(name string) quickName {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }) {
		return quickName{head: 1}
	}
	var q quickName
	name += `":`
	q.size = len(name)
	for i := range min(len(name), 8) {
		q.head |= uint64(name[i]) << (8 * i)
		q.mask |= 0xff << (8 * i)
	}
	q.tail = name[min(len(name), 8):]
	return q
}

// stands reports whether the name, quote and colon stand in b at i. Where fewer than
// eight bytes are left there, it says no.
func (q *quickName) stands(b []byte, i int) bool {
	if i+8 > len(b) || binary.LittleEndian.Uint64(b[i:])&q.mask != q.head {
		return false
	}
	rest := b[i+8:]
	return len(rest) >= len(q.tail) && string(rest[:len(q.tail)]) == q.tail
}

const noNode = -1

// insert adds a path, once, or returns what is wrong with it.
func (t *pathTree) insert(path string) error {
	names, err := splitPath(path)
	if err != nil {
		return err
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
			return fmt.Errorf("%q can't be mapped beside %q: one leads through the other", path, e.path)
		}
		at = int(e.node)
	}
	return nil
}

// grow adds an edge to a node that has none of that name.
func (t *pathTree) grow(at int, name string, leaf bool) *pathEdge {
	e := pathEdge{name: name, in: int16(at), node: noNode, quick: newQuickName(name)}
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
func (t *pathTree) slot(path string) int16 {
	names, _ := splitPath(path) // insert has seen that it can be split
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
