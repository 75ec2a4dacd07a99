package event

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// TimeFormat says how an event's time is written.
type TimeFormat string

// The time formats. An integer is never guessed at: the same digits mean a moment in
// 1970 in one unit and in 2026 in another, so the unit is a setting.
const (
	// RFC3339 is a string such as "2026-11-22T18:40:56.123+02:00", any offset. Digits
	// after the millisecond are cut off. T and Z may be lower case, as RFC 3339 has it;
	// a space for T, a comma for the point and a one-digit hour, which time.Parse and
	// ISO 8601 let through here and there, are malformed. The leap second 23:59:60 UTC
	// is the last millisecond of its day (Unix time has no number for it, and the next
	// one belongs to another pane); :60 at any other time is malformed.
	RFC3339 TimeFormat = "rfc3339"
	// UnixSeconds, UnixMillis, UnixMicros and UnixNanos are integers, written without
	// fraction, exponent or quotes; what is finer than a millisecond is cut off (floor).
	UnixSeconds TimeFormat = "unix_s"
	UnixMillis  TimeFormat = "unix_ms"
	UnixMicros  TimeFormat = "unix_us"
	UnixNanos   TimeFormat = "unix_ns"
)

// Mapping says where in a JSON record the parts of an event are, and what is accepted.
// Start from DefaultMapping; the zero Mapping is not valid.
//
// A path is field names joined by dots ("payload.item.id"). A dot or a backslash inside
// a name is escaped with a backslash: `a\.b` is the field "a.b". Names match exactly,
// case included. Several parts may share a path, such as an event ID made of the user
// and the item; but no path may lead through another one, since a field can't be a
// value and an object at once.
type Mapping struct {
	// EventID holds the paths whose values make an event unique. The ID of one field
	// is NewID of its bytes; that of several is NewID of all values, each preceded by
	// its length, so that ("a", "bc") and ("ab", "c") differ. Each must be there and not empty.
	EventID []string
	// Item is the path of the item. It must be there and not empty.
	Item string
	// Region is the path of the region. "" where events have none; then RegionDefault is due.
	Region string
	// RegionDefault is the region of an event whose region is missing or null. Where it
	// is nil, such an event is malformed. The region "" is a region like any other.
	RegionDefault *string
	// Dimensions are the paths of the dimensions that come after the region in a group.
	// A dimension that is missing or null is "": events without a category still count.
	Dimensions []string
	// Time is the path of the event time. It must be there.
	Time string
	// TimeFormat is how the time is written.
	TimeFormat TimeFormat
	// TimeMin and TimeMax are the accepted times, [TimeMin, TimeMax). They are there to
	// catch a wrong unit, which lands in 1970 or in the year 50,000, before it moves a watermark.
	TimeMin, TimeMax time.Time
	// Value is the path of the value. Where it is missing or null, or Value is "", the value is 1.
	Value string
	// ValueScale is how many decimals a value has, 0 to 9. "12.34" at scale 2 is 1234;
	// a missing value is 1, that is 10^ValueScale. More decimals are malformed, never
	// rounded; so is what lies beyond 2^53 after scaling, since a score is a float64.
	ValueScale int
	// User is the path of the user. "" where events have none.
	User string

	// EventIDBytesMax limits each field of the event ID, in bytes after unescaping.
	EventIDBytesMax int
	// ItemBytesMax limits the item.
	ItemBytesMax int
	// DimensionBytesMax limits the region and each dimension.
	DimensionBytesMax int
	// UserBytesMax limits the user.
	UserBytesMax int
	// RecordBytesMax limits the record's value as a whole.
	RecordBytesMax int
}

// Limits of a mapping itself.
const (
	fieldsMax      = 32      // fields of the event ID, and dimensions
	valueScaleMax  = 9       // so that the default, 1, is 10^9 and int64 holds every product
	recordBytesTop = 1 << 30 // so that offsets in a record fit an int32
)

// DefaultMapping returns the mapping of flat events with the fields event_id, item_id,
// region, timestamp (RFC 3339), value and user_id, of the years 2000 to 2099.
func DefaultMapping() Mapping {
	return Mapping{
		EventID:           []string{"event_id"},
		Item:              "item_id",
		Region:            "region",
		Time:              "timestamp",
		TimeFormat:        RFC3339,
		TimeMin:           time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		TimeMax:           time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		Value:             "value",
		User:              "user_id",
		EventIDBytesMax:   1024,
		ItemBytesMax:      1024,
		DimensionBytesMax: 256,
		UserBytesMax:      256,
		RecordBytesMax:    1 << 20,
	}
}

// Validate returns nil, or all that is wrong with m, joined (errors.Join). Each error
// names the setting to mend.
func (m Mapping) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("event: mapping: %s: %s", setting, fmt.Sprintf(format, args...)))
	}
	m.validatePaths(bad)
	m.validateRanges(bad)
	return errors.Join(errs...)
}

func (m Mapping) validatePaths(bad func(setting, format string, args ...any)) {
	if len(m.EventID) == 0 {
		bad("event_id", "names no field; name at least one")
	}
	for _, list := range []struct {
		setting string
		paths   []string
	}{{"event_id", m.EventID}, {"dimensions", m.Dimensions}} {
		if len(list.paths) > fieldsMax {
			bad(list.setting, "has %d fields; at most %d are possible", len(list.paths), fieldsMax)
		}
		sorted := slices.Sorted(slices.Values(list.paths))
		for i := 1; i < len(sorted); i++ {
			if sorted[i] == sorted[i-1] {
				bad(list.setting, "names %q more than once", sorted[i])
			}
		}
	}
	if m.Region == "" && m.RegionDefault == nil {
		bad("region", "is not set; name the field, or set region_default")
	}
	if d := m.RegionDefault; d != nil && (len(*d) > m.DimensionBytesMax || !utf8.ValidString(*d)) {
		bad("region_default", "must be valid UTF-8 of at most dimension_bytes_max = %d bytes", m.DimensionBytesMax)
	}
	var tree pathTree
	for _, p := range m.paths() {
		if p.path == "" && p.optional {
			continue
		}
		if err := tree.insert(p.path); err != nil {
			bad(p.setting, "%v", err)
		}
	}
}

func (m Mapping) validateRanges(bad func(setting, format string, args ...any)) {
	switch m.TimeFormat {
	case RFC3339, UnixSeconds, UnixMillis, UnixMicros, UnixNanos:
	default:
		bad("time_format", "is %q; it must be one of %s, %s, %s, %s, %s", m.TimeFormat, RFC3339, UnixSeconds, UnixMillis, UnixMicros, UnixNanos)
	}
	if !m.TimeMin.Before(m.TimeMax) {
		bad("time_min", "is not before time_max")
	}
	if m.TimeMin.UTC().Year() < 1 || m.TimeMax.UTC().Year() > 9999 { // RFC 3339's years; and int64 holds every sum of times
		bad("time_min, time_max", "must lie in the years 1 to 9999")
	}
	if m.ValueScale < 0 || m.ValueScale > valueScaleMax {
		bad("value_scale", "is %d; it must be 0 to %d", m.ValueScale, valueScaleMax)
	}
	for _, limit := range []struct {
		setting string
		value   int
	}{
		{"event_id_bytes_max", m.EventIDBytesMax}, {"item_bytes_max", m.ItemBytesMax},
		{"dimension_bytes_max", m.DimensionBytesMax}, {"user_bytes_max", m.UserBytesMax},
		{"record_bytes_max", m.RecordBytesMax},
	} {
		if limit.value < 1 || limit.value > recordBytesTop {
			bad(limit.setting, "is %d; it must be 1 to %d", limit.value, recordBytesTop)
		}
	}
}

// mappedPath is one path of a mapping, with the setting that it comes from.
type mappedPath struct {
	setting, path string
	optional      bool // the path may be "": the events have no such field
}

// paths returns all paths of m, in the order in which an event's parts are read.
func (m Mapping) paths() []mappedPath {
	var all []mappedPath
	for _, p := range m.EventID {
		all = append(all, mappedPath{"event_id", p, false})
	}
	all = append(all, mappedPath{"item", m.Item, false}, mappedPath{"region", m.Region, true})
	for _, p := range m.Dimensions {
		all = append(all, mappedPath{"dimensions", p, false})
	}
	return append(all, mappedPath{"time", m.Time, false}, mappedPath{"value", m.Value, true}, mappedPath{"user", m.User, true})
}
