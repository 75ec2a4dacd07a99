package event

import (
	"encoding/json"
	"strings"
	"testing"
)

// Every byte at every place of a string, for the test of eight bytes at a time.
func TestScanStringEveryByteEverywhere(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				inside := []byte(strings.Repeat("x", length))
				inside[at] = byte(c)
				for _, after := range []string{`"`, `",""""""""""`, "\"\x00\xff\\\"\"\"\"\"\""} {
					record := append(append([]byte{}, inside...), after...)
					end, k, f := scanString(record, 0)
					switch {
					case c == '"':
						if end != at || k != plain || f != noFault {
							t.Fatalf("%q: %d %v %v", record, end, k, f)
						}
					case c == '\\':
						if at+1 < length && f != faultEscape { // \x
							t.Fatalf("%q: %d %v %v", record, end, k, f)
						}
					case c < ' ':
						if end != at || f != faultControl {
							t.Fatalf("%q: %d %v %v", record, end, k, f)
						}
					case c >= 0x80:
						if end != at || f != faultUTF8 {
							t.Fatalf("%q: %d %v %v", record, end, k, f)
						}
					default:
						if end != length || k != plain || f != noFault {
							t.Fatalf("%q: %d %v %v", record, end, k, f)
						}
					}
				}
			}
		}
	}
}

// Every text of up to six characters that could be a number or a word, against encoding/json.
func TestScanNumbersAgainstEncodingJSON(t *testing.T) {
	const alphabet = "-+01.eE"
	var try func(text string)
	c := newCodec(t, nil)
	try = func(text string) {
		record := []byte(`{"a":` + text + `}`)
		_, _, f := c.scan.scan(record)
		if want := json.Valid(record); (f == noFault) != want {
			t.Errorf("%s: fault %d, encoding/json says %v", record, f, want)
		}
		if len(text) < 6 {
			for i := range alphabet {
				try(text + alphabet[i:i+1])
			}
		}
	}
	try("")
}

// Every short text of brackets, commas, colons and keys, against encoding/json.
func TestScanStructureAgainstEncodingJSON(t *testing.T) {
	words := []string{"{", "}", "[", "]", ",", ":", `"a"`, "1", " "}
	c := newCodec(t, func(m *Mapping) { m.Item = "a.a" })
	var try func(text string, n int)
	try = func(text string, n int) {
		record := []byte("{" + text)
		_, _, f := c.scan.scan(record)
		if want := json.Valid(record); (f == noFault) != want {
			t.Errorf("%s: fault %d, encoding/json says %v", record, f, want)
		}
		if n > 0 {
			for _, word := range words {
				try(text+word, n-1)
			}
		}
	}
	try("", 6)
	try(`"a":`, 6)
	try(`"a":{"a":[`, 5)
}

func TestUnescapeAgainstEncodingJSON(t *testing.T) {
	parts := []string{`\ud83d`, `\ude00`, `\uD800`, `\u0041`, `\ufffd`, `\n`, `\\`, `\"`, `é`, "x", ""}
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				inside := a + b + c
				var want string
				if err := json.Unmarshal([]byte(`"`+inside+`"`), &want); err != nil {
					t.Fatal(err)
				}
				got, whole := unescape(nil, []byte(inside))
				if string(got) != want || whole == hasLoneSurrogate(inside) {
					t.Errorf("%s is %q, %v; want %q", inside, got, whole, want)
				}
			}
		}
	}
}
