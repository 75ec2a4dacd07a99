package event

// depthMax is how deep objects and arrays may nest, the record's own object included.
// encoding/json allows 10,000; nothing that is an event needs it.
const depthMax = 128

// What an open object or array is to the scanner, beside the number of a pathNode.
const (
	openObject = -1 // an object without mapped fields
	openArray  = -2 // an array; mapped fields are never inside one
)

// scanner checks that a record is one JSON object, in one pass, and notes where the
// mapped fields stand. It keeps its open objects and arrays in a fixed stack and never
// recurses, whatever the nesting.
//
// Nothing is judged here beyond the grammar: a field can come again, and the last one
// counts, so that a wrong type may still be put right.
type scanner struct {
	tree   pathTree
	tokens []token         // by slot
	open   [depthMax]int16 // a pathNode's number, openObject or openArray
	key    []byte          // a key with escapes, unescaped

	start    pathEdge  // stands for the record's beginning
	previous *pathEdge // the last edge that quickEdge found in this record, or &start
}

// scan fills s.tokens from the record b. On a fault it returns where it is, and the
// mapped field at whose value it is, or nil.
func (s *scanner) scan(b []byte) (at int, field *pathEdge, f fault) {
	clear(s.tokens)
	s.previous = &s.start
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return i, nil, faultNotObject
	}
	depth := 0
	s.open[0] = 0
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return s.end(b, i+1)
	}
	for {
		field = nil
		if in := s.open[depth]; in != openArray {
			if field, i, f = s.scanKey(b, i, in); f != noFault {
				return i, nil, f
			}
		}
		var opened int16
		if i, opened, f = s.scanValue(b, i, field); f != noFault {
			return i, field, f
		}
		if opened != notOpened {
			if depth++; depth == depthMax {
				return i - 1, field, faultDeep
			}
			s.open[depth] = opened
			i = skipSpace(b, i)
			if i == len(b) || b[i] != closing(opened) {
				continue
			}
		}
		for { // what follows a value: ends of objects and arrays, then a comma
			i = skipSpace(b, i)
			if i < len(b) && b[i] == ',' {
				i = skipSpace(b, i+1)
				break
			}
			if i == len(b) || b[i] != closing(s.open[depth]) {
				return i, nil, faultComma
			}
			i++
			if depth == 0 {
				return s.end(b, i)
			}
			depth--
		}
	}
}

// closing returns the byte that closes what was opened.
func closing(opened int16) byte {
	if opened == openArray {
		return ']'
	}
	return '}'
}

// end checks that nothing but white space follows the record's object.
func (s *scanner) end(b []byte, i int) (int, *pathEdge, fault) {
	if i = skipSpace(b, i); i < len(b) {
		return i, nil, faultTrailing
	}
	return i, nil, noFault
}

// scanKey reads a field name and its colon. It returns the mapped field or inner
// object of that name in the open object, or nil, and the offset of the value.
func (s *scanner) scanKey(b []byte, i int, in int16) (field *pathEdge, next int, f fault) {
	if i == len(b) || b[i] != '"' {
		return nil, i, faultKey
	}
	i++
	if in >= 0 {
		if e := s.quickEdge(b, i, in); e != nil {
			return e, skipSpace(b, i+e.quick.size), noFault
		}
	}
	to, k, f := scanString(b, i)
	if f != noFault {
		return nil, to, f
	}
	if in >= 0 {
		field = s.slowEdge(b[i:to], k, int(in))
	}
	if i = skipSpace(b, to+1); i == len(b) || b[i] != ':' {
		return nil, i, faultColon
	}
	return field, skipSpace(b, i+1), noFault
}

// quickEdge returns the edge whose quickName stands in b at i, or nil, which says
// nothing: the key may have escapes, space behind it, or stand at the record's end.
//
// Producers write their fields in one order, so the edge that followed the last one in
// an earlier record is tried first.
func (s *scanner) quickEdge(b []byte, i int, in int16) *pathEdge {
	if e := s.previous.follower; e != nil && e.in == in && e.quick.stands(b, i) {
		s.previous = e
		return e
	}
	edges := s.tree.nodes[in].edges
	for j := range edges {
		if e := &edges[j]; e.quick.stands(b, i) {
			s.previous.follower, s.previous = e, e
			return e
		}
	}
	return nil
}

// slowEdge returns the edge of a key that quickEdge may have missed, or nil.
func (s *scanner) slowEdge(key []byte, k kind, in int) *pathEdge {
	if k == escaped {
		s.key, _ = unescape(s.key[:0], key)
		key = s.key
	}
	edges := s.tree.nodes[in].edges
	for i := range edges {
		if string(key) == edges[i].name {
			return &edges[i]
		}
	}
	return nil
}

// notOpened is scanValue's answer for a value that is whole.
const notOpened = -3

// scanValue reads a value, or only the opening bracket of an object or array, and
// notes it for the field, if that isn't nil.
func (s *scanner) scanValue(b []byte, i int, field *pathEdge) (next int, opened int16, f fault) {
	if i == len(b) {
		return i, notOpened, faultValue
	}
	var to int
	var k kind
	from := i
	opened = notOpened
	switch c := b[i]; {
	case c == '"':
		from++
		to, k, f = scanString(b, from)
		next = to + 1
	case isDigit(c) || c == '-':
		to, k, f = scanNumber(b, i)
		next = to
	case c == '{':
		opened, k, to, next = openObject, object, i+1, i+1
	case c == '[':
		opened, k, to, next = openArray, array, i+1, i+1
	default:
		to, k, f = scanWord(b, i)
		next = to
	}
	if f != noFault {
		if notFinite(b, i) {
			return i, notOpened, faultNotFinite
		}
		return to, notOpened, f
	}
	if field == nil {
		return next, opened, noFault
	}
	if field.node == noNode {
		s.tokens[field.from] = token{int32(from), int32(to), k}
		return next, opened, noFault
	}
	clear(s.tokens[field.from:field.to]) // an earlier object of that name is void
	if opened == openObject {
		opened = field.node
	}
	return next, opened, noFault
}
