package event

// noSlot is the slot of a field that isn't mapped; its token is always absent.
const noSlot = -1

// field is a mapped field.
type field struct {
	path    string // as configured, for error texts
	setting string // the mapping's setting that names it, for error texts
	slot    int16  // where the scanner notes it
}

// need is what a text must be.
type need uint8

const (
	required need = 1 << iota // neither missing nor null
	notEmpty
)

// textField is a mapped field whose value is a text.
type textField struct {
	field
	bytesMax int
	limit    string // the setting that bytesMax comes from, for error texts
	need     need
}

// decodeText returns a field's text, or nil where it is missing or null and need not be
// there. The text is a view of the record, or of c.text where it had escapes; that may
// be moved by a later call, but views of its former place stay as they are.
func (c *JSON) decodeText(value []byte, f *textField) ([]byte, error) {
	t := c.token(f.slot)
	var text []byte
	switch t.kind {
	case plain, integer:
		text = value[t.from:t.to:t.to]
	case escaped:
		from := len(c.text)
		var whole bool
		c.text, whole = unescape(c.text, value[t.from:t.to])
		text = c.text[from:len(c.text):len(c.text)]
		if !whole {
			return nil, malformed(LoneSurrogate, f.path, `half a character in %s; characters beyond \uffff are escaped as a pair`, quote(value[t.from:t.to]))
		}
	case absent, null:
		if f.need&required == 0 {
			return nil, nil
		}
		return nil, f.notThere(t.kind)
	default:
		return nil, f.wrongType(value, t, "a string or an integer is due")
	}
	if len(text) > f.bytesMax {
		return nil, malformed(FieldTooLong, f.path, "%d bytes; %s is %d", len(text), f.limit, f.bytesMax)
	}
	if len(text) == 0 && f.need&notEmpty != 0 {
		return nil, malformed(FieldEmpty, f.path, "must not be empty; send one, or name another field as %s", f.setting)
	}
	return text, nil
}

// notThere is the error of a required field that is missing or null.
func (f *field) notThere(k kind) error {
	if k == null {
		return malformed(FieldNull, f.path, "is null; send a value, or name another field as %s", f.setting)
	}
	hint := ""
	if f.setting == "region" {
		hint = ", or set region_default"
	}
	return malformed(FieldMissing, f.path, "is missing; send it, or name another field as %s%s", f.setting, hint)
}

// wrongType is the error of a value that is of no use for its field.
func (f *field) wrongType(value []byte, t token, due string) error {
	got := ""
	switch t.kind {
	case boolean:
		got = "a boolean"
	case plain, escaped:
		got = "the string " + quote(value[t.from:t.to])
	case integer:
		got = "the number " + quote(value[t.from:t.to])
	case decimal:
		got = "the number " + quote(value[t.from:t.to]) + ", with a fraction or an exponent"
	case object:
		got = "an object"
	case array:
		got = "an array"
	}
	return malformed(WrongType, f.path, "%s, where %s", got, due)
}
