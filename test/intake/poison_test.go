package intake_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// poison is one input, and what must become of it.
type poison struct {
	name    string
	value   []byte // nil: a tombstone
	headers []kgo.RecordHeader
	want    event.Decision
	says    string // in the dead letter's error
}

// poisons are inputs that must never stop a partition, and some that look as if they should be refused, and are not. now is the records' timestamp.
func poisons(now time.Time) []poison {
	var list []poison
	malformed := func(name, value, says string) {
		list = append(list, poison{name: name, value: []byte(value), want: event.Malformed, says: says})
	}
	accepted := func(name, value string) {
		list = append(list, poison{name: name, value: []byte(value), want: event.Counted})
	}
	at := now.UTC().Format(time.RFC3339Nano)
	with := func(field, value string) string {
		fields := map[string]string{
			"event_id": fmt.Sprintf("%q", "poison-"+fmt.Sprint(len(list))), "item_id": `"tea"`, "region": `"eu"`, "timestamp": `"` + at + `"`, "value": "1",
		}
		fields[field] = value
		var b strings.Builder
		for _, name := range []string{"event_id", "item_id", "region", "timestamp", "value", "extra"} {
			if v := fields[name]; v != "" {
				fmt.Fprintf(&b, `,"%s":%s`, name, v)
			}
		}
		return "{" + b.String()[1:] + "}"
	}

	accepted("the first", with("", "")) // moves the watermark
	list = append(list, poison{name: "tombstone", want: event.Malformed, says: "no value"})
	malformed("empty", "", "empty")
	malformed("null", "null", "object")
	malformed("truncated", with("", "")[:40], "ends")
	malformed("trailing garbage", with("", "")+"x", "follows")
	malformed("invalid UTF-8", with("item_id", "\"\xff\xfe\""), "UTF-8")
	malformed("10,000 deep", with("extra", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), "deep")
	malformed("oversized", with("extra", `"`+strings.Repeat("x", 1<<20)+`"`), "bytes")
	malformed("no event ID", with("event_id", ""), "event_id")
	malformed("empty event ID", with("event_id", `""`), "event_id")
	malformed("event ID of 1 MB", with("event_id", `"`+strings.Repeat("x", 1_000_000)+`"`), "event_id")
	malformed("no timestamp", with("timestamp", ""), "timestamp")
	malformed("negative timestamp", with("timestamp", "-1"), "timestamp")
	malformed("overflowing timestamp", with("timestamp", "99999999999999999999999"), "timestamp")
	malformed("timestamp in seconds", with("timestamp", fmt.Sprint(now.Unix())), "timestamp")
	malformed("timestamp in nanoseconds", with("timestamp", fmt.Sprint(now.UnixNano())), "timestamp")
	malformed("timestamp that is none", with("timestamp", `"yesterday"`), "timestamp")
	malformed("value NaN", with("value", "NaN"), "")
	malformed("value 1e400", with("value", "1e400"), "value")
	malformed("value beyond 2^53", with("value", "9007199254740993"), "value")
	malformed("value of a wrong type", with("value", `"many"`), "value")
	malformed("item of a wrong type", with("item_id", "7e1"), "item_id")
	malformed("an array", "["+with("", "")+"]", "object")
	malformed("compressed", "\x1f\x8b\x08\x00"+strings.Repeat("\x00", 100), "")
	list = append(list,
		poison{name: "punctuation of no time", headers: []kgo.RecordHeader{{Key: "advance-watermark", Value: []byte("soon")}}, want: event.Malformed, says: "advance-watermark"},
		poison{name: "punctuation of 2099", headers: []kgo.RecordHeader{{Key: "advance-watermark", Value: []byte("2099-01-01T00:00:00Z")}}, want: event.Future, says: "ahead"},
		poison{name: "the year 2099", value: []byte(with("timestamp", `"2099-01-01T00:00:00Z"`)), want: event.Future, says: "ahead"},
		poison{name: "late", value: []byte(with("timestamp", `"`+now.Add(-time.Hour).UTC().Format(time.RFC3339)+`"`)), want: event.Late, says: "at most"},
	)
	accepted("unknown fields", with("extra", `{"a":[1,2,{"b":null}]}`))
	accepted("another offset from UTC", with("timestamp", `"`+now.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano)+`"`))
	for _, item := range []string{`a:b`, `{}`, `\"quoted\"`, `two\nlines`, `'; DROP TABLE cells; --`, "e\u0301", "\u00e9"} {
		accepted("item "+item, with("item_id", `"`+item+`"`))
	}
	accepted("a negative value", with("value", "-3"))
	return list
}

// TestPoison (fault 20): each input becomes what it should, once; what can't be counted is a dead letter with its original bytes and a
// text that names what is wrong; and the partition goes on.
func TestPoison(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world, _ *kfake.Cluster, _ *rand.Rand) {
		now := time.Now().Truncate(time.Millisecond)
		list := poisons(now)
		for _, p := range list {
			r := &kgo.Record{Topic: w.topics.Events, Partition: 1, Value: p.value, Headers: p.headers, Timestamp: now, Key: []byte("key")}
			if err := w.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
		}
		m := startMember(t, w.member(), wrap{})
		w.eventually("all are processed", func() bool { return w.commits()[1].through == int64(len(list))-1 })
		letters, times := w.letters()
		counted := int64(0)
		for offset, p := range list {
			at := letter{1, int64(offset)}
			l, dead := letters[at]
			switch {
			case p.want == event.Counted:
				counted++
				if dead {
					t.Errorf("%s: became a dead letter: %s", p.name, l.Error)
				}
			case !dead || times[at] != 1:
				t.Errorf("%s: %d dead letters", p.name, times[at])
			case l.Reason != p.want || !strings.Contains(l.Error, p.says):
				t.Errorf("%s: %v, %q; want %v, and %q in it", p.name, l.Reason, l.Error, p.want, p.says)
			case !bytes.Equal(l.Value, p.value) || (l.Value == nil) != (p.value == nil) || string(l.Key) != "key" || len(l.Headers) != len(p.headers):
				t.Errorf("%s: the dead letter holds %q with key %q and headers %v", p.name, l.Value, l.Key, l.Headers)
			}
		}
		var got int64
		for _, cell := range w.receive().cells[1] {
			got += cell.Count
		}
		if got != counted {
			t.Errorf("%d were counted, want %d", got, counted)
		}
		if decided, _ := m.intake.Decided(); decided[event.Counted] != counted {
			t.Errorf("Decided says %v", decided)
		}
	})
}
