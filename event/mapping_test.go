package event

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDefaultMappingIsValid(t *testing.T) {
	if err := DefaultMapping().Validate(); err != nil {
		t.Error(err)
	}
}

func TestMappingValidate(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, test := range []struct {
		name   string
		change func(*Mapping)
		want   []string // parts of the error, one for each thing that is wrong
	}{
		{"no event ID", func(m *Mapping) { m.EventID = nil }, []string{"event_id: names no field"}},
		{"empty item", func(m *Mapping) { m.Item = "" }, []string{"item: is not set"}},
		{"no region and no default", func(m *Mapping) { m.Region = "" }, []string{"region: is not set; name the field, or set region_default"}},
		{"long region default", func(m *Mapping) { m.RegionDefault = &long }, []string{"region_default: must be valid UTF-8 of at most dimension_bytes_max = 256 bytes"}},
		{"empty name", func(m *Mapping) { m.User = "a..b" }, []string{`user: "a..b" has an empty field name`}},
		{"dot at the end", func(m *Mapping) { m.User = "a." }, []string{"empty field name"}},
		{"stray backslash", func(m *Mapping) { m.User = `a\b` }, []string{"stray backslash"}},
		{"backslash at the end", func(m *Mapping) { m.User = `a\` }, []string{"stray backslash"}},
		{"not UTF-8", func(m *Mapping) { m.User = "\xff" }, []string{"not valid UTF-8"}},
		{"too deep", func(m *Mapping) { m.User = strings.Repeat("a.", 128) + "b" }, []string{"129 names deep"}},
		{"one through another", func(m *Mapping) { m.Value = "item_id.value" }, []string{`value: "item_id.value" can't be mapped beside "item_id"`}},
		{"another through one", func(m *Mapping) { m.Item, m.User = "a.b.c", "a.b" }, []string{`user: "a.b" can't be mapped beside "a.b.c"`}},
		{"a dimension twice", func(m *Mapping) { m.Dimensions = []string{"x", "y", "x"} }, []string{`dimensions: names "x" more than once`}},
		{"too many", func(m *Mapping) { m.Dimensions = strings.Split(strings.Repeat("x", 33), "")[:33] }, []string{"dimensions: has 33 fields"}},
		{"time format", func(m *Mapping) { m.TimeFormat = "iso" }, []string{`time_format: is "iso"; it must be one of rfc3339, unix_s`}},
		{"time range", func(m *Mapping) { m.TimeMin = m.TimeMax }, []string{"time_min: is not before time_max"}},
		{"time far off", func(m *Mapping) { m.TimeMax = time.Unix(1<<40, 0) }, []string{"years 1 to 9999"}},
		{"scale", func(m *Mapping) { m.ValueScale = 10 }, []string{"value_scale: is 10; it must be 0 to 9"}},
		{"limits", func(m *Mapping) { m.ItemBytesMax, m.RecordBytesMax = 0, 1<<31 }, []string{"item_bytes_max: is 0", "record_bytes_max: is 2147483648"}},
		{"all at once", func(m *Mapping) { *m = Mapping{} }, []string{
			"event_id:", "item:", "region:", "time:", "time_format:", "time_min:",
			"event_id_bytes_max:", "item_bytes_max:", "dimension_bytes_max:", "user_bytes_max:", "record_bytes_max:",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := DefaultMapping()
			test.change(&m)
			c, err := NewJSON(m)
			if err == nil || c != nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in the error:\n%v", want, err)
				}
			}
		})
	}
}

func TestSplitPath(t *testing.T) {
	for path, want := range map[string][]string{
		"a": {"a"}, "a.b.c": {"a", "b", "c"}, `a\.b.c`: {"a.b", "c"}, `\.`: {"."}, `a\\.b`: {`a\`, "b"}, "é.-": {"é", "-"},
	} {
		if got, err := splitPath(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v; want %q", path, got, err, want)
		}
	}
}

// One field can serve several parts, and the codec keeps nothing of the caller's mapping.
func TestMappingSharesFields(t *testing.T) {
	m := DefaultMapping()
	world := "world"
	m.EventID, m.Dimensions, m.RegionDefault = []string{"user_id", "item_id"}, []string{"item_id"}, &world
	c, err := NewJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	m.EventID[0], m.Dimensions[0], world = "changed", "changed", "changed"
	var e Event
	if err := c.Decode([]byte(with("region", "")), &e); err != nil {
		t.Fatal(err)
	}
	if Group(e.Group) != NewGroup("world", "i1") || string(e.Item) != "i1" || string(e.User) != "u1" {
		t.Errorf("group %q, item %q, user %q", e.Group, e.Item, e.User)
	}
	if want := NewID([]byte(NewGroup("u1", "i1"))); e.ID != want {
		t.Errorf("ID %x, want %x", e.ID, want)
	}
}
