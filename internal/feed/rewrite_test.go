package feed_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/feed"
)

// TestRewrite: time and ID are written anew where they stand, in their own form.
func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format      event.TimeFormat
		time, moved string // by a day and an hour
	}{
		{event.RFC3339, `"2024-02-28T23:30:00Z"`, `"2024-03-01T00:30:00Z"`},
		{event.RFC3339, `"2024-02-28t23:30:00.123456789+05:30"`, `"2024-03-01t00:30:00.123456789+05:30"`},
		{event.RFC3339, `"2024-02-28T23:30:00.1z"`, `"2024-03-01T00:30:00.1z"`},
		{event.RFC3339, `"2024-02-28T23\u003a30:00Z"`, `"2024-03-01T00:30:00Z"`},
		{event.RFC3339, `"2016-12-31T23:59:60Z"`, `"2017-01-02T00:59:59Z"`},
		{event.UnixSeconds, `1709163000`, `1709253000`},
		{event.UnixMillis, `1709163000123`, `1709253000123`},
		{event.UnixMicros, `1709163000123456`, `1709253000123456`},
		{event.UnixNanos, `1709163000123456789`, `1709253000123456789`},
	} {
		for _, frame := range []struct{ text, path, id, idMoved string }{
			{`{"id":%[2]s,"time":%[1]s}`, "time", `"a\"b"`, `"a\"b-x"`},
			{` { "time" : 1, "x":{"time":2,"y":[{"time":3}]}, "id" : %[2]s , "time" : %[1]s , "z":"\"time\":4" } `, "time", `12`, `"12-x"`},
			{`{"id":%[2]s,"a":{"b":{"time":1}},"a":{"c":[],"b":{"t\u0069me":%[1]s},"d":{"e":{}}}}`, "a.b.time", `"ä"`, `"ä-x"`},
			{`{"id":%[2]s,"a.b":{"c\\d":%[1]s,"n":null,"f":-1.5e3,"g":true}}`, `a\.b.c\\d`, `""`, `"-x"`},
		} {
			m := event.DefaultMapping()
			m.TimeFormat, m.Time, m.EventID = test.format, frame.path, []string{"id"}
			value := fmt.Sprintf(frame.text, test.time, frame.id)
			got, ok := feed.ShiftTime(m, []byte(value), 25*3600)
			if want := fmt.Sprintf(frame.text, test.moved, frame.id); !ok || string(got) != want {
				t.Errorf("%s\nbecame %s\nwant   %s", value, got, want)
			}
			if got := feed.Rename(m, []byte(value), "-x"); string(got) != fmt.Sprintf(frame.text, test.time, frame.idMoved) {
				t.Errorf("%s\nbecame %s", value, got)
			}
		}
	}
}

// TestShiftIsExact: by what the pipeline's decoder reads, times move by exactly what they should, and back again to the same bytes.
func TestShiftIsExact(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	decoder, err := event.NewJSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		value := fmt.Sprintf(`{"event_id":"1","item_id":"x","region":"r","timestamp":"20%02d-%02d-%02dT%02d:%02d:%02d.%d%+03d:%02d"}`,
			30+rng.IntN(40), 1+rng.IntN(12), 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), rng.IntN(10000), rng.IntN(47)-23, rng.IntN(60))
		by := rng.Int64N(1e9) - 5e8
		var before, after event.Event
		if err := decoder.Decode([]byte(value), &before); err != nil {
			t.Fatal(err)
		}
		at := before.Time
		moved, ok := feed.ShiftTime(event.DefaultMapping(), []byte(value), by)
		if !ok || decoder.Decode(moved, &after) != nil || after.Time != at+by*1000 {
			t.Fatalf("seed %d: %s by %d s is %s", seed, value, by, moved)
		}
		if back, ok := feed.ShiftTime(event.DefaultMapping(), moved, -by); !ok || string(back) != value {
			t.Fatalf("seed %d: %s is %s, and back %s", seed, value, moved, back)
		}
	}
}

// TestShiftTooFar: what can't be written is refused.
func TestShiftTooFar(t *testing.T) {
	t.Parallel()
	m := event.DefaultMapping()
	if got, ok := feed.ShiftTime(m, []byte(`{"event_id":"1","timestamp":"2024-02-28T23:30:00Z"}`), 400_000_000_000); ok {
		t.Errorf("became %s", got)
	}
	m.TimeFormat = event.UnixNanos
	if got, ok := feed.ShiftTime(m, []byte(`{"event_id":"1","timestamp":1709163000123456789}`), 9_000_000_000); ok {
		t.Errorf("became %s", got)
	}
}
