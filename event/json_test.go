package event

import (
	"strings"
	"testing"
	"time"
)

func TestJSONAccepts(t *testing.T) {
	type want struct {
		id, item, region, user string
		time                   string
		value                  int64
	}
	base := want{"e1", "i1", "eu", "u1", "2026-11-22T18:40:56Z", 3}
	item := func(s string) want { w := base; w.item = s; return w }
	region := func(s string) want { w := base; w.region = s; return w }
	at := func(s string) want { w := base; w.time = s; return w }
	value := func(n int64) want { w := base; w.value = n; return w }

	for _, test := range []struct {
		name, record string
		want         want
	}{
		{"plain", good, base},
		{"unknown fields", `{"new":{"item_id":"x","deep":[1,{"item_id":null}]},` + good[1:], base},
		{"duplicate keys: the last one wins", `{"item_id":"first","value":null,` + good[1:], base},
		{"duplicate keys: a wrong type is put right", `{"item_id":{"a":1},"timestamp":true,` + good[1:], base},
		{"escaped key", strings.Replace(good, "item_id", `item\u005fid`, 1), base},
		{"case matters", `{"ITEM_ID":"no","Value":7,` + good[1:], base},
		{"white space", "\r\n\t { \"event_id\" : \"e1\" ,\n\"item_id\"\t:\"i1\",\"region\":\"eu\" , \"timestamp\":\"2026-11-22T18:40:56Z\",\"value\": 3 ,\"user_id\":\"u1\"\r} \n", base},
		{"integer item", with("item_id", `42`), item("42")},
		{"string item of the same text", with("item_id", `"42"`), item("42")},
		{"integer beyond 64 bits", with("item_id", `-123456789012345678901234567890`), item("-123456789012345678901234567890")},
		{"NFC", with("item_id", `"caf`+"\u00e9"+`"`), item("caf\u00e9")},
		{"NFD is another item", with("item_id", `"cafe`+"\u0301"+`"`), item("cafe\u0301")},
		{"Redis' and SQL's special characters", with("item_id", `"a:{b}'; DROP TABLE cells; --%"`), item("a:{b}'; DROP TABLE cells; --%")},
		{"quotes and newlines", with("region", `"\"a\"\n\r\\\/"`), region("\"a\"\n\r\\/")},
		{"a zero byte", with("item_id", `"\u0000"`), item("\x00")},
		{"a surrogate pair", with("item_id", `"\uD83D\ude00"`), item("😀")},
		{"an escaped U+FFFD", with("item_id", `"\ufffd"`), item("\ufffd")},
		{"half a character in an ignored field", `{"a":"\ud800","\udc00":1,` + good[1:], base},
		{"empty region", with("region", `""`), region("")},
		{"longest texts", with("item_id", `"`+strings.Repeat("é", 512)+`"`), item(strings.Repeat("é", 512))},
		{"limits count unescaped bytes", with("region", `"`+strings.Repeat(`\u0041`, 256)+`"`), region(strings.Repeat("A", 256))},
		{"offset", with("timestamp", `"2026-11-22T18:40:56.7899+05:30"`), at("2026-11-22T13:10:56.789Z")},
		{"value missing", with("value", ``), value(1)},
		{"value null", with("value", `null`), value(1)},
		{"value zero", with("value", `-0`), value(0)},
		{"value negative", with("value", `-12`), value(-12)},
		{"value with an exponent", with("value", `1.5e3`), value(1500)},
		{"nesting 128 deep", `{"a":` + strings.Repeat(`[`, 127) + strings.Repeat("]", 127) + "," + good[1:], base},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e Event
			if err := newCodec(t, nil).Decode([]byte(test.record), &e); err != nil {
				t.Fatal(err)
			}
			when, err := time.Parse(time.RFC3339, test.want.time)
			if err != nil {
				t.Fatal(err)
			}
			diff := sameEvent(&e, &Event{
				ID: NewID([]byte(test.want.id)), Item: []byte(test.want.item), Group: []byte(NewGroup(test.want.region)),
				User: []byte(test.want.user), Time: when.UnixMilli(), Value: test.want.value,
			})
			if diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONUserIsOptional(t *testing.T) {
	c := newCodec(t, nil)
	for record, want := range map[string]string{with("user_id", ""): "none", with("user_id", "null"): "none", with("user_id", `""`): ""} {
		e := Event{User: []byte("stale")}
		if err := c.Decode([]byte(record), &e); err != nil {
			t.Fatal(err)
		}
		if (e.User == nil) != (want == "none") || len(e.User) != 0 {
			t.Errorf("%s: user %#v", record, e.User)
		}
	}
}

func TestJSONRegionAndDimensions(t *testing.T) {
	world := "world"
	for _, test := range []struct {
		name   string
		change func(*Mapping)
		record string
		want   Group
	}{
		{"default of a missing region", func(m *Mapping) { m.RegionDefault = &world }, with("region", ""), NewGroup("world")},
		{"default of a null region", func(m *Mapping) { m.RegionDefault = &world }, with("region", "null"), NewGroup("world")},
		{"no default for an empty region", func(m *Mapping) { m.RegionDefault = &world }, with("region", `""`), NewGroup("")},
		{"no region mapped", func(m *Mapping) { m.Region, m.RegionDefault = "", &world }, with("region", `{}`), NewGroup("world")},
		{"an empty default", func(m *Mapping) { m.RegionDefault = new(string) }, with("region", ""), NewGroup("")},
		{"dimensions in order, missing ones empty", func(m *Mapping) { m.Dimensions = []string{"x", "user_id", "y.z"} },
			`{"y":{"z":7},"x":null,` + good[1:], NewGroup("eu", "", "u1", "7")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e Event
			if err := newCodec(t, test.change).Decode([]byte(test.record), &e); err != nil {
				t.Fatal(err)
			}
			if Group(e.Group) != test.want {
				t.Errorf("group %q, want %q", e.Group, test.want)
			}
		})
	}
}

func TestJSONBadDimension(t *testing.T) {
	c := newCodec(t, func(m *Mapping) { m.Dimensions = []string{"x", "y"} })
	checkMalformed(t, c, []byte(`{"y":[],`+good[1:]), WrongType, "y", "an array")
	checkMalformed(t, c, []byte(`{"y":"`+strings.Repeat("y", 257)+`",`+good[1:]), FieldTooLong, "y", "dimension_bytes_max")
}

func TestJSONEventIDOfSeveralFields(t *testing.T) {
	c := newCodec(t, func(m *Mapping) { m.EventID = []string{"a", "b"} })
	id := func(a, b string) ID {
		t.Helper()
		var e Event
		if err := c.Decode([]byte(`{"a":"`+a+`","b":"`+b+`",`+good[1:]), &e); err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	if id("a", "bc") == id("ab", "c") {
		t.Error(`("a", "bc") and ("ab", "c") have the same ID`)
	}
	if id("a", "bc") != id("a", "b\\u0063") {
		t.Error("the ID depends on how a text is escaped")
	}
	checkMalformed(t, c, []byte(`{"a":"x",`+good[1:]), FieldMissing, "b", "missing")
	checkMalformed(t, c, []byte(`{"a":"","b":"x",`+good[1:]), FieldEmpty, "a", "empty")
}

func TestJSONDottedPaths(t *testing.T) {
	c := newCodec(t, func(m *Mapping) {
		m.Item, m.Region, m.User = "p.item", "p.q.region", `dotted\.name.back\\slash`
	})
	rest := `"event_id":"e","timestamp":"2026-11-22T18:40:56Z"}`
	for _, test := range []struct {
		name, record string
		item, user   string
		missing      string
	}{
		{"inside objects", `{"p":{"x":[{"item":1}],"q":{"region":"eu"},"item":"i"},"dotted.name":{"back\\slash":"u"},`, "i", "u", ""},
		{"a later object replaces all of an earlier one", `{"p":{"item":"i","q":{"region":"eu"}},"p":{"q":{"region":"eu"}},`, "", "", "p.item"},
		{"so does a later text", `{"p":{"item":"i","q":{"region":"eu"},"q":"none"},`, "", "", "p.q.region"},
		{"and a later list", `{"p":{"item":"i","q":{"region":"eu"}},"p":[{"item":"j"}],`, "", "", "p.item"},
		{"but only of its own", `{"p":{"q":{"region":"us"},"item":"i","q":{"region":"eu"}},`, "i", "", ""},
		{"a key with the dot in it is another field", `{"p.item":"j","p":{"q":{"region":"eu"}},`, "", "", "p.item"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.missing != "" {
				checkMalformed(t, c, []byte(test.record+rest), FieldMissing, test.missing, "missing")
				return
			}
			var e Event
			if err := c.Decode([]byte(test.record+rest), &e); err != nil {
				t.Fatal(err)
			}
			if string(e.Item) != test.item || string(e.User) != test.user || Group(e.Group) != NewGroup("eu") {
				t.Errorf("item %q, user %q, group %q", e.Item, e.User, e.Group)
			}
		})
	}
}

// Texts with escapes live in the codec's memory, which moves as it grows: each must
// stay whole, and a view of one must not be able to grow into the next.
func TestJSONUnescapedTextsStayApart(t *testing.T) {
	c := newCodec(t, nil)
	record := []byte(`{"event_id":"\u0041","item_id":"\u0042","region":"\u0043","timestamp":"2026-11-22\u005418:40:56Z","user_id":"\u0044"}`)
	for range 3 {
		var e Event
		if err := c.Decode(record, &e); err != nil {
			t.Fatal(err)
		}
		_ = append(e.Item, '!')
		if string(e.Item) != "B" || string(e.User) != "D" || e.ID != NewID([]byte("A")) {
			t.Errorf("item %q, user %q", e.Item, e.User)
		}
	}
}

func TestJSONDoesNotAllocate(t *testing.T) {
	for _, r := range benchRecords {
		c := newCodec(t, func(m *Mapping) { m.TimeFormat = r.format })
		checkAllocations(t, c, r.record)
	}
	several := newCodec(t, func(m *Mapping) {
		m.EventID, m.Dimensions, m.ValueScale = []string{"event_id", "user_id"}, []string{"a.b", "a.c"}, 9
	})
	checkAllocations(t, several, `{"a":{"b":"caf\u00e9","c":"حارم"},`+good[1:])
	checkAllocations(t, several, with("value", "1"+strings.Repeat("0", 50)+"e-000000000000000000000000000000000000000000000000050"))
}

func checkAllocations(t *testing.T, c *JSON, record string) {
	t.Helper()
	value := []byte(record)
	var e Event
	allocs := testing.AllocsPerRun(100, func() {
		if err := c.Decode(value, &e); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for %s", allocs, record)
	}
}

func TestGoodRecordsAreGood(t *testing.T) {
	compare := newComparison(t)
	for _, record := range goodRecords {
		if !compare(t, []byte(record)) {
			t.Errorf("no mapping accepts %s", record)
		}
	}
}
