package sim

import (
	"fmt"
	"slices"
	"strings"
)

// A sound value, in the pieces that damage is done to.
const (
	soundID   = `"event_id":"e1",`
	soundItem = `"item_id":"a",`
	soundRest = `"region":"eu","timestamp":"2024-02-27T14:18:57.301Z"`
	sound     = `{` + soundID + soundItem + soundRest + `}`
)

// damages are all the cheap ways to spoil a value. Each is malformed under the default
// field names, whatever a decoder's taste.
var damages = slices.Concat(badObjects, inField("timestamp", badTimes), inField("value", badValues))

// badObjects are whole values.
var badObjects = []string{
	// not one JSON object
	"", " ", "null", "true", "0", `"e1"`, "[]", "[" + sound + "]", "\x00\x00\x00\x00\x07" + sound, "\x1f\x8b\x08\x00" + sound, "event_id=e1",
	sound[:1], sound[:12], sound[:len(sound)-2], sound[:len(sound)-1],
	sound + "x", sound + sound, sound + "}", sound + "\x00",
	`{` + soundID + soundItem + soundRest + `,}`, `{,` + soundID + soundItem + soundRest + `}`, `{'event_id':'e1',` + soundItem + soundRest + `}`,
	`{"event_id":"e1" ` + soundItem + soundRest + `}`, `{"event_id" "e1",` + soundItem + soundRest + `}`, `{event_id:"e1",` + soundItem + soundRest + `}`,
	// strings that aren't
	`{"event_id":"e` + "\xff" + `1",` + soundItem + soundRest + `}`, `{` + soundID + `"item_id":"` + "\xc3" + `",` + soundRest + `}`,
	`{` + soundID + `"item_id":"` + "\xed\xa0\x80" + `",` + soundRest + `}`, `{` + soundID + `"item_id":"` + "\n" + `",` + soundRest + `}`,
	`{` + soundID + `"item_id":"\x61",` + soundRest + `}`, `{` + soundID + `"item_id":"\u00g1",` + soundRest + `}`, `{` + soundID + soundRest + `,"item_id":"a}`,
	// event ID and item
	`{` + soundItem + soundRest + `}`, `{"event_id":"",` + soundItem + soundRest + `}`, `{"event_id":null,` + soundItem + soundRest + `}`,
	`{"event_id":{},` + soundItem + soundRest + `}`, `{"event_id":["e1"],` + soundItem + soundRest + `}`, `{"event_id":true,` + soundItem + soundRest + `}`,
	`{` + soundID + soundRest + `}`, `{` + soundID + `"item_id":[],` + soundRest + `}`, `{` + soundID + `"item_id":{"id":"a"},` + soundRest + `}`,
	`{` + soundID + soundItem + `"region":["eu"],"timestamp":"2024-02-27T14:18:57Z"}`,
	`{` + soundID + soundItem + `"region":"eu"}`,
}

// badTimes and badValues stand where a timestamp or a value is due.
var (
	badTimes = []string{
		"-1", "-1709043537301", "1e400", "99999999999999999999", "1709043537", "1709043537301000000", // seconds, nanoseconds
		`""`, `"yesterday"`, `"2024-13-01T00:00:00Z"`, `"2024-02-30T00:00:00Z"`, `"2024-02-27T25:00:00Z"`, `"2024-02-27T14:18:57.301Zx"`,
		"true", "{}", "[]", "01709043537301", "-", "1709043537301.",
	}
	badValues = []string{
		"NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9007199254740993", "-9007199254740993", "99999999999999999999999",
		"{}", "[1]", "true", `"many"`, "01", "+1", "--1", "1.", ".5", "1e", "0x10",
	}
)

// damaged returns the bytes of a malformed record, other ones for each offset: no
// value, one of all kinds above, and rarely one that is costly to make.
func damaged(r Record) []byte {
	const rare = 499
	switch n := r.Offset; n % rare {
	case 0:
		return []byte(`{` + soundID + soundItem + soundRest + `,"x":` + nested(10_000) + `}`)
	case 1:
		return fmt.Appendf(nil, `{"event_id":"%s",%s%s}`, strings.Repeat("e", 1<<20), soundItem, soundRest)
	default:
		if i := n % int64(len(damages)+1); i > 0 {
			return []byte(damages[i-1])
		}
		return nil
	}
}

// inField returns a value for each bad text, which stands in this field; all else is sound.
func inField(name string, texts []string) []string {
	var values []string
	for _, text := range texts {
		rest := soundRest
		if name == "timestamp" {
			rest = `"region":"eu"`
		}
		values = append(values, `{`+soundID+soundItem+rest+`,"`+name+`":`+text+`}`)
	}
	return values
}

// nested returns arrays in arrays.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
