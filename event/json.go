package event

// JSON is the Decoder of records that are JSON objects (RFC 8259).
//
// It is strict: the whole record must be JSON, also where no field is mapped. It
// accepts what encoding/json accepts into a map[string]any, except that
//
//   - bytes that are not UTF-8 are malformed anywhere, not replaced by U+FFFD;
//   - half a surrogate pair (\ud800) is malformed in a mapped field; elsewhere it is let through;
//   - objects and arrays nest at most 128 deep, not 10,000;
//   - a record has at most Mapping.RecordBytesMax bytes.
//
// As there, unknown fields are accepted, and where a field comes more than once the
// last one counts: a second object "a" replaces the first with all that it held. Keys
// match exactly, case included.
//
// The event ID, item, region, dimensions and user are strings, taken as they are: no
// trimming, no Unicode normalization, so NFC and NFD spellings are different items. An
// integer is accepted too and stands for its text: 42 and "42" are the same item.
//
// A record that is well-formed costs no allocation: texts are views of the record, or
// of the codec's own memory where they had escapes, which grows to the largest record
// at most. A JSON serves one goroutine.
type JSON struct {
	scan       scanner
	eventID    []textField
	item       textField
	region     textField
	dimensions []textField
	user       textField
	time       timeField
	value      valueField

	regionDefault  []byte // the region of events without, where the region is not required
	recordBytesMax int
	text           []byte // the event's texts that had escapes, while it is decoded
	idParts        []byte // the fields of an event ID that has several
}

var _ Decoder = (*JSON)(nil)

// NewJSON returns a codec for a mapping, or the mapping's errors (Mapping.Validate).
// It keeps nothing of m.
func NewJSON(m Mapping) (*JSON, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	c := &JSON{recordBytesMax: m.RecordBytesMax}
	for _, p := range m.paths() {
		if p.path == "" {
			continue
		}
		if err := c.scan.tree.insert(p.path); err != nil {
			return nil, err // never: Validate has seen that it can be
		}
	}
	c.scan.tokens = make([]token, c.scan.tree.compile(0, 0))
	for _, path := range m.EventID {
		c.eventID = append(c.eventID, textField{c.field("event_id", path), m.EventIDBytesMax, "event_id_bytes_max", required | notEmpty})
	}
	c.item = textField{c.field("item", m.Item), m.ItemBytesMax, "item_bytes_max", required | notEmpty}
	c.region = textField{c.field("region", m.Region), m.DimensionBytesMax, "dimension_bytes_max", required}
	if m.RegionDefault != nil {
		c.regionDefault = []byte(*m.RegionDefault)
		c.region.need = 0
	}
	for _, path := range m.Dimensions {
		c.dimensions = append(c.dimensions, textField{c.field("dimensions", path), m.DimensionBytesMax, "dimension_bytes_max", 0})
	}
	c.user = textField{c.field("user", m.User), m.UserBytesMax, "user_bytes_max", 0}
	c.time = newTimeField(c.field("time", m.Time), m)
	c.value = newValueField(c.field("value", m.Value), m.ValueScale)
	return c, nil
}

// Decode reads one record's value; nil stands for a null value. It fills e, whose
// slices point into value or into memory of e's own, or returns a *MalformedError that says what is wrong with
// the value, and leaves e undefined. Where several things are wrong it names the first one: syntax
// before fields, then event ID, item, region, dimensions, time, value, user.
func (c *JSON) Decode(value []byte, e *Event) error {
	if err := c.checkRecord(value); err != nil {
		return err
	}
	if at, field, f := c.scan.scan(value); f != noFault {
		path := ""
		if field != nil && field.node == noNode {
			path = field.path
		}
		return malformedAt(value, at, f, path)
	}
	c.text = e.text[:0]
	err := c.decodeFields(value, e)
	e.text = c.text
	return err
}

func (c *JSON) decodeFields(value []byte, e *Event) (err error) {
	if e.ID, err = c.decodeID(value); err != nil {
		return err
	}
	if e.Item, err = c.decodeText(value, &c.item); err != nil {
		return err
	}
	if e.group, err = c.decodeGroup(value, e.group[:0]); err != nil {
		return err
	}
	e.Group = e.group
	if e.Time, err = c.decodeTime(value); err != nil {
		return err
	}
	if e.Value, err = c.value.decode(value, c.token(c.value.slot)); err != nil {
		return err
	}
	e.User, err = c.decodeText(value, &c.user)
	return err
}

// checkRecord refuses what isn't worth scanning.
func (c *JSON) checkRecord(value []byte) error {
	switch {
	case value == nil:
		return malformed(NullRecord, "", "the record has no value (a tombstone); events are not deleted by key")
	case len(value) > c.recordBytesMax:
		return malformed(RecordTooLarge, "", "the record has %d bytes; record_bytes_max is %d", len(value), c.recordBytesMax)
	case skipSpace(value, 0) == len(value):
		return malformed(EmptyRecord, "", "the record's value is empty; send a JSON object")
	}
	return nil
}

func (c *JSON) decodeID(value []byte) (ID, error) {
	if len(c.eventID) == 1 {
		text, err := c.decodeText(value, &c.eventID[0])
		if err != nil {
			return ID{}, err
		}
		return NewID(text), nil
	}
	c.idParts = c.idParts[:0]
	for i := range c.eventID {
		text, err := c.decodeText(value, &c.eventID[i])
		if err != nil {
			return ID{}, err
		}
		c.idParts = AppendGroup(c.idParts, text) // a length and the bytes: just what an ID of several needs
	}
	return NewID(c.idParts), nil
}

// decodeGroup appends the region and the dimensions to group.
func (c *JSON) decodeGroup(value, group []byte) ([]byte, error) {
	region, err := c.decodeText(value, &c.region)
	if err != nil {
		return group, err
	}
	if region == nil {
		region = c.regionDefault
	}
	group = AppendGroup(group, region)
	for i := range c.dimensions {
		text, err := c.decodeText(value, &c.dimensions[i])
		if err != nil {
			return group, err
		}
		group = AppendGroup(group, text)
	}
	return group, nil
}

// field resolves a path of the mapping.
func (c *JSON) field(setting, path string) field {
	if path == "" {
		return field{setting: setting, slot: noSlot}
	}
	return field{path: path, setting: setting, slot: c.scan.tree.slot(path)}
}

// token returns what the scanner found for a field.
func (c *JSON) token(slot int16) token {
	if slot == noSlot {
		return token{}
	}
	return c.scan.tokens[slot]
}
