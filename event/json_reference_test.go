package event

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// referenceDecode is what JSON must do, written the slow and plain way: encoding/json
// finds the values, then our stricter rules are applied one by one. It shares no code
// with the codec. It returns an error where the record is malformed, without saying why.
func referenceDecode(m Mapping, record []byte) (e Event, err error) {
	defer func() {
		if r, ok := recover().(referenceError); ok {
			err = r
		}
	}()
	must(len(record) <= m.RecordBytesMax, "too large")
	must(utf8.Valid(record), "not UTF-8")
	must(json.Valid(record), "not JSON")
	must(bytes.HasPrefix(bytes.TrimLeft(record, " \t\r\n"), []byte("{")), "not an object")
	must(referenceDepth(record) <= 128, "too deep")

	var id []byte
	for _, path := range m.EventID {
		text := referenceText(record, path, m.EventIDBytesMax)
		must(text != nil && *text != "", "no event ID")
		if len(m.EventID) == 1 {
			id = []byte(*text)
			break
		}
		id = binary.AppendUvarint(id, uint64(len(*text)))
		id = append(id, *text...)
	}
	hash := xxh3.Hash128(id)
	e.ID = ID{hash.Hi, hash.Lo}

	item := referenceText(record, m.Item, m.ItemBytesMax)
	must(item != nil && *item != "", "no item")
	e.Item = []byte(*item)

	region := referenceText(record, m.Region, m.DimensionBytesMax)
	if region == nil {
		region = m.RegionDefault
	}
	must(region != nil, "no region")
	group := []string{*region}
	for _, path := range m.Dimensions {
		dimension := referenceText(record, path, m.DimensionBytesMax)
		if dimension == nil {
			dimension = new(string)
		}
		group = append(group, *dimension)
	}
	e.Group = []byte(NewGroup(group...))
	if user := referenceText(record, m.User, m.UserBytesMax); user != nil {
		e.User = []byte(*user)
	}
	e.Time = referenceTime(m, referenceValue(record, m.Time))
	e.Value = referenceScaled(m, referenceValue(record, m.Value))
	return e, nil
}

type referenceError string

func (e referenceError) Error() string { return string(e) }

func must(ok bool, why string) {
	if !ok {
		panic(referenceError(why))
	}
}

// referenceValue returns the JSON of the last value at a path, "null" where there is none.
func referenceValue(record []byte, path string) string {
	if path == "" {
		return "null"
	}
	const dot = "\x00" // stands for an escaped dot
	value := json.RawMessage(record)
	for name := range strings.SplitSeq(strings.ReplaceAll(path, `\.`, dot), ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return "null" // no object: nothing is in it
		}
		var ok bool
		if value, ok = object[strings.ReplaceAll(name, dot, ".")]; !ok {
			return "null"
		}
	}
	return string(bytes.TrimSpace(value))
}

var (
	integerRE = regexp.MustCompile(`^-?[0-9]+$`)
	numberRE  = regexp.MustCompile(`^-?[0-9]`)
)

// referenceText returns the text at a path, nil where it is missing or null.
func referenceText(record []byte, path string, bytesMax int) *string {
	value := referenceValue(record, path)
	if value == "null" {
		return nil
	}
	if value[0] == '"' {
		must(!hasLoneSurrogate(value), "half a character")
		var text string
		must(json.Unmarshal([]byte(value), &text) == nil, "not a string")
		value = text
	} else {
		must(integerRE.MatchString(value), "wrong type")
	}
	must(len(value) <= bytesMax, "too long")
	return &value
}

// hasLoneSurrogate looks at the escapes of a string of JSON one by one.
func hasLoneSurrogate(s string) bool {
	var units []int // UTF-16 units of the escapes; -1 for all else
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			units = append(units, -1)
		case s[i+1] == 'u':
			unit, _ := strconv.ParseInt(s[i+2:i+6], 16, 32)
			units = append(units, int(unit))
			i += 5
		default:
			units = append(units, -1)
			i++
		}
	}
	units = append(units, -1)
	for i := 0; i < len(units); i++ {
		high := units[i] >= 0xd800 && units[i] < 0xdc00
		low := units[i] >= 0xdc00 && units[i] < 0xe000
		if high && units[i+1] >= 0xdc00 && units[i+1] < 0xe000 {
			i++
		} else if high || low {
			return true
		}
	}
	return false
}

func referenceDepth(record []byte) int {
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	depth, deepest := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return deepest
		}
		must(err == nil, "not JSON")
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

var rfc3339RE = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

func referenceTime(m Mapping, value string) int64 {
	must(value != "null", "no time")
	var t time.Time
	if m.TimeFormat == RFC3339 {
		var text string
		must(json.Unmarshal([]byte(value), &text) == nil, "not a string")
		text = strings.ToUpper(text)
		must(rfc3339RE.MatchString(text), "not RFC 3339")
		leap := text[17:19] == "60"
		if leap {
			text = text[:17] + "59.999" + text[strings.IndexAny(text[17:], "Z+-")+17:]
		}
		var err error
		t, err = time.Parse(time.RFC3339, text)
		must(err == nil, "no such day")
		must(!leap || t.UTC().Format("15:04:05") == "23:59:59", "no leap second")
	} else {
		must(integerRE.MatchString(value), "not an integer")
		n, err := strconv.ParseInt(value, 10, 64)
		must(err == nil, "overflow")
		nanos := map[TimeFormat]int64{UnixSeconds: 1e9, UnixMillis: 1e6, UnixMicros: 1e3, UnixNanos: 1}[m.TimeFormat]
		all := new(big.Int).Mul(big.NewInt(n), big.NewInt(nanos))
		ms := new(big.Int).Div(all, big.NewInt(1e6)) // rounds down, since the divisor is positive
		must(ms.IsInt64() && ms.Int64() < 1<<50 && ms.Int64() > -1<<50, "out of range")
		t = time.UnixMilli(ms.Int64())
	}
	must(!t.Before(m.TimeMin) && t.Before(m.TimeMax), "out of range")
	return t.UnixMilli()
}

func referenceScaled(m Mapping, value string) int64 {
	scale := new(big.Rat).SetInt64(int64(math.Pow10(m.ValueScale)))
	if value == "null" {
		return scale.Num().Int64()
	}
	must(numberRE.MatchString(value), "not a number")
	mantissa, exponent, _ := strings.Cut(strings.ToLower(value), "e")
	if strings.Trim(mantissa, "-0.") == "" {
		return 0
	}
	if exponent != "" {
		n, err := strconv.Atoi(exponent)
		must(err == nil && n > -5000 && n < 5000, "out of range") // shorter records can't make up for it
		must(len(value) < 4000, "the reference is too slow for this")
	}
	r, ok := new(big.Rat).SetString(value)
	must(ok, "not a number")
	r.Mul(r, scale)
	must(r.IsInt(), "too many decimals")
	must(new(big.Int).Abs(r.Num()).Cmp(big.NewInt(1<<53)) <= 0, "out of range")
	return r.Num().Int64()
}

// sameEvent says in what two events differ, or returns "".
func sameEvent(got, want *Event) string {
	switch {
	case got.ID != want.ID:
		return fmt.Sprintf("ID %x, want %x", got.ID, want.ID)
	case !bytes.Equal(got.Item, want.Item):
		return fmt.Sprintf("Item %q, want %q", got.Item, want.Item)
	case !bytes.Equal(got.Group, want.Group):
		return fmt.Sprintf("Group %q, want %q", got.Group, want.Group)
	case !bytes.Equal(got.User, want.User) || (got.User == nil) != (want.User == nil):
		return fmt.Sprintf("User %#v, want %#v", got.User, want.User)
	case got.Time != want.Time:
		return fmt.Sprintf("Time %d, want %d", got.Time, want.Time)
	case got.Value != want.Value:
		return fmt.Sprintf("Value %d, want %d", got.Value, want.Value)
	}
	return ""
}
