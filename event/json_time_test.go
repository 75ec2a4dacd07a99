package event

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func TestParseRFC3339(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // "" for malformed
	}{
		{"2026-11-22T18:40:56Z", "2026-11-22T18:40:56Z"},
		{"2026-11-22t18:40:56z", "2026-11-22T18:40:56Z"},
		{"2026-11-22T18:40:56.1Z", "2026-11-22T18:40:56.1Z"},
		{"2026-11-22T18:40:56.1239999999999999Z", "2026-11-22T18:40:56.123Z"},
		{"1969-12-31T23:59:59.0009Z", "1969-12-31T23:59:59Z"},
		{"2026-11-22T18:40:56+14:00", "2026-11-22T04:40:56Z"},
		{"2026-11-22T18:40:56.5-23:59", "2026-11-23T18:39:56.5Z"},
		{"2026-11-22T18:40:56-00:00", "2026-11-22T18:40:56Z"},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		// Leap seconds: the last millisecond of their UTC day, whatever the offset.
		{"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"},
		{"2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999Z"},
		{"2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59.999Z"},
		{"2016-12-31T15:59:60.000-08:00", "2016-12-31T23:59:59.999Z"},
		{"2016-12-31T23:58:60Z", ""},
		{"2016-12-31T23:59:60+01:00", ""},
		{"2016-12-31T23:59:61Z", ""},
		// What time.Parse or ISO 8601 let through, or nobody does.
		{"2026-11-22T18:40:56,5Z", ""},
		{"2026-11-22T8:40:56Z", ""},
		{"2026-11-22 18:40:56Z", ""},
		{"2026-11-22T18:40Z", ""},
		{"2026-11-22T18:40:56", ""},
		{"2026-11-22T18:40:56.Z", ""},
		{"2026-11-22T18:40:56.5", ""},
		{"2026-11-22T18:40:56+0200", ""},
		{"2026-11-22T18:40:56+02", ""},
		{"2026-11-22T18:40:56+24:00", ""},
		{"2026-11-22T18:40:56+02:60", ""},
		{"2026-11-22T18:40:56ZZ", ""},
		{"2026-11-22T24:00:00Z", ""},
		{"2026-11-22T18:60:00Z", ""},
		{"2026-00-22T18:40:56Z", ""},
		{"2026-13-22T18:40:56Z", ""},
		{"2026-11-00T18:40:56Z", ""},
		{"2026-11-31T18:40:56Z", ""},
		{"2026-02-29T18:40:56Z", ""},
		{"2100-02-29T18:40:56Z", ""},
		{"+2026-11-22T18:40:56Z", ""},
		{"2026-11-22T18:40:5/Z", ""},
		{"２026-11-22T18:40:56Z", ""},
		{"", ""},
		{" 2026-11-22T18:40:56Z", ""},
	} {
		ms, ok := parseRFC3339([]byte(test.text))
		got := ""
		if ok {
			got = time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
		}
		if got != test.want {
			t.Errorf("%q is %q, want %q", test.text, got, test.want)
		}
	}
}

// Every day of ten thousand years, against package time.
func TestDaysSinceEpoch(t *testing.T) {
	day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	for want := day.Unix() / 86400; day.Year() < 10000; want++ {
		y, m, d := day.Date()
		if got := daysSinceEpoch(int64(y), int64(m), int64(d)); got != want {
			t.Fatalf("%s is day %d, want %d", day.Format(time.DateOnly), got, want)
		}
		day = day.AddDate(0, 0, 1)
	}
}

// Random times, written in every format, come back.
func TestJSONTimeFormats(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		when := time.Unix(0, random.Int64N(1<<62)).In(time.FixedZone("", 60*(random.IntN(2878)-1439)))
		for format, text := range map[TimeFormat]string{
			RFC3339:     `"` + when.Format(time.RFC3339Nano) + `"`,
			UnixSeconds: strconv.FormatInt(when.Unix(), 10),
			UnixMillis:  strconv.FormatInt(when.UnixMilli(), 10),
			UnixMicros:  strconv.FormatInt(when.UnixMicro(), 10),
			UnixNanos:   strconv.FormatInt(when.UnixNano(), 10),
		} {
			c := newCodec(t, func(m *Mapping) { m.TimeFormat, m.TimeMin, m.TimeMax = format, time.Unix(0, 0), time.Unix(1<<33, 0) })
			var e Event
			if err := c.Decode([]byte(with("timestamp", text)), &e); err != nil {
				t.Fatal(err)
			}
			want := when.UnixMilli()
			if format == UnixSeconds {
				want = when.Unix() * 1000
			}
			if e.Time != want {
				t.Errorf("%s %s is %d, want %d", format, text, e.Time, want)
			}
		}
	}
}

func TestJSONTimeRangeIsHalfOpen(t *testing.T) {
	c := newCodec(t, func(m *Mapping) { m.TimeFormat = UnixMillis })
	var e Event
	for text, want := range map[string]Reason{
		"946684799999": TimeOutOfRange, "946684800000": "", "4102444799999": "", "4102444800000": TimeOutOfRange,
		"9223372036854775807": TimeOutOfRange, "-9223372036854775808": TimeNegative, "-9223372036854775809": TimeOverflow,
	} {
		if want != "" {
			checkMalformed(t, c, []byte(with("timestamp", text)), want, "timestamp", text)
		} else if err := c.Decode([]byte(with("timestamp", text)), &e); err != nil {
			t.Error(err)
		}
	}
}

// Times before 1970 are rounded down, not towards zero.
func TestUnixTimesRoundDown(t *testing.T) {
	for _, test := range []struct{ unit, n, want int64 }{{2, -1, -1}, {2, -1000, -1}, {2, -1001, -2}, {2, 1999, 1}, {3, -1, -1}, {3, 999999, 0}, {0, -1, -1000}} {
		if got := unixUnits[test.unit].toMillis(test.n); got != test.want {
			t.Errorf("%d %s are %d ms, want %d", test.n, unixUnits[test.unit].name, got, test.want)
		}
	}
}
